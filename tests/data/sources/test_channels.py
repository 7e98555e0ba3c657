"""Channels that play different parts: targets, channels known in the past only, covariates."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
import torch
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from framecast.cli import app
from framecast.data import DataConfig, FileSource, open_data
from framecast.data.sources.channels import compute_calendar
from framecast.devices import Launch
from framecast.errors import InputError, UsageError
from framecast.evaluation.prepare import EvaluationOptions, evaluate_run
from framecast.forecasting.baselines import BASELINES, Mean
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load, save_forecaster
from framecast.forecasting.predict import forecast_source
from framecast.models import ConvConfig, ConvLSTM
from framecast.nn.cell import Cell, Memory, Step
from framecast.nn.network import Network, pixel_head
from framecast.recipe.losses import LossConfig
from framecast.recipe.recipe import Recipe, TrainConfig, ValidateConfig
from framecast.recipe.scheduled_sampling import Sampling, ScheduledSampling
from framecast.training.objective import Objective
from framecast.training.start import start
from framecast.transforms.normalize import Range
from framecast.types import Channel, FrameSpec

COVARIATES = (Channel(name="solar", low=0.0, high=100.0), Channel(name="z", low=-50.0, high=50.0))
SPEC = FrameSpec(channels=1, height=6, width=5, low=0.0, high=10.0, names=("rain",), covariates=COVARIATES)
PAST = SPEC.model_copy(
    update={"channels": 2, "step_minutes": 720.0, "past": (Channel(name="wind", low=0.0, high=2.0),)}
)


class Nothing(NamedTuple):
    """A state of nothing."""


class Pass(Cell):
    """What comes in goes out."""

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> Nothing:
        return Nothing()

    def forward(self, x: Tensor, memory: Memory, state: Nothing) -> Step:
        return Step(x, memory, state)

    def gates(self, x: Tensor, memory: Memory, state: Nothing) -> dict[str, Tensor]:
        return {"h": x}


class Last(nn.Module):
    """The first of the channels that are given, times a weight of 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.weight = channels, nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x[:, self.channels :][:, : self.channels]


class Echo(ConvConfig):
    """Predicts each frame to be its covariate."""

    name: Literal["echo"] = "echo"

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        return Network([Pass()], Last(channels))


class Deaf(ConvConfig):
    name: Literal["deaf"] = "deaf"

    def build(self, channels: int, height: int, width: int) -> Network:  # type: ignore[override]
        return Network([Pass()], pixel_head(channels, channels))


def forecaster(spec: FrameSpec = SPEC, patch: int = 2, **said: Any) -> Forecaster:
    torch.manual_seed(0)
    config = said.pop("config", ConvLSTM(hidden=(3, 3), kernel_size=3))
    return Forecaster(config, spec, Range(low=0, high=10), patch, **said).double()


def drawn(time: int, channels: int, scale: float = 10.0) -> Tensor:
    generator = torch.Generator().manual_seed(time + channels)
    return scale * torch.rand(2, time, channels, 6, 5, generator=generator, dtype=torch.float64)


def test_each_frame_is_predicted_with_its_own_covariates() -> None:
    """Known answer: an echo of the covariate gives that of the predicted time; one step earlier or later is wrong."""
    spec = SPEC.model_copy(update={"covariates": COVARIATES[:1]})
    echo = forecaster(spec, 1, config=Echo())
    frames, beside = drawn(3, 1), drawn(3 + 4, 1, 100)
    expected = beside / 10  # 0..100 of the covariate are 0..10 of the target
    torch.testing.assert_close(echo.predict(frames, 4, None, beside), expected[:, 3:])
    for shift in (-1, 1):
        shifted = beside.roll(shift, 1)
        assert not torch.allclose(echo.predict(frames, 4, None, shifted), expected[:, 3:])
    state = None
    for t in range(2):
        following, state = echo.step(frames[:, t], state, None, beside[:, t + 1])
        torch.testing.assert_close(following, expected[:, t + 1])
    torch.testing.assert_close(echo.branch(frames[:, 2], state, 4, None, beside[:, 3:]), expected[:, 3:])


def test_training_gives_each_frame_its_own_covariates_too() -> None:
    spec = SPEC.model_copy(update={"covariates": COVARIATES[:1]})
    objective = Objective(forecaster(spec, 1, config=Echo()), LossConfig())
    frames, known = drawn(5, 1), torch.tensor([[True, True, False, False]] * 2)
    pixels = torch.tensor(float(frames[:, 1:].numel()))

    def loss(beside: Tensor) -> float:
        return float(objective(torch.cat([frames, beside], 2), None, known, pixels, 1.0).detach())

    assert loss(10 * frames) < 1e-20
    assert loss(10 * frames.roll(1, 1)) > 0.01
    assert loss(10 * frames.roll(-1, 1)) > 0.01


@pytest.mark.parametrize("spec", [SPEC, PAST])
@pytest.mark.parametrize("mask", [False, True])
def test_streaming_equals_predicting_and_only_targets_come_out(spec: FrameSpec, mask: bool) -> None:
    model = forecaster(spec, mask_channel=mask, fill="last")
    frames, beside = drawn(4, spec.channels), drawn(4 + 3, 2, 50)
    expected = model.predict(frames, 3, None, beside)
    assert expected.shape == (2, 3, 1, 6, 5)
    state = None
    for t in range(3):
        _, state = model.step(frames[:, t], state, None, beside[:, t + 1])
    assert torch.equal(model.branch(frames[:, 3], state, 3, None, beside[:, 4:]), expected)
    arrays = model.predict(frames.numpy(), 3, None, beside.numpy())
    np.testing.assert_array_equal(arrays, expected.numpy())


def test_the_first_frame_s_covariates_have_no_say_and_all_others_do() -> None:
    model, frames, beside = forecaster(), drawn(3, 1), drawn(5, 2, 50)
    expected = model.predict(frames, 2, None, beside)
    for t in range(5):
        other = beside.clone()
        other[:, t] += 5
        changed = (model.predict(frames, 2, None, other) != expected).flatten(2).any(2).any(0).tolist()
        assert changed == [t > 0, t > 0] if t < 4 else changed == [False, True]


def test_channels_of_the_past_are_fed_on_but_not_given_out() -> None:
    model, frames, beside = forecaster(PAST), drawn(3, 2), drawn(5, 2, 50)
    other = frames.clone()
    other[:, :, 1] = 1.5
    assert not torch.equal(model.predict(frames, 2, None, beside), model.predict(other, 2, None, beside))


def test_missing_covariates_are_at_the_low_end() -> None:
    model, frames, beside = forecaster(), drawn(3, 1), drawn(5, 2, 50)
    hole, low = beside.clone(), beside.clone()
    hole[:, 2, 1, 1], low[:, 2, 1, 1] = torch.nan, -50
    assert torch.equal(model.predict(frames, 2, None, hole), model.predict(frames, 2, None, low))


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_see_targets_only(name: str) -> None:
    frames = drawn(3, 2)
    spec = FrameSpec(channels=1, height=6, width=5, low=0.0, high=10.0, step_minutes=720)
    got = BASELINES[name](PAST).predict(frames, 2, None, covariates=drawn(5, 2))
    assert torch.equal(got, BASELINES[name](spec).predict(frames[:, :, :1], 2))


def test_wrong_covariates_are_refused() -> None:
    model, frames = forecaster(), drawn(3, 1)
    with pytest.raises(InputError, match=r"covariates: got none, expected solar, z, shape \(2, 5, 2, 6, 5\)"):
        model.predict(frames, 2)
    with pytest.raises(InputError, match=r"got shape \(2, 4, 2, 6, 5\)"):
        model.predict(frames, 2, None, drawn(4, 2))
    plain = forecaster(FrameSpec(channels=1, height=6, width=5, low=0.0, high=10.0))
    with pytest.raises(InputError, match="got some, expected none, as trained"):
        plain.predict(frames, 2, None, drawn(5, 2))
    with pytest.raises(UsageError, match="argument extra"):
        forecaster(config=Deaf())
    assert forecaster(plain.spec, config=Deaf()).predict(frames, 1).shape == (2, 1, 1, 6, 5)


@pytest.mark.parametrize("spec", [SPEC, PAST])
def test_a_saved_model_knows_its_channels(tmp_path: Path, spec: FrameSpec) -> None:
    model = forecaster(spec, mask_channel=True, fill="last")
    save_forecaster(tmp_path / "model", model)
    again = load(tmp_path / "model")
    assert (again.spec, again.mask_channel, again.fill) == (spec, True, "last")
    frames, beside = drawn(3, spec.channels), drawn(5, 2, 50)
    assert torch.equal(again.predict(frames, 2, None, beside), model.predict(frames, 2, None, beside))
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    del about["mask_channel"]
    for key in ("names", "past", "covariates"):
        about["spec"].pop(key)
    assert FrameSpec.model_validate(about["spec"]).targets == spec.channels, "folders of earlier versions"


def test_hour_and_day() -> None:
    times = np.array(["2020-01-01T00:00", "2020-07-01T06:00", "2021-12-31T18:00"], "datetime64[m]")
    got = compute_calendar(times, ["hour", "day"])
    np.testing.assert_allclose(got[:, :2], [[0, 1], [1, 0], [-1, 0]], atol=1e-6)
    parts = np.array([0, (182 + 0.25) / 366, (364 + 0.75) / 365]) * 2 * np.pi
    np.testing.assert_allclose(got[:, 2:], np.stack([np.sin(parts), np.cos(parts)], 1), atol=1e-6)


TIMES = np.datetime64("2020-03-01T00:00", "ns") + np.arange(40) * np.timedelta64(1, "h")


def weather(path: Path, frames: int = 24, first: int = 0) -> Path:
    """Temperature that is all in its own forecast, humidity, a forecast, and orography without an axis of time."""
    number = np.random.default_rng(3)
    nwp = number.random((40, 6, 8), np.float32)
    dims, part = ("time", "y", "x"), slice(first, first + frames)
    fields: dict[str, Any] = {
        "t2m": (dims, (20 * nwp + 270)[part], {"units": "K"}),
        "q": (dims, number.random((40, 6, 8), np.float32)[part] / 100, {"units": "kg kg-1"}),
        "nwp": (dims, nwp[part], {"units": "1"}),
        "z": (("y", "x"), 900 * number.random((6, 8), np.float32), {"units": "m"}),
    }
    axes = {"time": TIMES[part], "y": np.arange(6.0), "x": np.arange(8.0)}
    xarray.Dataset(fields, axes).to_netcdf(path, engine="h5netcdf")
    return path


ROLES: dict[str, Any] = {
    "variable": "z,q,nwp,t2m",
    "targets": ("t2m",),
    "covariates": ("nwp", "z"),
    "calendar": ("hour",),
}


def test_windows_have_targets_then_the_past_then_covariates(tmp_path: Path) -> None:
    path = weather(tmp_path / "a.nc")
    found = FileSource(DataConfig(source=str(path), **ROLES))
    spec, frames = found.spec, found.read(0, 2, 5).frames
    assert (spec.channels, spec.targets, spec.names, spec.units) == (2, 1, ("t2m",), "K")
    assert [channel.name for channel in spec.past] == ["q"]
    assert [channel.name for channel in spec.covariates] == ["nwp", "z", "hour_sin", "hour_cos"]
    assert found.grid.variables == ("t2m",)
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        for place, name in enumerate(("t2m", "q", "nwp")):
            np.testing.assert_array_equal(frames[:, place], data[name].values[2:5])
        np.testing.assert_array_equal(frames[:, 3], np.broadcast_to(data["z"].values, (3, 6, 8)))
        assert (spec.low, spec.high) == pytest.approx((data["t2m"].values.min(), data["t2m"].values.max()))
        assert spec.covariates[1].high == pytest.approx(data["z"].values.max())
    angle = 2 * np.pi * np.arange(2, 5) / 24
    np.testing.assert_allclose(frames[:, 4, 0, 0], np.sin(angle), atol=1e-6)
    assert (frames[:, 5] == frames[:, 5, :1, :1]).all()


@settings(max_examples=15)
@given(order=st.permutations([0, 1, 2, 3]), targets=st.integers(1, 3), covariates=st.integers(0, 2))
def test_any_channels_may_be_chosen(tmp_path_factory, order: list[int], targets: int, covariates: int) -> None:
    array = np.random.default_rng(0).random((5, 4, 3, 2), np.float32)
    path = tmp_path_factory.mktemp("chosen") / "a.npy"
    np.save(path, array)
    covariates = min(covariates, 4 - targets)
    chosen, beside = order[:targets], order[targets : targets + covariates]
    rest = sorted(set(order) - {*chosen, *beside})
    found = FileSource(DataConfig(source=str(path), dims="tchw", targets=tuple(chosen), covariates=tuple(beside)))
    np.testing.assert_array_equal(found.read(0, 0, 5).frames, array[:, [*chosen, *rest, *beside]])
    assert (found.spec.targets, found.spec.channels) == (targets, targets + len(rest))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"targets": ("t2n",)}, "did you mean t2m"),
        ({"targets": ("t2m",), "covariates": ("t2m",)}, "got t2m twice, expected channels, each of one kind"),
        ({"covariates": ("t2m", "q", "nwp", "z")}, "got no target"),
        ({"targets": (7,)}, "or 0 to 3"),
    ],
)
def test_channels_that_cannot_be(tmp_path: Path, said: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        FileSource(DataConfig(source=str(weather(tmp_path / "a.nc")), variable="t2m,q,nwp,z", **said))


def test_a_calendar_needs_times(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((9, 4, 4), np.float32))
    found = FileSource(DataConfig(source=str(tmp_path / "a.npy"), calendar=("day",)))
    with pytest.raises(InputError, match="frames without times"):
        found.read(0, 0, 2)


def recipe(path: Path, **said: Any) -> Recipe:
    sampling: Sampling = ScheduledSampling(stop=1)
    return Recipe(
        model=ConvLSTM(hidden=(8,), kernel_size=1),
        patch=1,
        context=2,
        horizon=2,
        sampling=sampling,
        train=TrainConfig(steps=said.pop("steps", 100), batch_size=4, lr=5e-2, log_every=10),
        validate=ValidateConfig(every=60, sequences=2),
        data=DataConfig(source=str(path), **said),
    )


@pytest.mark.filterwarnings("ignore")
def test_a_network_learns_what_only_its_covariate_tells(tmp_path: Path) -> None:
    """Each frame is noise, and equal to the forecast of its own time: without the covariate there is nothing to learn."""
    path = weather(tmp_path / "a.nc", frames=40)
    start(recipe(path, **{**ROLES, "variable": "nwp,z,t2m"}), tmp_path / "run", Launch("cpu"), quiet=True)
    question = EvaluationOptions("test", ("mse",), baselines=("mean",))
    board, _ = evaluate_run(str(tmp_path / "run"), {}, question, device="cpu", quiet=True)
    scores = {name: found.mean()["mse"] for name, found in board.scores.items()}
    assert scores["convlstm"] < 0.05 * scores["mean"]


@pytest.mark.filterwarnings("ignore")
def test_covariates_from_training_to_a_file_of_the_future(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    past, future = weather(tmp_path / "a.nc", 24), weather(tmp_path / "b.nc", 6, 24)
    run, out = tmp_path / "run", tmp_path / "future.npy"
    start(recipe(past, steps=2, **ROLES), run, Launch("cpu"), quiet=True)
    about = json.loads((run / "data.json").read_text())
    assert [channel["name"] for channel in about["spec"]["covariates"]] == ["nwp", "z", "hour_sin", "hour_cos"]

    def predict(*said: object, out: Path = out) -> None:
        words = ["predict", run, past, "--horizon", 3, "--out", out, "--device", "cpu", "--quiet", *said]
        app(list(map(str, words)), standalone_mode=False)

    with pytest.raises(InputError, match=r"covariates nwp: got none of the future.*--covariates FILE"):
        predict()
    assert not out.exists()
    predict("--covariates", future)
    frames = np.load(out)
    assert frames.shape == (3, 1, 6, 8)
    # The same by hand: the frames' own covariates are in the file from hour 24 on.
    model = load(run)
    whole = FileSource(DataConfig(source=str(weather(tmp_path / "c.nc", 30)), **ROLES)).read(0, 22, 27).frames[None]
    by_hand = model.predict(whole[:, :2, :2], 3, None, whole[:, :, 2:])
    np.testing.assert_allclose(frames, by_hand[0], rtol=1e-5)
    late = weather(tmp_path / "late.nc", 6, 30)
    with pytest.raises(InputError, match="got no frame of 2020-03-02 00:00:00"):
        predict("--covariates", late, out=tmp_path / "other.npy")
    capsys.readouterr()


def test_constant_covariates_stay(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((8, 2, 4, 4), np.float32)
    array[:, 1] = array[0, 1]
    np.save(tmp_path / "a.npy", array)
    config = DataConfig(source=str(tmp_path / "a.npy"), dims="tchw", covariates=(1,))
    source = FileSource(config)
    model = Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), source.spec, Range(low=0, high=1), 1, context=3)
    result = forecast_source(model, source, 4)
    assert result.notes == ("covariates: 1, constant over the context, stay as they are",)
    beside = np.broadcast_to(array[None, :1, 1:], (1, 7, 1, 4, 4)).copy()
    np.testing.assert_array_equal(result.values[:, 0], model.predict(array[None, 5:, :1], 4, None, beside))
    array[-1, 1] += 1
    np.save(tmp_path / "b.npy", array)
    moved = FileSource(config.model_copy(update={"source": str(tmp_path / "b.npy")}))
    with pytest.raises(InputError, match="--covariates FILE"):
        forecast_source(model, moved, 4)
    np.save(tmp_path / "future.npy", np.arange(64, dtype=np.float32).reshape(4, 1, 4, 4))
    given_ = config.model_copy(update={"source": str(tmp_path / "future.npy")})
    beside = np.concatenate([array[None, 5:, 1:], np.arange(64, dtype=np.float32).reshape(1, 4, 1, 4, 4)], 1)
    np.testing.assert_array_equal(
        forecast_source(model, moved, 4, covariates=given_).values[:, 0],
        model.predict(array[None, 5:, :1], 4, None, beside),
    )
    with pytest.raises(InputError, match="expected 9 frames"):
        forecast_source(model, moved, 9, covariates=given_)


@pytest.mark.filterwarnings("ignore")
def test_scores_are_those_of_the_targets(tmp_path: Path) -> None:
    path = weather(tmp_path / "a.nc")
    chosen = open_data(DataConfig(source=str(path), **ROLES), context=2, horizon=2, seed=0)
    alone = open_data(DataConfig(source=str(path), variable="t2m"), context=2, horizon=2, seed=0)
    from framecast.evaluation.evaluate import evaluate
    from framecast.metrics import select_metrics

    results = [
        evaluate(Mean(data.spec), data, "test", select_metrics(["sse"], spec=data.spec), context=2, horizon=2).mean()
        for data in (chosen, alone)
    ]
    assert results[0] == results[1]
