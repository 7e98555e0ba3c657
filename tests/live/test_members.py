"""Members of live forecasts, and the observed frames that are kept beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray
from tests.fixtures.live import Bench, drop, frame, time_of

from framecast.ensembles.predict import dress_forecast
from framecast.errors import InputError
from framecast.forecasting.model_folder import load
from framecast.live.ladder import Dressing
from framecast.live.observed import list_observed
from framecast.live.start import WatchOptions, open_watcher
from framecast.recipe.recipe import recipe_of_run
from framecast.trained import find_model

RADAR = Path(__file__).parents[1] / "fixtures" / "radar" / "fmi_pgm"


def test_members_are_those_of_the_single_forecast(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for path in RADAR.glob("*.gz"):
        shutil.copy(path, tmp_path / "in")
    rain = Path(find_model("rain"))
    model, recipe = load(rain), recipe_of_run(rain)
    options = {"context": 6, "settle": 0.0, "verify": False, "formats": ("nc",)}
    for name, dressing in (("single", None), ("members", Dressing(3, rain, seed=5))):
        chosen = WatchOptions(str(tmp_path / "in"), tmp_path / name, 2, **options, dressing=dressing)
        watcher = open_watcher(model, "rain", recipe, chosen)
        watcher.look()
    latest = {name: json.loads((tmp_path / name / "latest.json").read_text()) for name in ("single", "members")}
    assert [latest[name]["members"] for name in latest] == [1, 3]
    assert latest["single"]["inputs"] != latest["members"]["inputs"]
    with xarray.open_dataset(tmp_path / "members" / latest["members"]["files"][0]) as file:
        made = next(values for values in file.data_vars.values() if "realization" in values.dims).values
    window = watcher._intake.load(watcher._place.list_files(0.0, 6), 0.0)
    assert len(window) == 6
    issued = watcher._ladder.__class__(model, "rain", 2, 6, 3, {}).forecast(_window(window, watcher))
    expected = dress_forecast(model, issued.forecast, rain, members=3, seed=5)
    np.testing.assert_array_equal(made, expected.values[0, :, :, 0])


def _window(frames, watcher):
    from framecast.live.window import make_window

    window = make_window(frames, watcher._cadence, 6)
    assert window is not None
    return window


def test_no_error_tables_are_told_at_the_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(InputError, match=r"no errors\.json in it"):
        bench.watcher(dressing=Dressing(3, tmp_path))


def test_observed_frames_are_those_of_the_window(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in (*range(4), *range(5, 9)):
        drop(bench.folder, number)
    watcher = bench.watcher()
    watcher.look()
    kept = list_observed(bench.out)
    assert [one.slot for one in kept] == [time_of(number) for number in (3, 5, 6, 7, 8)]
    for one, number in zip(kept, (3, 5, 6, 7, 8), strict=True):
        np.testing.assert_array_equal(one.load()[0], frame(number).astype(np.float32))
    drop(bench.folder, 7, values=frame(0), later=60)
    drop(bench.folder, 9)
    watcher.look()
    kept = list_observed(bench.out)
    assert [one.slot for one in kept] == [time_of(number) for number in (5, 6, 7, 8, 9)]
    np.testing.assert_array_equal(kept[2].load()[0], frame(0).astype(np.float32))


def test_a_swapped_model_makes_a_revision(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(6):
        drop(bench.folder, number)
    watcher = bench.watcher()
    watcher.look()
    watcher.swap("persistence")
    assert watcher.look().published["revision"] == 1
    np.testing.assert_array_equal(bench.values()[0, 0], frame(5))
