"""The names of framecast itself: light, listed, shadowed by no module; train, evaluate, compare, inspect and runs."""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
import subprocess
import sys
import types
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import pandas
import pytest
import torch
import xarray
from matplotlib.figure import Figure
from tests.fixtures.commands import unchecked
from tests.fixtures.forecasts import forecast
from tests.fixtures.tiny import tiny

import framecast
from framecast.errors import InputError, UsageError
from framecast.evaluation.comparison import Comparison
from framecast.models import ConvConfig, ConvLSTM

DATA = Path(__file__).parents[1] / "fixtures"
TINY = {
    "steps": 4,
    "hidden": [4],
    "kernel_size": 3,
    "patch": 10,
    "batch_size": 2,
    "context": 3,
    "horizon": 2,
    "crop": 40,
    "sequences": 2,
    "device": "cpu",
    "quiet": True,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[framecast.Run]:
    """Two trainings on radar that differ in their network."""
    folder = tmp_path_factory.mktemp("runs")
    with unchecked():
        return [
            framecast.train(name, DATA / "fmi_140.npz", folder / name, seed=3, **TINY)
            for name in ("convlstm", "predrnn")
        ]


def test_the_import_is_light() -> None:
    code = "import time; begin = time.process_time(); import framecast; print(time.process_time() - begin)"
    spent = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(spent) <= 0.15
    code = "import sys, framecast, framecast.errors; framecast.__version__; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "torch", "xarray", "pydantic"} & set(eval(loaded))


def test_dir_lists_the_public_names_and_no_module_shadows_them() -> None:
    listed = dir(framecast)
    assert {*framecast.__all__, "__version__", "errors", "pysteps"} == set(listed)
    assert framecast.__version__ == version("framecast")
    modules = {module.name for module in pkgutil.iter_modules(framecast.__path__)}
    assert not modules & set(framecast.__all__)
    for name in framecast.__all__:
        assert not isinstance(getattr(framecast, name), types.ModuleType)
    for name in ("open_frames", "train", "load", "evaluate", "compare", "inspect"):
        assert callable(getattr(framecast, name))
    with pytest.raises(framecast.InputError):
        framecast.open_frames("nothing.nc")
    assert framecast.errors.InputError is framecast.InputError
    with pytest.raises(AttributeError, match="trian"):
        framecast.trian  # noqa: B018


def test_all_modules_loaded_no_function_is_shadowed() -> None:
    """An import of framecast.a.b sets attributes of packages: none of them is a public name."""
    code = (
        "import importlib, pkgutil, types, framecast\n"
        "for info in pkgutil.walk_packages(framecast.__path__, 'framecast.'):\n"
        "    if not info.name.endswith(('__main__', 'libframecast')): importlib.import_module(info.name)\n"
        "print([n for n in framecast.__all__ if isinstance(getattr(framecast, n), types.ModuleType)])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_types_are_told() -> None:
    assert (Path(framecast.__file__).parent / "py.typed").is_file()


def test_train_takes_values_of_python(runs: list[framecast.Run]) -> None:
    recipe = runs[0].recipe
    assert (recipe.train.steps, recipe.train.batch_size, recipe.model.hidden) == (4, 2, (4,))
    assert (recipe.context, recipe.horizon, recipe.patch, recipe.seed) == (3, 2, 10, 3)
    assert recipe.data.source == str(DATA / "fmi_140.npz")
    assert recipe.validate_.sequences == 2
    assert framecast.load(runs[0]).folder == runs[0].path
    assert framecast.Run(runs[0]).path == runs[0].path


def test_train_is_start(runs: list[framecast.Run], tmp_path: Path) -> None:
    """The weights are those that the recipe gives by the older way."""
    with unchecked():
        framecast.start(runs[0].recipe, tmp_path / "b", framecast.devices.Launch("cpu"), quiet=True)
    digests = [
        json.loads((path / "model" / "model.json").read_text())["sha256"] for path in (runs[0].path, tmp_path / "b")
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    "given",
    [
        ConvLSTM(hidden=(4,), kernel_size=3),
        {"model": {"name": "convlstm", "hidden": [4], "kernel_size": 3}},
        tiny(),
        "recipe.yaml",
    ],
    ids=["configuration", "dictionary", "recipe", "file"],
)
def test_a_recipe_in_any_form(given, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text("model: {name: convlstm, hidden: [4], kernel_size: 3}\n")
    digits = {"size": 32, "digits": 1, "validation": 2, "test": 2}
    with unchecked():
        run = framecast.train(
            given, "moving-mnist", train={"steps": 2, "batch_size": 2}, patch=8, context=2, horizon=2, hidden=[5],
            device="cpu", moving_mnist=digits, sequences=2, quiet=True, **{"validate.every": 2, "loss.kind": "mse"},
        )  # fmt: skip
    assert run.path.parent == Path("runs").absolute()
    assert run.path.name == ("recipe-1" if given == "recipe.yaml" else "convlstm-1")
    assert run.recipe.model.hidden == (5,)
    assert run.recipe.validate_.every == 2


class Own(ConvConfig):
    """ConvLSTM under a name that is in no registry."""

    name: Literal["own"] = "own"

    def build(self, channels, height, width, extra=0):
        return ConvLSTM(hidden=self.hidden, kernel_size=3).build(channels, height, width, extra)


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    with unchecked():
        run = framecast.train(
            Own(), "moving-mnist", tmp_path / "own", steps=2, batch_size=2, patch=8, context=2, horizon=2, hidden=(4,),
            moving_mnist={"size": 32, "digits": 1, "test": 2}, sequences=2, device="cpu", quiet=True,
        )  # fmt: skip
    assert run.load().config == Own(hidden=(4,))
    assert framecast.evaluate(run, metrics="mse", baselines=["mean"], device="cpu").scores.keys() >= {"mean"}


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("convlstm",), {"stesp": 3}, "did you mean steps"),
        (("convlstm",), {"batchsize": 3}, "did you mean batch_size"),
        (("convlstm",), {"train.stepps": 3}, "did you mean steps"),
        (("convlstm",), {"every": 3}, r"data\.every or validate\.every"),
        (("convlstm",), {"hidden": "wide"}, "hidden"),
        (("convlstn",), {}, "did you mean convlstm"),
        ((), {}, "got nothing"),
        ((3,), {}, "got int"),
        (("convlstm", np.zeros(3)), {}, r"got ndarray.*numpy\.save"),
        (("convlstm", "moving-mnist"), {"budget": "10min", "steps": 3}, "steps: got it beside budget"),
        ((None,), {"begin_from": framecast.load("digits").train()}, "save_forecaster"),
    ],
)
def test_wrong_keywords_name_the_nearest(arguments, options, words: str, tmp_path: Path) -> None:
    with unchecked(), pytest.raises((UsageError, InputError), match=words):
        framecast.train(*arguments, **{"out": tmp_path / "a", **options})
    assert not (tmp_path / "a").exists()


def test_evaluate_is_the_command(runs: list[framecast.Run], tmp_path: Path, undrawn) -> None:
    from framecast.evaluation.prepare import EvaluationOptions, evaluate_run

    chosen = {"metrics": ["mae", "csi", "fss"], "thresholds": [15.0, 25.0], "limit": 3}
    scores = framecast.evaluate(runs[0], device="cpu", baselines=["persistence", "mean"], **chosen)
    options = EvaluationOptions(**chosen, baselines=["persistence", "mean"])
    expected, _ = evaluate_run(str(runs[0].path), {}, options, tmp_path / "e", "cpu", quiet=True)
    assert scores.as_dict() == expected.as_dict()
    assert not (runs[0].path / "evaluations").exists(), "nothing is written unless asked for"
    framecast.evaluate(framecast.load(runs[0]), out=tmp_path / "own", device="cpu", baselines=[], **chosen)
    assert (tmp_path / "own" / "scores.json").is_file()
    with pytest.raises(UsageError, match="own"):
        framecast.evaluate(runs[0], out=tmp_path / "own", device="cpu", **chosen)


def test_scores_are_labelled(runs: list[framecast.Run]) -> None:
    scores = runs[0].evaluate(
        device="cpu", baselines=["persistence"], metrics=["mae", "csi", "fss"], thresholds=[15, 25], scales=[4], limit=4
    )
    data = scores.to_dataset()
    assert dict(data.sizes) == {"forecast": 2, "metric": 5, "lead_time": 2, "reference": 1}
    assert data.threshold.values.tolist()[1:] == [15, 25, 15, 25]
    assert math.isnan(data.threshold.values[0])
    assert data.scale.values.tolist()[3:] == [4, 4]
    np.testing.assert_array_equal(data.lead_time.values, np.array([5, 10]) * np.timedelta64(1, "m"))
    for name, by_metric in scores.summaries.items():
        for metric, summary in by_metric.items():
            one = data.sel(forecast=name, metric=metric)
            np.testing.assert_array_equal(one.score, summary.score.by_lead)
            np.testing.assert_array_equal(np.stack([one.score_low, one.score_high], 1), summary.score.by_lead_interval)
            assert float(one["mean"]) == pytest.approx(summary.score.mean, nan_ok=True)
            assert one.pixels.values.tolist() == summary.pixels
            for part, counts in summary.counts.items():
                assert one[part].values.tolist() == counts
            for reference, estimate in summary.skill.items():
                assert float(one.skill.sel(reference=reference)) == pytest.approx(estimate.mean, nan_ok=True)
    table = scores.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    assert len(table) == 2 * 5 * 2
    row = table[(table.forecast == "persistence") & (table.base == "csi") & (table.threshold == 25)].iloc[1]
    assert row.score == data.score.sel(forecast="persistence", metric="csi@25").values[1]
    assert isinstance(scores.plot(), Figure)
    assert [axes.get_title() for axes in scores.plot(["csi@15"]).axes] == ["csi@15: higher is better"]
    with pytest.raises(UsageError, match="did you mean mae"):
        scores.plot(["mea"])


def test_scores_can_be_written(runs: list[framecast.Run], tmp_path: Path) -> None:
    data = runs[0].evaluate(device="cpu", baselines=["mean"], metrics="mse", limit=2).to_dataset()
    data.to_netcdf(tmp_path / "scores.nc")
    with xarray.open_dataset(tmp_path / "scores.nc", decode_timedelta=True) as again:
        np.testing.assert_array_equal(again.score, data.score)


def test_compare_gives_differences(runs: list[framecast.Run], tmp_path: Path) -> None:
    comparison = framecast.compare(runs, device="cpu", metrics=["mse"], baselines=["mean"], limit=3)
    assert isinstance(comparison, Comparison)
    data = comparison.to_dataset()
    assert data.forecast.values.tolist() == ["convlstm", "predrnn", "mean"]
    difference = comparison.differences["predrnn"]["mse"]
    assert float(data.difference.sel(forecast="predrnn", metric="mse")) == difference.mean
    assert np.isnan(data.difference.sel(forecast=["convlstm", "mean"])).all()
    apart = data["mean"].sel(forecast="predrnn") - data["mean"].sel(forecast="convlstm")
    assert float(apart[0]) == pytest.approx(difference.mean)
    assert len(comparison.to_dataframe()) == 3 * 2
    for wrong, words in ((runs[:1], "two or more"), (str(runs[0].path), "a list")):
        with pytest.raises(UsageError, match=words), unchecked():
            framecast.compare(wrong)
    with pytest.raises(UsageError, match="data are those of the runs"):
        framecast.compare(runs, units="K")


def test_inspect_is_the_command() -> None:
    found = framecast.inspect(DATA / "era5_t2m.nc", context="6h", horizon=4)
    assert found.as_dict()["windows"]["train"] > 0
    assert "--context 6" in found.command
    with pytest.raises(UsageError, match="did you mean context"):
        framecast.inspect(DATA / "era5_t2m.nc", contxt=3)


def test_a_run_forecasts_and_reports(runs: list[framecast.Run]) -> None:
    ahead = runs[0].predict(framecast.open_frames(DATA / "fmi_140.npz", sequence=0).isel(x=slice(40), y=slice(40)))
    assert ahead.sizes["time"] == 2
    assert runs[0].predict(DATA / "fmi_140.npz", 1).sizes["sequence"] == 4


def test_what_things_are_in_a_line_and_in_a_notebook(runs: list[framecast.Run]) -> None:
    scores = runs[0].evaluate(device="cpu", baselines=["mean"], metrics=["mae"], limit=2)
    things = [
        (runs[0], ("network convlstm", "context 3", "horizon 2", "units dBZ", "iterations 4")),
        (framecast.load(runs[0]), ("network convlstm", "parameters", "units dBZ", "context 3", str(runs[0].path))),
        (forecast(), ("model convlstm", "units dBZ", "after 2016-09-28T15:00:00, up to 2016-09-28T15:15:00")),
        (scores, ("split val", "mae", "mean")),
        (scores.scores["mean"], ("mae", "sequences 2")),
        (framecast.compare(runs, device="cpu", metrics=["mae"], baselines=[], limit=2), ("entries convlstm, predrnn",)),
    ]
    for thing, words in things:
        line = repr(thing)
        assert len(line) < 400
        assert "\n" not in line
        page = thing._repr_html_()
        assert page.startswith("<div>")
        assert page.count("<table>") == page.count("</table>") > 0
        for word in words:
            assert word in line, (word, line)
    seen = framecast.inspect(DATA / "era5_t2m.nc")
    assert "frames 96 in 1 sequence" in repr(seen)
    assert "framecast train" in seen._repr_html_()
    assert scores.plot()._repr_png_().startswith(b"\x89PNG")


def test_names_in_a_notebook_are_escaped(tmp_path: Path) -> None:
    from framecast.formatting import make_html, make_html_table

    page = make_html("<a>", [("<b>", "<c>")], make_html_table(["<d>"], [["<e>", "<f>"]]))
    assert not any(f"<{letter}>" in page for letter in "acdef")


def test_the_accessor(tmp_path: Path) -> None:
    import framecast.xarray

    frames = framecast.open_frames(DATA / "era5_t2m.nc")
    last = framecast.Persistence(framecast.FrameSpec(channels=1, height=24, width=32, units="K", low=270, high=290))
    expected = last.predict(frames, 3)
    xarray.testing.assert_equal(frames.framecast.predict("persistence", 3), expected)
    xarray.testing.assert_equal(frames.framecast.predict(last, 3), expected)
    diurnal = frames.framecast.predict("diurnal", "6h")
    np.testing.assert_array_equal(diurnal.values, frames.values[-24:-18])
    with pytest.raises(framecast.FramecastError, match="runs/none"):
        frames.framecast.predict("runs/none", 3)
    with pytest.raises(UsageError, match="got int"), unchecked():
        frames.framecast.predict(3, 3)


def test_the_accessor_takes_a_run(runs: list[framecast.Run]) -> None:
    import framecast.xarray

    frames = framecast.open_frames(DATA / "fmi_140.npz", sequence=1)
    for model in (runs[0], str(runs[0].path), framecast.load(runs[0])):
        assert frames.framecast.predict(model, 2).sizes["time"] == 2


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    spec = framecast.FrameSpec(channels=1, height=8, width=8)
    with unchecked():
        with pytest.raises(UsageError, match="got Persistence, expected a run"):
            framecast.evaluate(framecast.Persistence(spec))
        with pytest.raises(UsageError, match="got int, expected a run"):
            framecast.compare([1, 2])
    with pytest.raises(UsageError, match="the folder of a run"):
        framecast.Run(tmp_path)


def test_a_run_is_resumed(runs: list[framecast.Run]) -> None:
    assert framecast.resume(runs[1], quiet=True).step == 4


def test_recipes_as_objects_are_not_changed() -> None:
    recipe = tiny()
    before = recipe.model_dump_json()
    with pytest.raises(UsageError):
        framecast.train(recipe, stepps=3)
    assert recipe.model_dump_json() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thresholds": "abc"}, "thresholds.0: .*got 'abc'"),
        ({"metrics": 3}, "metrics.0: .*got 3"),
        ({"horizon": 2.5}, "horizon: "),
        ({"batch_size": "a"}, "batch_size: .*got 'a'"),
        ({"calibrate": "x"}, "calibrate: .*'raw' or 'matched', got 'x'"),
    ],
)
def test_values_of_an_evaluation_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        framecast.evaluate("mean", "moving-mnist", **options)


@pytest.mark.parametrize("length", ["context", "horizon"])
def test_no_frames_are_no_default(length: str) -> None:
    with pytest.raises(UsageError, match=r"context, horizon: got .*expected at least 1"):
        framecast.evaluate("mean", "moving-mnist", limit=2, **{length: 0})


def test_a_season_of_any_period_and_no_frames() -> None:
    import framecast.xarray  # noqa: F401

    times = np.datetime64("2024-01-01", "ns") + np.arange(30) * np.timedelta64(60, "m")
    values = np.arange(30.0)[:, None, None] * np.ones((1, 4, 5))
    frames = xarray.DataArray(values, {"time": times}, ("time", "y", "x"), attrs={"units": "K"})
    future = frames.framecast.predict("seasonal:12h", 2)
    assert future.squeeze().values[:, 0, 0].tolist() == [18.0, 19.0]
    with pytest.raises(UsageError, match=r"got 'persistense', .*; did you mean persistence"):
        frames.framecast.predict("persistense", 2)
    with pytest.raises(InputError, match="got no frame"):
        frames[:0].framecast.predict("persistence", 2)


def test_a_loaded_model_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("n.npy", np.random.default_rng(0).random((30, 16, 16), np.float32))
    small = {"steps": 1, "hidden": [2], "batch_size": 1, "context": 2, "horizon": 2, "quiet": True}
    run = framecast.train("convlstm", "n.npy", "one", sequences=1, **small)
    forecaster = framecast.load("one")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert forecaster.folder == run.path == tmp_path / "one"
    assert forecaster.predict(tmp_path / "n.npy", 2).sizes["lead_time"] == 2
    assert run.load().config.hidden == (2,)


def test_typos_of_keywords_get_the_name_that_was_meant() -> None:
    importlib.import_module("framecast.xarray")  # which registers the accessor
    frames = np.zeros((4, 8, 8), np.float32)
    spec = framecast.FrameSpec(channels=1, height=8, width=8)
    array = xarray.DataArray(frames, dims=("time", "y", "x"))
    for call, near in (
        (lambda: framecast.train("convlstm", "n.npy", contxt=3), "context"),
        (lambda: framecast.train("convlstm", "n.npy", learning_rate=3), "lr"),
        (lambda: framecast.train("convlstm", [{"pth": "n.npy"}]), "path"),
        (lambda: framecast.evaluate("mean", "n.npy", baseline="none"), "baselines"),
        (lambda: framecast.evaluate("mean", "n.npy", scale="dBZ"), "in_dbz"),
        (lambda: framecast.load("digits").predict(frames, horizn=2), "horizon"),
        (lambda: framecast.load("digits").predict(frames, 2, membrs=2), "members"),
        (lambda: framecast.Persistence(spec).predict(frames, 2, vald=None), "valid"),
        (lambda: array.framecast.predict("persistense", 2), "persistence"),
        (lambda: array.framecast.predict("persistence", horzon=2), "horizon"),
    ):
        with pytest.raises(framecast.UsageError, match=rf"did you mean {near}\b"):
            call()
    with pytest.raises(framecast.UsageError, match="horizon: got nothing"):
        array.framecast.predict("persistence")


def test_a_forecaster_is_scored_as_it_is(runs: list[framecast.Run]) -> None:
    """Not as its folder holds it: weights may have been changed since, and copies have another pace or are matched."""
    chosen = {"device": "cpu", "baselines": [], "metrics": "mse", "limit": 2}
    forecaster = framecast.load(runs[0])
    before = framecast.evaluate(forecaster, **chosen).scores
    with torch.no_grad():
        next(forecaster.network.parameters()).add_(1.0)
    after = framecast.evaluate(forecaster, **chosen).scores
    assert {*before} == {*after}
    assert all(before[name].mean() != after[name].mean() for name in before)
