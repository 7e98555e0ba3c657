"""What every predictor promises: networks, baselines, ensembles, and what somebody brings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import framecast
from framecast.errors import InputError, UsageError
from framecast.evaluation.reflectivity import DBZPredictor
from framecast.forecast import Forecast, ModelOrigin
from framecast.forecasting.baselines import BASELINES
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predictor import PastFrames, Predictor, TensorPredictor
from framecast.models import ConvLSTM
from framecast.nn.tiled_network import TileLayout
from framecast.transforms.normalize import Range
from framecast.types import Channel, FrameSpec, Grid

CONTEXT, HORIZON, HEIGHT, WIDTH = 6, 3, 16, 12
SPEC = FrameSpec(channels=1, height=HEIGHT, width=WIDTH, units="dBZ", low=0, high=70, step_minutes=360)
WITH_OTHERS = SPEC.model_copy(
    update={
        "channels": 2,
        "past": (Channel(name="wind", low=0, high=70),),
        "covariates": (Channel(name="height", low=0, high=70),),
    }
)
START = np.datetime64("2020-02-28T00:00", "ms")


def network(spec: FrameSpec = SPEC, **said: object) -> Forecaster:
    torch.manual_seed(0)
    scale = Range(low=0, high=70)
    return Forecaster(ConvLSTM(hidden=(4, 3), kernel_size=3), spec, scale, 2, context=CONTEXT, **said).double().eval()


class Ensemble:
    """Members that differ: the last frame, fainter and fainter. All by itself, as somebody else would write it."""

    def forecast(self, past: PastFrames, horizon: int) -> Forecast:
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        if past.frames.shape[2] != past.spec.channels:
            raise InputError("frames", got="other channels", expected=past.spec.channels)
        last = past.frames[:, None, -1:, : past.spec.targets].float().expand(-1, 3, horizon, -1, -1, -1)
        return past.make_forecast(last / torch.tensor([1.0, 2.0, 4.0])[:, None, None, None, None], ModelOrigin("faint"))


class Exported(TensorPredictor):
    """A function of arrays, as an exported network is one."""

    origin = ModelOrigin("exported")

    def predict(self, frames, horizon, valid=None, covariates=None):
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        if frames.shape[2] != 1:
            raise InputError("frames", got=f"{frames.shape[2]} channels", expected=1)
        return np.repeat(np.asarray(frames, np.float32)[:, -1:] ** 0.9, horizon, 1)


KINDS: dict[str, Predictor] = {
    **{name: kind(SPEC) for name, kind in BASELINES.items()},
    "network": network(),
    "network that is told what is missing": network(fill="last", mask_channel=True),
    "network of other channels and covariates": network(WITH_OTHERS),
    "network in tiles": network().tiled(TileLayout((6, 4), 2, None)),
    "network of rain rates": DBZPredictor(network()),
    "ensemble": Ensemble(),
    "exported": Exported(),
}
every_predictor = pytest.mark.parametrize("name", KINDS)


def past_of(name: str, batch: int = 3, missing: bool = True) -> PastFrames:
    """Rain that drifts; some pixels are missing now and then, the first rows of the second sequence always."""
    rng = np.random.default_rng(5)
    spec = getattr(KINDS[name], "spec", SPEC)
    rain = 30 + 30 * np.sin(np.add.outer(np.arange(HEIGHT + CONTEXT) / 2, np.arange(WIDTH) / 3))
    frames = np.stack([rain[time : time + HEIGHT] for time in range(CONTEXT)])[None, :, None]
    frames = frames + rng.random((batch, CONTEXT, spec.channels, HEIGHT, WIDTH))
    valid = rng.random(frames.shape) < 0.9
    valid[1:2, :, :, :4] = False
    shape = batch, CONTEXT + HORIZON, len(spec.covariates), HEIGHT, WIDTH
    times = START + np.arange(CONTEXT) * np.timedelta64(6, "h") + np.arange(batch)[:, None] * np.timedelta64(9, "D")
    return PastFrames.from_arrays(
        frames,
        spec,
        valid=valid if missing else None,
        times=times,
        covariates=rng.random(shape) * 70 if spec.covariates else None,
        grid=Grid(y=tuple(range(HEIGHT)), x=tuple(range(WIDTH)), variables=("rain",)),
    )


@every_predictor
@pytest.mark.parametrize("missing", [True, False])
def test_a_forecast_is_whole(name: str, missing: bool) -> None:
    predictor, past = KINDS[name], past_of(name, missing=missing)
    assert isinstance(predictor, framecast.Predictor)
    found = predictor.forecast(past, HORIZON)
    members = 3 if name == "ensemble" else 1
    assert found.frames.shape == (3, members, HORIZON, 1, HEIGHT, WIDTH)
    assert (found.members, found.values.dtype) == (members, np.float32)
    assert (found.spec.channels, found.spec.targets, found.spec.covariates) == (1, 1, ())
    assert (found.spec.units, found.grid) == ("dBZ", past.grid)
    seen = past.frames[:, :, :1].numpy() if past.valid is None else np.where(past.valid, past.frames, np.nan)[:, :, :1]
    np.testing.assert_array_equal(found.past_values, seen.astype(np.float32))
    expected = past.times[:, -1:] + np.arange(1, HORIZON + 1) * np.timedelta64(6, "h")
    np.testing.assert_array_equal(found.times, expected)
    np.testing.assert_array_equal(found.reference_times, past.times[:, -1])
    assert found.provenance.as_dict()["model"] == found.provenance.model.name != "of one's own"
    assert len(found.provenance.input_fingerprint) == 16


@every_predictor
def test_what_nobody_can_know_is_missing_and_nothing_else(name: str) -> None:
    past = past_of(name)
    found = KINDS[name].forecast(past, HORIZON)
    assert torch.equal(found.mask, past.valid[:, :, :1].any(1))
    assert not found.mask[1, :, :4].any()
    assert found.mask[0].all()
    assert torch.equal(found.frames.isfinite(), found.mask[:, None, None].expand(found.frames.shape))
    assert torch.equal(found.context.isfinite(), past.valid[:, :, :1])
    assert KINDS[name].forecast(past_of(name, missing=False), HORIZON).mask.all()


@every_predictor
def test_the_same_twice(name: str) -> None:
    once, again = (KINDS[name].forecast(past_of(name), HORIZON) for _ in range(2))
    np.testing.assert_array_equal(once.values, again.values)
    assert once.provenance.as_dict() == again.provenance.as_dict()


@every_predictor
def test_a_sequence_alone_is_what_it_is_in_a_batch(name: str) -> None:
    past, row = past_of(name), slice(1, 2)
    whole = KINDS[name].forecast(past, HORIZON).only(1)
    beside = None if past.covariates is None else past.covariates[row]
    one = replace(past, frames=past.frames[row], valid=past.valid[row], times=past.times[row], covariates=beside)
    alone = KINDS[name].forecast(one, HORIZON)
    np.testing.assert_allclose(alone.values, whole.values, rtol=1e-6, atol=1e-6)
    assert torch.equal(alone.mask, whole.mask)
    np.testing.assert_array_equal(alone.times, whole.times)
    assert alone.provenance.input_fingerprint != whole.provenance.input_fingerprint, "that of the whole batch"


@every_predictor
def test_numpy_and_torch_give_the_same(name: str) -> None:
    past = past_of(name)
    foreign = past.frames.numpy().astype(">f8")[..., ::-1][..., ::-1]
    arrays = PastFrames.from_arrays(
        foreign,
        past.spec,
        valid=past.valid.numpy(),
        times=past.times,
        covariates=None if past.covariates is None else past.covariates.numpy(),
    )
    expected, found = (KINDS[name].forecast(given, HORIZON) for given in (past, arrays))
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.provenance.input_fingerprint == expected.provenance.input_fingerprint


@every_predictor
def test_whole_numbers_are_frames_too(name: str) -> None:
    past = past_of(name, missing=False)
    bytes_ = replace(past, frames=past.frames.to(torch.uint8))
    found = KINDS[name].forecast(bytes_, HORIZON)
    expected = KINDS[name].forecast(replace(past, frames=bytes_.frames.float()), HORIZON)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6)


@every_predictor
def test_no_horizon_and_other_channels_are_refused(name: str) -> None:
    past = past_of(name)
    with pytest.raises(UsageError, match="horizon: got 0"):
        KINDS[name].forecast(past, 0)
    more = torch.cat([past.frames, past.frames], 2), torch.cat([past.valid, past.valid], 2)
    with pytest.raises(InputError, match="frames: got"):
        KINDS[name].forecast(replace(past, frames=more[0], valid=more[1]), HORIZON)


@pytest.mark.parametrize("name", [*BASELINES, "network"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_has_to_be_marked(name: str, value: float) -> None:
    past = past_of(name)
    frames = torch.where(past.valid, past.frames, value)
    assert KINDS[name].forecast(replace(past, frames=frames), HORIZON).frames[0].isfinite().all()
    with pytest.raises(InputError, match=r"frames: got \d+ NaN or infinite pixels, .* mark them in valid="):
        KINDS[name].forecast(replace(past, frames=frames, valid=None), HORIZON)


@pytest.mark.parametrize("unit", ["h", "ns"])
def test_times_are_stored_in_milliseconds(unit: str) -> None:
    past = past_of("persistence")
    given = replace(past, times=past.times.astype(f"datetime64[{unit}]"))
    assert given.times.dtype == KINDS["persistence"].forecast(given, 1).context_times.dtype == "datetime64[ms]"
    np.testing.assert_array_equal(given.times, past.times)


def test_times_that_do_not_fit_are_refused() -> None:
    past = past_of("persistence")
    with pytest.raises(InputError, match=r"times: got shape \(3, 2\), expected \(3, 6\)"):
        replace(past, times=past.times[:, :2])
    with pytest.raises(InputError, match="times: got dtype int64, expected datetime64"):
        replace(past, times=past.times.astype(np.int64))


@pytest.mark.parametrize("number", [-1, 3, 7])
def test_no_part_of_a_forecast_has_another_number(number: int) -> None:
    whole = KINDS["ensemble"].forecast(past_of("ensemble"), HORIZON)
    with pytest.raises(UsageError, match=f"sequence: got {number}, expected 0 to 2"):
        whole.only(number)
    with pytest.raises(UsageError, match=f"member: got {number}, expected 0 to 2"):
        whole.member(number)


def test_parts_of_a_forecast() -> None:
    whole = KINDS["ensemble"].forecast(past_of("ensemble"), HORIZON)
    second = whole.only(1)
    assert second.frames.shape == (1, 3, HORIZON, 1, HEIGHT, WIDTH)
    np.testing.assert_array_equal(second.values, whole.values[1:2])
    np.testing.assert_array_equal(second.context_times, whole.context_times[1:2])
    assert second.provenance is whole.provenance
    np.testing.assert_array_equal(whole.member(2).values, whole.values[:, 2:])
    np.testing.assert_allclose(whole.mean().values[:, 0], whole.values.mean(1), rtol=1e-6)
    alone = whole.member(0)
    assert alone.mean() is alone
    low = replace(whole, spec=whole.spec.model_copy(update={"low": 20.0, "high": 40.0})).clipped()
    assert (np.nanmin(low.values), np.nanmax(low.values)) == (20, 40)
    np.testing.assert_array_equal(np.isnan(low.values), np.isnan(whole.values))
    undated = replace(whole, spec=whole.spec.model_copy(update={"step_minutes": None}))
    assert undated.times is None
    assert undated.reference_times is None


def test_weights_that_are_trained_on_come_from_no_folder(tmp_path) -> None:
    framecast.save_forecaster(tmp_path / "model", network(), {"step": 7, "source": "elsewhere", "validation": {}})
    loaded = framecast.load(tmp_path / "model")
    past = past_of("network")
    about = loaded.forecast(past, 1).provenance.as_dict()
    assert (about["model"], about["step"], about["source"]) == ("convlstm", "7", "elsewhere")
    assert len(about["model_sha256"]) == 64
    assert loaded.tiled(TileLayout((6, 4), 2, None)).origin == loaded.origin
    loaded.train()
    assert loaded.eval().forecast(past, 1).provenance.model == ModelOrigin("convlstm")
