"""Models and folders of forecasts that services show."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.fixtures.live import Bench, drop, tiny_model

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("prometheus_client", reason="the extra serve is not installed")

from framecast.forecasting.model_folder import save_forecaster
from framecast.live.start import WatchOptions, open_watcher
from framecast.recipe.recipe import Recipe

KNMI = Path(__file__).parents[1] / "fixtures" / "radar" / "knmi_hdf5"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_forecaster(folder, tiny_model())
    return folder


@pytest.fixture(scope="session")
def placeless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a watcher of pictures, which lie nowhere."""
    bench = Bench(tmp_path_factory.mktemp("placeless"))
    for number in range(7):
        drop(bench.folder, number)
    watcher = bench.watcher(formats=("nc",), verify=True)
    watcher.look()
    drop(bench.folder, 7)
    watcher.look()
    return bench.out


@pytest.fixture(scope="session")
def knmi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a watcher of the radar of the Netherlands."""
    root = tmp_path_factory.mktemp("knmi")
    (root / "in").mkdir()
    for path in sorted(KNMI.iterdir()):
        shutil.copy(path, root / "in")
    options = WatchOptions(str(root / "in"), root / "out", 3, formats=("nc",), settle=0.0, verify=False)
    open_watcher("extrapolation", "extrapolation", Recipe(), options).look()
    return root / "out"
