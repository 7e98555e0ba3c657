"""Baselines that are fitted, alone as models and beside others; verdicts; data of another step; motion as output."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from framecast.bases import LinearBase
from framecast.data import DataConfig, open_data
from framecast.devices import Launch
from framecast.errors import InputError, UsageError
from framecast.evaluation.predictors import choose_baselines, find_own, make_baselines
from framecast.evaluation.prepare import DEFAULT_OPTIONS, evaluate_run
from framecast.evaluation.verdict import judge, judge_entries
from framecast.forecasting.base_fit import make_base_alone
from framecast.forecasting.baselines import Extrapolation, Persistence
from framecast.forecasting.data_checks import adapt_to_step
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load
from framecast.forecasting.motion_output import estimate_forecast_motion
from framecast.forecasting.predictor import PastFrames
from framecast.metrics import Scores, select_metrics
from framecast.models import BaseAlone, ConvLSTM
from framecast.recipe.recipe import Recipe, read_recipe
from framecast.training.build import new_forecaster
from framecast.training.start import resume, start
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

FMI = Path(__file__).parents[1] / "fixtures" / "fmi_140.npz"
SPEC = FrameSpec(channels=1, height=8, width=8, units="K", high=1.0, step_minutes=5.0)


def decaying(folder: Path) -> Path:
    """Frames that lose a fifth of their distance from 0.5 with each step."""
    values = np.random.default_rng(0).random((12, 1, 16, 16)) - 0.5
    frames = 0.5 + values * 0.8 ** np.arange(6)[None, :, None, None]
    path = folder / "decay.npz"
    np.savez(path, frames=frames.astype(np.float32), dims="nthw", units="K", step_minutes=60)
    return path


def test_least_squares_find_what_persistence_cannot(tmp_path: Path) -> None:
    """Oracle: the frames themselves, which least squares can forecast without error."""
    config = DataConfig(source=str(decaying(tmp_path)), range=(0, 1))
    dataset = open_data(config, context=3, horizon=3, seed=0)
    frames = torch.from_numpy(dataset.window("val", 0, 0).frames)[None]
    linear = make_base_alone("linear", dataset).predict(frames[:, :3], 3)
    persistence = Persistence(dataset.spec).predict(frames[:, :3], 3)
    error, reference = ((forecast - frames[:, 3:]).abs().max() for forecast in (linear, persistence))
    assert error < 0.05 * reference


def hourly(folder: Path, units: str, step_minutes: float = 60) -> Path:
    """A month whose days have a course of their own that grows, and a noise."""
    rng, hours = np.random.default_rng(0), np.arange(744)
    course = np.sin(2 * np.pi * hours / 24)[:, None, None] * (1 + rng.random((9, 11)))
    frames = 280 + course + 0.02 * hours[:, None, None] + 0.01 * rng.standard_normal((744, 9, 11))
    path = folder / "hourly.npz"
    np.savez(path, frames=frames.astype(np.float32), dims="thw", units=units, step_minutes=step_minutes)
    return path


@pytest.mark.parametrize(
    ("units", "step", "context", "expected"),
    [
        ("K", 60, 24, ["persistence", "mean", "seasonal", "linear", "linear:24h"]),
        ("K", 60, 23, ["persistence", "mean", "linear"]),
        ("K", 300, 24, ["persistence", "mean", "linear"]),
        ("K", 1440, 24, ["persistence", "mean", "linear"]),
        ("K", 360, 6, ["persistence", "mean", "seasonal", "linear", "linear:24h"]),
        ("mm/h", 60, 24, ["persistence", "mean", "blank", "extrapolation", "calibrated"]),
    ],
)
def test_a_season_stands_beside_every_score_where_there_is_one(
    tmp_path: Path, units: str, step: float, context: int, expected: list[str]
) -> None:
    config = DataConfig(source=str(hourly(tmp_path, units, step)), range=(0, 300))
    dataset = open_data(config, context=context, horizon=3, seed=0)
    assert choose_baselines(None, dataset, dataset) == expected
    copied = [name for name in expected if name not in ("linear", "linear:24h", "calibrated")]
    assert choose_baselines(None, dataset, None) == copied


@pytest.mark.parametrize(
    ("base", "own"),
    [
        ({"kind": "calibrated"}, ["calibrated"]),
        ({"kind": "linear", "period": "12h"}, ["linear:12h"]),
        ({"kind": "seasonal", "period": 6}, ["seasonal:6"]),
        ({"kind": "seasonal"}, []),
        ({"kind": "persistence"}, []),
        ({"kind": "none"}, []),
    ],
)
def test_a_model_stands_beside_its_own_base(tmp_path: Path, base: dict[str, object], own: list[str]) -> None:
    dataset = open_data(DataConfig(source=str(hourly(tmp_path, "K"))), context=24, horizon=3, seed=0)
    recipe = Recipe.model_validate({"model": {"name": "convlstm", "hidden": [2]}, "context": 24, "base": base})
    name = find_own(new_forecaster(recipe, dataset))
    usual = choose_baselines(None, dataset, dataset)
    assert choose_baselines(None, dataset, dataset, name) == [*usual, *own]
    unfitted = [each for each in own if each.startswith("seasonal")]
    assert choose_baselines(None, dataset, None, name) == [*choose_baselines(None, dataset, None), *unfitted]
    assert choose_baselines(["mean"], dataset, dataset, name) == ["mean"]


@pytest.mark.parametrize("context", [24, 25])
def test_a_season_is_fitted_and_found(tmp_path: Path, context: int) -> None:
    """Days that repeat and grow: neither the day before nor persistence knows, least squares on both do."""
    dataset = open_data(DataConfig(source=str(hourly(tmp_path, "K"))), context=context, horizon=6, seed=0)
    frames = torch.from_numpy(dataset.window("test", 0, 0).frames)[None]
    names = ["persistence", "seasonal", "linear", "linear:24h"]
    made = make_baselines(names, dataset, dataset)
    errors = {
        name: float((predictor.predict(frames[:, :context], 6) - frames[:, context:]).square().mean())
        for name, predictor in made.items()
    }
    assert errors["linear:24h"] < 0.1 * min(errors[name] for name in names[:-1])
    with pytest.raises(InputError, match=r"linear:26: got .* frames of context, expected 26 or more, one period"):
        make_base_alone("linear:26", dataset)
    with pytest.raises(UsageError, match="baseline: got 'calibrated:24h'"):
        choose_baselines(["calibrated:24h"], dataset, dataset)


def test_a_fitted_season_is_a_model_like_any_other(tmp_path: Path) -> None:
    recipe = read_recipe("linear:24h", [], {"data.source": str(hourly(tmp_path, "K")), "context": 24, "horizon": 2})
    assert recipe.base == LinearBase(period="24h")
    start(recipe, tmp_path / "run", Launch("cpu"), quiet=True)
    assert load(tmp_path / "run").name == "linear:24h"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fitted") / "run"
    recipe = read_recipe("calibrated", [], {"data.source": str(FMI), "context": 4, "horizon": 3})
    start(recipe, path, Launch("cpu"), quiet=True)
    return path


def test_a_fitted_base_is_a_model_like_any_other(fitted: Path) -> None:
    model = load(fitted)
    assert (model.name, model.origin.name, model.origin.step) == ("calibrated", "calibrated", "0")
    assert resume(fitted, Launch("cpu"), quiet=True).reason == "done"
    frames = torch.rand(1, 4, 1, 40, 44) * 40
    predicted = model.predict(frames, 3)
    ahead = [step.frame for step in model.ahead(((frame, None) for frame in frames.unbind(1)), 3)]
    torch.testing.assert_close(torch.stack(ahead, 1), predicted)


@pytest.mark.usefixtures("undrawn")
def test_it_is_judged_beside_what_it_was_fitted_on(fitted: Path, tmp_path: Path) -> None:
    board, _ = evaluate_run(
        str(fitted), {}, DEFAULT_OPTIONS._replace(metrics=("mse",), limit=3), tmp_path / "scores", quiet=True
    )
    names = ["calibrated", "calibrated matched", "persistence", "mean", "blank", "extrapolation"]
    assert list(board.scores) == names
    assert board.verdict is not None
    assert board.verdict.startswith("calibrated beats extrapolation, the best baseline: mse is ")
    assert board.as_dict()["verdict"] == board.verdict
    matched = DEFAULT_OPTIONS._replace(metrics=("mse",), limit=2, calibrate="matched", baselines=("linear",))
    board, _ = evaluate_run(str(fitted), {}, matched, tmp_path / "matched", quiet=True)
    assert list(board.scores) == ["calibrated matched", "calibrated", "linear"]


@pytest.mark.usefixtures("undrawn")
def test_without_a_training_split_none_is_fitted(tmp_path: Path) -> None:
    question = DEFAULT_OPTIONS._replace(split="all", baselines=("linear",), context=2, horizon=2)
    with pytest.raises(InputError, match="no training split"):
        evaluate_run("persistence", {"source": str(decaying(tmp_path))}, question, tmp_path / "out", quiet=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "base"}, "train": {"steps": 0}}, "base: got none"),
        ({"model": {"name": "base"}, "base": "linear"}, "fitted, not trained"),
        ({"train": {"steps": 0}}, "1 or more"),
    ],
)
def test_iterations_need_a_network_and_a_network_iterations(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate(changes)


def scores(*errors: float) -> Scores:
    """Scores of sequences whose frames are off by these numbers."""
    made = Scores(select_metrics("mse", spec=SPEC), 2, keep=len(errors))
    for number, error in enumerate(errors):
        truth = torch.zeros(1, 2, 1, 8, 8, dtype=torch.float64)
        made.update(truth + error, truth, None, [number])
    return made


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ((0.1, 0.1), (0.2, 0.2), "model beats mean, the best baseline: mse is 75 % below it (95 %: 75 % to 75 %)"),
        ((0.2, 0.2), (0.1, 0.1), "model loses to mean, the best baseline: mse is 300 % above it"),
        ((0.1, 0.3), (0.2, 0.2), "model is behind mean, the best baseline, but not for certain: mse is 25 % above it"),
        ((0.1,), (0.2,), "not for certain: mse is 75 % below it (no interval"),
    ],
)
def test_the_verdict_says_who_wins_by_how_much_and_whether_that_is_certain(
    ours: tuple[float, ...], theirs: tuple[float, ...], words: str
) -> None:
    board = {"model": scores(*ours), "mean": scores(*theirs), "blank": scores(*[0.9] * len(ours))}
    sentence = judge(board, ("mean", "blank"))
    assert sentence is not None
    assert words in sentence
    assert judge(board, ()) is None
    assert judge({"mean": board["mean"], "blank": board["blank"]}, ("mean", "blank")) is None


def test_a_comparison_is_judged_among_entries_and_beside_baselines() -> None:
    """0.1 off is 75 % less squared error than 0.2 off, 0.15 off 44 % less."""
    board = {
        "two": [scores(0.2, 0.2)],
        "one": [scores(0.05, 0.05), scores(0.15, 0.15)],
        "mean": [scores(0.3, 0.3)],
        "linear": [scores(0.01, 0.01)],
    }
    said = judge_entries(board, ("mean", "linear"))
    assert said is not None
    first, second = said.split("). ")
    assert (
        first == "one beats two, the next best: mse is 69 % below it (95 %: 69 % to 69 %"
    )  # (0.0025 + 0.0225) / 2 of 0.04
    assert second.startswith("one loses to linear, the best baseline: mse is 12400 % above it")
    assert judge_entries({name: board[name] for name in ("two", "mean")}, ("mean",)).startswith(
        "two beats mean, the best"
    )
    assert judge_entries({"two": [scores(math.nan)]}, ()) is None


def calibrated() -> Forecaster:
    recipe = Recipe.model_validate({"base": {"kind": "calibrated", "leads": 4}})
    return Forecaster(BaseAlone(), SPEC, Range(low=0, high=1), 1, context=4, base=recipe.base)


def test_another_step_is_bridged_by_a_base_that_moves_and_refused_else() -> None:
    model, slower = calibrated(), SPEC.model_copy(update={"step_minutes": 10.0})
    assert adapt_to_step(model, SPEC, None) == (model, [])
    adapted, notes = adapt_to_step(model, slower, None)
    assert adapted.pace == 2
    assert "10 min" in notes[0]
    assert model.base is not None
    with torch.no_grad():
        weights = model.network.base_head.base.weights  # type: ignore[union-attr]
        weights.zero_()
        weights[:, :, 0] = torch.arange(5.0)[:, None]
    # the last frame counts as often as the lead time has steps of the training
    frames = torch.full((1, 4, 1, 8, 8), 0.1)
    assert adapted.predict(frames, 2)[0, :, 0, 4, 4].tolist() == pytest.approx([0.2, 0.4])
    with pytest.raises(InputError, match=r"1\.25 to 20 min"):
        adapt_to_step(model, SPEC.model_copy(update={"step_minutes": 60.0}), None)
    plain = Forecaster(ConvLSTM(hidden=(2,), kernel_size=3), SPEC, Range(low=0, high=1), 1)
    with pytest.raises(InputError, match="as the model was trained"):
        adapt_to_step(plain, slower, None)
    assert adapt_to_step(plain, slower, 10.0) == (plain, [])


def test_a_model_without_a_base_has_nothing_to_match() -> None:
    from framecast.evaluation.predictors import make_model

    plain = Forecaster(ConvLSTM(hidden=(2,), kernel_size=3), SPEC, Range(low=0, high=1), 1)
    with pytest.raises(UsageError, match="no base to match"):
        make_model(plain, "convlstm", "matched", "cpu", to_dbz=False)


def test_motion_is_given_in_pixels_of_the_next_step() -> None:
    spec = FrameSpec(channels=1, height=64, width=64, units="dBZ", high=70.0, step_minutes=5.0)
    noise = torch.from_numpy(np.random.default_rng(3).random((1, 1, 96, 96)).astype(np.float32))
    smooth = torch.nn.functional.avg_pool2d(noise, 7, 1, 3)[0, 0] * 70
    frames = torch.stack([smooth[10 + t : 74 + t, 20 - 2 * t : 84 - 2 * t] for t in range(4)])[None, :, None]
    past = PastFrames.from_arrays(frames, spec)
    motion = estimate_forecast_motion(Extrapolation(spec).forecast(past, 2))
    assert motion.values.shape == (1, 1, 1, 2, 64, 64)
    assert motion.spec.names == ("motion_x", "motion_y")
    middle = motion.values[0, 0, 0, :, 16:48, 16:48].mean((1, 2))
    assert middle == pytest.approx([2, -1], abs=0.1)
