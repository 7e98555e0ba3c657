"""A hindcast: each forecast is the direct one, written once, whoever makes it and however often it is stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray
from tests.archives.conftest import make_rain

from framecast.archives import hindcast as verb
from framecast.archives.hindcast import HindcastOptions, hindcast
from framecast.archives.tasks import run_task
from framecast.errors import InputError, UsageError
from framecast.evaluation.suite import EvaluationOptions
from framecast.forecasting.baselines import make_baseline
from framecast.forecasting.predictor import PastFrames
from framecast.types import FrameSpec

SCORED = EvaluationOptions(
    context=3, horizon=2, metrics=["mse", "csi"], thresholds=[1.0], baselines=["persistence"], batch_size=4
)


def data(path: Path) -> dict[str, object]:
    return {"source": str(path), "range": (0.0, 10.0)}


def run(archive: Path, out: Path, run: str = "mean", **options: object) -> verb.Hindcast:
    return hindcast(run, data(archive), out, SCORED, HindcastOptions(task_size=5, **options), quiet=True)


def tree(folder: Path) -> dict[str, bytes]:
    """All files of values and times; the attributes hold the time of the run."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "zarr.json"
    }


def test_the_store_holds_the_direct_forecasts(archive: Path, tmp_path: Path) -> None:
    made = run(archive, tmp_path / "f.zarr", "extrapolation")
    assert (made.done, made.skipped, made.missing) == (8, 0, 0)  # 22 and 14 forecasts in tasks of 5
    rain = xarray.open_dataset(archive)
    store = xarray.open_zarr(tmp_path / "f.zarr", chunks=None)
    assert store.rain.dims == ("forecast_reference_time", "lead_time", "y", "x")
    np.testing.assert_array_equal(store.forecast_reference_time, rain.time[2:38])
    np.testing.assert_array_equal(store.time[:, 1], rain.time[4:40])
    spec = FrameSpec(channels=1, height=20, width=24, units="mm/h", low=0, high=10, step_minutes=5.0)
    for at in (0, 21, 35):
        past = PastFrames.from_arrays(rain.rain.values[None, at : at + 3, None], spec)
        direct = make_baseline("extrapolation", spec).forecast(past, 2).values[0, 0, :, 0]
        np.testing.assert_array_equal(store.rain[at].values, direct)
    assert store.rain.attrs["units"] == "mm/h"
    error = np.stack([rain.rain.values[at + 3 : at + 5] for at in range(36)]).clip(0, 10) - store.rain.values.clip(
        0, 10
    )
    scores = json.loads((tmp_path / "f.tasks/scores.json").read_text())
    np.testing.assert_allclose(
        scores["scores"]["extrapolation"]["mse"]["by_lead"], (error.astype(float) ** 2).mean((0, 2, 3)) / 100, rtol=1e-6
    )
    assert (scores["forecasts"], scores["days"]) == (36, 2)


def test_a_model_of_the_package_reads_rain_rates_as_predict_does(archive: Path, tmp_path: Path) -> None:
    made = hindcast(
        "rain", {"source": str(archive)}, tmp_path / "f.zarr", SCORED._replace(limit=1), HindcastOptions(), quiet=True
    )
    assert made.done == 1
    (reflectivity,) = xarray.open_zarr(tmp_path / "f.zarr").data_vars.values()
    assert reflectivity.attrs["units"] == "dBZ"


def test_once_an_hour_is_the_first_of_each_hour_of_the_clock(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path / "f.zarr", every=60.0)
    times = xarray.open_zarr(tmp_path / "f.zarr").forecast_reference_time.values.astype("datetime64[m]").astype(str)
    assert list(times) == ["2016-09-30T22:10", "2016-09-30T23:00", "2016-10-01T00:00", "2016-10-01T01:00"]


def test_stopped_anywhere_it_goes_on_to_the_same_bytes(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(archive, tmp_path / "whole.zarr")
    done: list[str] = []

    def stop(job, tasks):
        for task in tasks:
            if len(done) == 3:
                raise KeyboardInterrupt
            done.append(run_task(job, task))
            yield task.name

    with monkeypatch.context() as patch:
        patch.setattr(verb, "run_here", stop)
        with pytest.raises(KeyboardInterrupt):
            run(archive, tmp_path / "f.zarr")
    made = run(archive, tmp_path / "f.zarr")
    assert (made.done, made.skipped) == (5, 3)
    assert tree(tmp_path / "f.zarr") == tree(tmp_path / "whole.zarr")
    assert (tmp_path / "f.tasks/scores.json").read_bytes() == (tmp_path / "whole.tasks/scores.json").read_bytes()
    assert run(archive, tmp_path / "f.zarr").skipped == 8


def test_shares_together_are_the_whole(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path / "whole.zarr")
    assert run(archive, tmp_path / "f.zarr", share=(3, 3)).scores is None
    assert run(archive, tmp_path / "f.zarr", share=(1, 3)).missing == 3
    assert run(archive, tmp_path / "f.zarr", share=(2, 3)).missing == 0
    assert tree(tmp_path / "f.zarr") == tree(tmp_path / "whole.zarr")
    assert (tmp_path / "f.tasks/scores.json").read_bytes() == (tmp_path / "whole.tasks/scores.json").read_bytes()


def test_an_archive_may_grow(archive: Path, tmp_path: Path) -> None:
    """New frames are added without a look at months that are over, and give what one run gives."""
    run(archive, tmp_path / "whole.zarr")
    make_rain(31).to_netcdf(tmp_path / "short.nc")
    run(tmp_path / "short.nc", tmp_path / "f.zarr")
    (tmp_path / "f.tasks/2016-09/0000.json").unlink()  # the month is over: its totals are kept
    made = run(archive, tmp_path / "f.zarr")
    assert (made.done, made.skipped) == (2, 6)
    assert tree(tmp_path / "f.zarr") == tree(tmp_path / "whole.zarr")
    assert (tmp_path / "f.tasks/scores.json").read_bytes() == (tmp_path / "whole.tasks/scores.json").read_bytes()
    with pytest.raises(UsageError, match="got no forecast of"):
        run(tmp_path / "short.nc", tmp_path / "f.zarr")


def test_what_is_not_as_its_marker_says_is_made_again(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path / "f.zarr")
    before = tree(tmp_path / "f.zarr")
    chunk = max((tmp_path / "f.zarr/rain/c").rglob("0"), key=lambda path: path.is_file())
    chunk.unlink()
    assert run(archive, tmp_path / "f.zarr").done == 0  # all months are over
    made = run(archive, tmp_path / "f.zarr", recheck=True)
    assert made.done == 1
    assert tree(tmp_path / "f.zarr") == before


def test_another_question_needs_another_store(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path / "f.zarr")
    with pytest.raises(UsageError, match="another every"):
        run(archive, tmp_path / "f.zarr", every=60.0)
    with pytest.raises(UsageError, match="another model"):
        run(archive, tmp_path / "f.zarr", "blank")
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(UsageError, match="no hindcast has begun"):
        run(archive, tmp_path / "mine.zarr")
    with pytest.raises(UsageError, match="ends in"):
        run(archive, tmp_path / "f.nc")
    np.save(tmp_path / "undated.npy", np.random.default_rng(0).random((30, 8, 8), np.float32))
    with pytest.raises(InputError, match="without times"):
        run(tmp_path / "undated.npy", tmp_path / "g.zarr")


def command(archive: Path, out: Path, *words: str) -> list[str]:
    scored = "--context 3 --horizon 2 --metrics mse,csi --thresholds 1 --baselines persistence --batch-size 4"
    given = f"hindcast mean {archive} --out {out} --range 0,10 --task-size 5 -q {scored}".split()
    return [sys.executable, "-m", "framecast", *given, *words]


@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_killed_for_real_it_goes_on(kills: int, archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path / "whole.zarr")
    for _ in range(kills):
        process = subprocess.Popen(command(archive, tmp_path / "f.zarr"), stdout=subprocess.DEVNULL)
        markers = len(list(tmp_path.glob("f.tasks/2016*/*.json")))
        while process.poll() is None and len(list(tmp_path.glob("f.tasks/2016*/*.json"))) < min(8, markers + 2):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert subprocess.run(command(archive, tmp_path / "f.zarr"), stdout=subprocess.DEVNULL).returncode == 0
    assert tree(tmp_path / "f.zarr") == tree(tmp_path / "whole.zarr")
    assert (tmp_path / "f.tasks/scores.json").read_bytes() == (tmp_path / "whole.tasks/scores.json").read_bytes()


@pytest.mark.slow
def test_workers_of_dask_that_are_killed(archive: Path, tmp_path: Path) -> None:
    """Twenty kills at random moments: every chunk is there, and the scores are those of one process, to the bit."""
    pytest.importorskip("distributed")
    run(archive, tmp_path / "whole.zarr")
    rng, kills = np.random.default_rng(7), 0
    while kills < 20:
        out = tmp_path / f"f{kills}.zarr"
        process = subprocess.Popen(command(archive, out, "--dask", "local:2"), stdout=subprocess.DEVNULL)
        while process.poll() is None:
            time.sleep(rng.uniform(0.2, 1.5))
            workers = _find_workers(process.pid) if list(out.with_suffix(".tasks").glob("2016*/*.json")) else []
            if workers and process.poll() is None:  # one that dies before it begins is Dask's own affair
                os.kill(int(rng.choice(workers)), signal.SIGKILL)
                kills += 1
        assert process.returncode == 0
        assert tree(out) == tree(tmp_path / "whole.zarr")
        scores = out.with_suffix(".tasks") / "scores.json"
        assert scores.read_bytes() == (tmp_path / "whole.tasks/scores.json").read_bytes()


def _find_workers(parent: int) -> list[int]:
    """Processes of workers below another: those whose command line says that they were spawned."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, parents = (folder / "cmdline").read_text(), (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if "spawn_main" in words and int(parents[1]) == parent:
            found.append(int(folder.name))
    return found
