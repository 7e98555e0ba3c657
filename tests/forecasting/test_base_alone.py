"""A base that forecasts alone, on data with covariates, channels of the past and missing pixels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from framecast import FrameSpec, PastFrames
from framecast.bases import BaseConfig, CalibratedBase, LinearBase, MeanBase, PersistenceBase, SeasonalBase
from framecast.forecasting.forecaster import Forecaster
from framecast.models import BaseAlone
from framecast.transforms.missing import Fill
from framecast.transforms.normalize import Range
from framecast.types import Channel

PLAIN = FrameSpec(
    channels=2, height=32, width=40, units="dBZ", high=60.0, past=(Channel(name="u", low=-9.0, high=9.0),)
)
GIVEN = PLAIN.model_copy(update={"covariates": (Channel(name="height", low=0.0, high=100.0),)})
BASES: tuple[BaseConfig, ...] = (
    PersistenceBase(),
    MeanBase(),
    SeasonalBase(period=2),
    LinearBase(leads=3),
    CalibratedBase(leads=3),
)


def make(base: BaseConfig, spec: FrameSpec, fill: Fill = "low", *, mask_channel: bool = False) -> Forecaster:
    """Make a model without a network; fitted weights are random, so that all features count."""
    normalizer = Range(low=0.0, high=60.0)
    model = Forecaster(BaseAlone(), spec, normalizer, 1, fill=fill, mask_channel=mask_channel, context=4, base=base)
    weights = getattr(model.base.base if model.base else None, "weights", None)
    if weights is not None:
        weights.copy_(torch.rand(weights.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


def draw() -> tuple[Tensor, Tensor, Tensor]:
    """Frames, their mask with a pixel that is never seen, and covariates with one that is missing."""
    generator = torch.Generator().manual_seed(0)
    frames = 60 * torch.rand(2, 4, 2, 32, 40, generator=generator)
    valid = torch.rand(2, 4, 2, 32, 40, generator=generator) < 0.9
    valid[:, :, 0, 5, 6] = False
    covariates = 100 * torch.rand(2, 7, 1, 32, 40, generator=generator)
    covariates[0, 3, 0, 1, 1] = torch.nan
    return frames.masked_fill(~valid, torch.nan), valid, covariates


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.kind)
@pytest.mark.parametrize(("fill", "mask_channel"), [("low", False), ("last", True)])
def test_covariates_and_the_mask_change_nothing(base: BaseConfig, fill: Fill, *, mask_channel: bool) -> None:
    frames, valid, covariates = draw()
    expected = make(base, PLAIN, fill).predict(frames, 3, valid)
    model = make(base, GIVEN, fill, mask_channel=mask_channel)
    torch.testing.assert_close(model.predict(frames, 3, valid, covariates), expected)
    ahead = model.ahead(zip(frames.unbind(1), valid.unbind(1), strict=True), 3, covariates.unbind(1))
    torch.testing.assert_close(torch.stack([step.frame for step in ahead], 1), expected)


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.kind)
def test_a_stream_forecasts_what_the_whole_does(base: BaseConfig) -> None:
    frames, valid, covariates = draw()
    model, state = make(base, GIVEN, "last", mask_channel=True), None
    for t in range(3):
        following, state = model.step(frames[:, t], state, valid[:, t], covariates[:, t + 1])
        so_far = model.predict(frames[:, : t + 1], 1, valid[:, : t + 1], covariates[:, : t + 2])
        torch.testing.assert_close(following, so_far[:, 0])
    branch = model.branch(frames[:, 3], state, 3, valid[:, 3], covariates[:, 4:])
    torch.testing.assert_close(branch, model.predict(frames, 3, valid, covariates))


def test_a_pixel_that_was_never_seen_is_not_forecast() -> None:
    frames, valid, covariates = draw()
    past = PastFrames(frames, GIVEN, valid, covariates=covariates)
    forecast = make(PersistenceBase(), GIVEN, "last").forecast(past, 3)
    assert forecast.frames.shape == (2, 1, 3, 1, 32, 40)
    missing = torch.isnan(forecast.frames).all(2)
    assert torch.equal(missing[:, 0], ~forecast.mask)
    assert torch.equal(~forecast.mask, ~valid[:, :, :1].any(1))
    newest = torch.where(valid[:, -1, :1], frames[:, -1, :1], torch.nan)
    seen = torch.isfinite(newest)
    torch.testing.assert_close(forecast.frames[:, 0, 0][seen], newest[seen])
