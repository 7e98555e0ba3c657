"""The Python of README and of the guides in docs/api runs as it stands there, with trainings of two iterations."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.archives.conftest import make_rain
from tests.fixtures.commands import unchecked

ROOT = Path(__file__).parents[2]
GUIDES = ["train", "predict", "evaluate", "inspect", "open_frames"]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def read_lines(page: Path) -> str:
    code = "".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    return code.replace("steps=2000", "steps=2, hidden=[4], batch_size=2, sequences=2, device='cpu', quiet=True")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "tests/fixtures/era5_t2m.nc", "era5.nc")
    shutil.copy(ROOT / "tests/fixtures/bigbuckbunny.mp4", "film.mp4")
    np.save("digits.npy", np.zeros((6, 2, 16, 16), np.uint8))
    return tmp_path


def test_the_lines_of_readme_run(folder: Path, capsys) -> None:
    code = read_lines(ROOT / "README.md")
    assert len([line for line in code.splitlines() if line]) == 6, "an import and five lines"
    variables: dict[str, object] = {}
    with unchecked():
        exec(code, variables)
    assert variables["future"].sizes["time"] == 6
    assert "convlstm" in capsys.readouterr().out


@pytest.mark.parametrize("language", ["guides", "zh/guides"])
@pytest.mark.filterwarnings("ignore")
def test_the_lines_of_the_guide_to_other_programs_run(language: str) -> None:
    variables: dict[str, object] = {}
    with unchecked():
        exec(read_lines(ROOT / f"docs/{language}/adapters.md"), variables)
    assert variables["ahead"].shape == (12, 64, 64)
    assert variables["members"].shape == (5, 2, 64, 64)
    assert variables["future"].shape == (1, 6, 3, 64, 64)
    assert variables["first"][0].shape == (1, 1, 1, 64, 64)


def test_the_lines_of_the_guides_run(folder: Path) -> None:
    variables: dict[str, object] = {}
    with unchecked():
        for guide in GUIDES:  # in this order: the later ones use the run of the first
            exec(read_lines(ROOT / f"docs/api/{guide}.md"), variables)
    assert variables["page"].is_file()
    assert variables["array"].shape == (6, 1, 24, 32)
    assert variables["tomorrow"].sizes["time"] == 24
    np.testing.assert_allclose(variables["again"].values, variables["future"].values, rtol=1e-5)
    assert variables["data"].sizes["forecast"] == 3
    assert variables["early"].sizes["time"] == 24
    assert variables["film"].sizes["channel"] == 1


def test_the_lines_on_archives_run(folder: Path) -> None:
    make_rain().to_netcdf("radar.nc")
    variables: dict[str, object] = {}
    with unchecked():
        exec(read_lines(ROOT / "docs/api/archives.md"), variables)
    assert variables["made"].scores.forecasts == variables["verified"].scores.forecasts
    assert "verdict" in variables["verified"].scores.to_dataset().attrs
