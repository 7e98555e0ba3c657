"""Missing pixels from the reader to the score: what is under the mask has no say, and nobody forecasts the unknown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framecast.data import DataConfig, DataSet, FileSource, open_data
from framecast.evaluation.evaluate import evaluate, scoring_mask
from framecast.forecasting.baselines import BASELINES, Persistence
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predict import forecast_source
from framecast.forecasting.predictor import TensorPredictor
from framecast.metrics import select_metrics
from framecast.models import ConvLSTM
from framecast.recipe.losses import LossConfig, count_observed
from framecast.training.objective import Objective
from framecast.transforms.missing import Fill, fill_missing, mask_channel
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec, Window

SPEC = FrameSpec(channels=1, height=6, width=5, low=0.0, high=10.0)
FILLS: list[Fill] = ["low", "mean", "last"]
CONTEXT, HORIZON = 3, 2


def model(fill: Fill = "low", *, mask: bool = False, spec: FrameSpec = SPEC) -> Forecaster:
    torch.manual_seed(0)
    config = ConvLSTM(hidden=(3, 3), kernel_size=3)
    return Forecaster(config, spec, Range(low=0, high=10), 2, fill=fill, mask_channel=mask, context=CONTEXT).double()


def drawn(seed: int, share: float, batch: int = 2, time: int = CONTEXT + HORIZON) -> tuple[Tensor, Tensor]:
    """Frames and where they were observed."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, time, SPEC.channels, SPEC.height, SPEC.width)
    frames = 10 * torch.rand(shape, generator=generator, dtype=torch.float64)
    return frames, torch.rand(shape, generator=generator) >= share


def series(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1, 1)


def test_the_last_observed_value_fills() -> None:
    valid = torch.tensor([False, True, False, False, True, False]).view(1, -1, 1, 1, 1)
    got = fill_missing(series([9, 1, 9, 9, 2, 9]), valid, "last", torch.tensor(-5.0))
    assert got.flatten().tolist() == [-5, 1, 1, 1, 2, 2]


def test_the_mask_tells_what_was_known() -> None:
    valid = torch.tensor([True, False, False, True, False]).view(1, -1, 1, 1, 1)
    forecast = torch.tensor([[True, True, True, False, False, False, False]])
    assert mask_channel(valid, forecast).flatten().tolist() == [1, 0, 0, 1, 1, 1, 1]
    never = mask_channel(torch.zeros(1, 3, 1, 1, 1, dtype=torch.bool), forecast)
    assert not never.any(), "outside coverage"
    training = torch.tensor([[True, False, True, False, True]])  # frame 3 is not fed: nothing is known of its mask
    assert mask_channel(~valid, training).flatten().tolist() == [0, 0, 1, 1, 1]
    two = torch.tensor([[True, True], [True, False]]).view(1, 2, 2, 1, 1)
    assert mask_channel(two, torch.tensor([[True, True]])).flatten().tolist() == [1, 0], "all channels"


@settings(max_examples=25)
@given(
    seed=st.integers(0, 99),
    share=st.sampled_from([0.1, 0.5, 0.95]),
    fill=st.sampled_from(FILLS),
    mask=st.booleans(),
    lie=st.sampled_from([float("nan"), float("inf"), 1e30, -3.0]),
)
def test_what_is_under_the_mask_changes_no_loss_and_no_gradient(
    seed: int, share: float, fill: Fill, mask: bool, lie: float
) -> None:
    frames, valid = drawn(seed, share)
    known = torch.rand(2, 4, generator=torch.Generator().manual_seed(seed)) > 0.5
    known[:, 0] = True
    results = []
    for value in (0.0, lie):
        objective = Objective(model(fill, mask=mask), LossConfig(kind="l1l2"))
        there = torch.where(valid, frames, value)
        pixels = torch.tensor(float(max(1, count_observed(there, valid))))
        loss = objective(there, valid, known, pixels, 1.0)
        loss.backward()
        results.append([loss.detach(), *(p.grad for p in objective.parameters() if p.grad is not None)])
    assert all(torch.isfinite(value).all() for value in results[0])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("fill", FILLS)
def test_a_stream_with_holes_is_what_predict_sees(fill: Fill, mask: bool) -> None:
    forecaster = model(fill, mask=mask)
    frames, valid = drawn(1, 0.6)
    valid[:, 0, :, :2] = valid[:, 1, :, 0] = False
    state = None
    for t in range(4):
        following, state = forecaster.step(frames[:, t], state, valid[:, t])
    ahead = forecaster.branch(frames[:, 4], state, 3, valid[:, 4])
    assert torch.equal(ahead, forecaster.predict(frames, 3, valid))
    assert torch.equal(following[:, None], forecaster.predict(frames[:, :4], 1, valid[:, :4]))
    assert torch.equal(forecaster.branch(frames[:, 4], state, 3, valid[:, 4]), ahead), "state is a value"


def test_a_forecast_in_training_is_the_forecast() -> None:
    """Fed by its own output after the context, the objective sees what predict gives: mask and fill included."""
    forecaster = model("last", mask=True)
    frames, valid = drawn(2, 0.5)
    known = torch.tensor([[True] * CONTEXT + [False] * (HORIZON - 1)] * 2)
    future = forecaster.predict(frames[:, :CONTEXT], HORIZON, valid[:, :CONTEXT])
    counted = valid.clone()
    counted[:, :CONTEXT] = False
    error = ((future - frames[:, CONTEXT:]) / 10)[counted[:, CONTEXT:]].square().sum()
    whole = Objective(forecaster, LossConfig(reduction="tensorflow"))
    inside = forecaster.predict(frames[:, :1], 1, valid[:, :1])  # the first step's error, and the second's
    errors = [((inside[:, 0] - frames[:, 1]) / 10)[valid[:, 1]].square().sum()]
    errors.append(
        ((forecaster.predict(frames[:, :2], 1, valid[:, :2])[:, 0] - frames[:, 2]) / 10)[valid[:, 2]].square().sum()
    )
    loss = whole(frames, valid, known, torch.tensor(1.0), 1.0).detach()
    assert float(loss) == pytest.approx(0.5 * float(error + sum(errors)), rel=1e-9)


def test_the_network_is_told() -> None:
    frames, valid = drawn(3, 0.5)
    frames = torch.where(valid, frames, 0)  # as "low" fills: only the mask differs
    told, untold = model(mask=True), model()
    assert not torch.equal(told.predict(frames, 2, valid), told.predict(frames, 2))
    assert torch.equal(untold.predict(frames, 2, valid), untold.predict(frames, 2))


class TensorWindows:
    """Windows out of tensors (B, T, C, H, W), in every split."""

    def __init__(self, frames: Tensor, valid: Tensor) -> None:
        self.frames, self.valid = torch.where(valid, frames, torch.nan).float(), valid

    def count(self, split: str) -> int:
        return len(self.frames)

    def read(self, split: str, epoch: int, index: int) -> Window:
        return Window(self.frames[index].numpy(), self.valid[index].numpy())

    def event(self, split: str, index: int) -> None:
        """None: each window is one."""

    def training_frames(self) -> Iterator[np.ndarray]:
        return iter(self.frames.numpy())


def dataset(frames: Tensor, valid: Tensor) -> DataSet:
    return DataSet(SPEC, CONTEXT, HORIZON, (), "", "", True, (), TensorWindows(frames, valid), {})


class Lying(TensorPredictor):
    """Says something else, and wild, wherever nobody can know or nobody looked."""

    def __init__(self, inner: Any, wild: Tensor) -> None:
        self.inner, self.wild = inner, wild

    def predict(self, frames: Tensor, horizon: int, valid: Tensor | None = None, covariates: Any = None) -> Tensor:
        return torch.where(self.wild, 7.0, self.inner.predict(frames, horizon, valid))


def test_the_edge_of_a_radar_composite(tmp_path: Path) -> None:
    """On real frames: as many pixels are scored as can be known, and the others are NaN in the forecast."""
    config = DataConfig(source=str(Path(__file__).parents[1] / "fixtures" / "knmi_140.npz"), shrink=5)
    data = open_data(config, context=4, horizon=3, seed=0)
    valid = torch.from_numpy(data.window("val", 0, 0).valid)[None]
    assert 0 < int((~valid).sum()) < valid.numel()
    counted = evaluate(
        Persistence(data.spec), data, "val", select_metrics(["mse"], spec=data.spec), context=4, horizon=3
    )
    whole = [torch.from_numpy(data.window("val", 0, n).valid)[None] for n in range(data.count("val"))]
    assert counted.pixels == [sum(int(scoring_mask(v, 4)[0, k].sum()) for v in whole) for k in range(3)]
    radar = Forecaster(ConvLSTM(hidden=(2,), kernel_size=3), data.spec, data.normalizer(), 4, fill="last", context=4)
    source = FileSource(config)
    result = forecast_source(radar, source, 3)
    last = [source.read(n, source.lengths[n] - 4, source.lengths[n]).valid for n in source.latest]
    for found, seen in zip(result.values, last, strict=True):
        assert (np.isnan(found) == ~seen.any(0)).all()


@settings(max_examples=10)
@given(seed=st.integers(0, 99), name=st.sampled_from(["persistence", "mean", "blank", "forecaster"]))
def test_scores_see_neither_the_unobserved_nor_the_unknowable(seed: int, name: str) -> None:
    frames, valid = drawn(seed, 0.6, batch=3)
    valid[:, :CONTEXT, :, :2] = False  # out of coverage at first
    valid[:, CONTEXT, :, :2] = True  # then observed: nobody could know
    inner = model().float() if name == "forecaster" else BASELINES[name](SPEC)
    data = dataset(frames, valid)
    wild = ~scoring_mask(valid, CONTEXT)
    assert wild[:, 0, :, :2].all()
    results = []
    for predictor in (inner, Lying(inner, wild)):
        asked = select_metrics(["sse", "mae", "csi"], spec=SPEC, thresholds=[5.0])
        results.append(evaluate(predictor, data, "val", asked, context=CONTEXT, horizon=HORIZON).mean())
    assert results[0] == pytest.approx(results[1], rel=1e-12, nan_ok=True)
