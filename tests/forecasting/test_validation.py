"""What predictors are given: masked arrays, values beyond single precision, masks of numbers, states of other streams."""

import numpy as np
import pytest
import torch
from tests.fixtures.commands import unchecked

from framecast.errors import InputError, UsageError
from framecast.forecasting.baselines import Mean, Persistence
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predictor import PastFrames
from framecast.models import PredRNN
from framecast.transforms.normalize import Range
from framecast.types import Channel, FrameSpec

SPEC = FrameSpec(channels=1, height=8, width=8, low=0, high=255)
FRAMES = (255 * np.random.default_rng(0).random((2, 3, 1, 8, 8))).astype(np.float64)
HOLES = np.random.default_rng(1).random(FRAMES.shape) > 0.6


def forecaster(spec: FrameSpec = SPEC) -> Forecaster:
    torch.manual_seed(0)
    return Forecaster(PredRNN(hidden=(3,), kernel_size=3), spec, Range(low=0, high=255), 4)


def changed(value: float) -> np.ndarray:
    frames = FRAMES.copy()
    frames[1, 0, 0, 2, 2] = value
    return frames


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int32])
@pytest.mark.parametrize("predictor", [forecaster(), Persistence(SPEC), Mean(SPEC)])
def test_what_a_masked_array_masks_is_missing(predictor, dtype) -> None:
    frames = FRAMES.astype(dtype)
    masked = np.ma.masked_array(np.where(HOLES, dtype(77), frames), HOLES)
    expected = predictor.predict(frames, 2, ~HOLES)
    np.testing.assert_array_equal(predictor.predict(masked, 2), expected)
    seen = np.random.default_rng(2).random(FRAMES.shape) > 0.2
    np.testing.assert_array_equal(predictor.predict(masked, 2, seen), predictor.predict(frames, 2, seen & ~HOLES))
    np.testing.assert_array_equal(predictor.predict(np.ma.masked_array(frames), 2), predictor.predict(frames, 2))
    past = PastFrames.from_arrays(masked, SPEC)
    assert past.valid is not None
    np.testing.assert_array_equal(past.valid.numpy(), ~HOLES)


def test_masked_covariates_are_missing() -> None:
    model = forecaster(SPEC.model_copy(update={"covariates": (Channel(name="height", low=0, high=9),)}))
    covariates = np.random.default_rng(3).integers(0, 9, (2, 5, 1, 8, 8))
    holes = covariates == 4
    expected = model.predict(FRAMES, 2, covariates=np.where(holes, np.nan, covariates))
    np.testing.assert_array_equal(model.predict(FRAMES, 2, covariates=np.ma.masked_array(covariates, holes)), expected)
    with pytest.raises(InputError, match="covariates: got infinite or larger values"):
        model.predict(FRAMES, 2, covariates=np.where(holes, 1e39, covariates))


@pytest.mark.parametrize("predictor", [forecaster(), forecaster().double(), Persistence(SPEC)])
def test_values_that_single_precision_does_not_hold_are_refused(predictor) -> None:
    for value in (1e39, -1e39):
        with pytest.raises(InputError, match=r"values up to 1e\+39, expected at most 3.403e\+38"):
            predictor.predict(changed(value), 2)
    observed = np.isfinite(FRAMES)
    observed[1, 0, 0, 2, 2] = False
    expected = predictor.predict(FRAMES, 2, observed)
    np.testing.assert_array_equal(predictor.predict(changed(1e39), 2, observed), expected)


def test_no_forecast_is_nan_without_a_word() -> None:
    model = forecaster()
    model.normalizer = Range(low=0, high=1e-3)  # which makes it infinite
    with pytest.raises(InputError, match="the model's scale, 0 to 255"):
        model.predict(changed(3e38), 2)
    with pytest.raises(InputError, match="the model's scale, 0 to 255"):
        model.step(torch.from_numpy(changed(3e38)[:, 0]))


@pytest.mark.parametrize("other", [(3, 1, 8, 8), (1, 1, 8, 8), (2, 1, 8, 12)])
def test_a_state_belongs_to_its_stream(other: tuple[int, ...]) -> None:
    model = forecaster()
    _, state = model.step(torch.from_numpy(FRAMES[:, 0]))
    for advance in (model.step, lambda frame, before: model.branch(frame, before, 2)):
        with pytest.raises(InputError, match=r"a stream of frames \(2, 1, 8, 8\), expected that of frames"):
            advance(torch.zeros(other), state)
    following, _ = model.step(torch.from_numpy(FRAMES[:, 1]), state)
    assert following.shape == (2, 1, 8, 8)


@pytest.mark.parametrize("predictor", [forecaster(), Persistence(SPEC)])
@pytest.mark.parametrize(
    ("frames", "valid", "words"),
    [
        (FRAMES[:0], None, "shape"),
        (FRAMES[..., :0], None, "shape"),
        (FRAMES, np.ones(FRAMES.shape), "valid: got dtype torch.float64, expected booleans"),
        (FRAMES, np.ones(FRAMES.shape, np.uint8), "expected booleans"),
        (FRAMES, np.ones((2, 3, 1, 8, 7), bool), "that of the frames"),
        (FRAMES.tolist(), None, "got list, expected an array"),
        (FRAMES.astype(complex), None, "real numbers"),
        (torch.from_numpy(FRAMES.astype(complex)), None, "real numbers"),
    ],
)
def test_what_cannot_be_frames_is_said(predictor, frames, valid, words: str) -> None:
    for kind in (
        lambda values: values,
        lambda values: torch.from_numpy(values) if hasattr(values, "flags") else values,
    ):
        with unchecked(), pytest.raises(InputError, match=words):
            predictor.predict(kind(frames), 2, kind(valid))


@pytest.mark.parametrize("horizon", [2.0, True, "2", 0])
def test_horizons_are_whole_numbers(horizon: object) -> None:
    with unchecked(), pytest.raises(UsageError, match="horizon"):
        forecaster().predict(FRAMES, horizon)
