"""What every metric must keep: streaming, missing pixels, shapes, devices, perfect forecasts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framecast.metrics import EVENT_METRICS, METRICS, SCALE_METRICS, SPEC_METRICS, Metric, Scores, select_metrics
from framecast.types import FrameSpec

B, K, C, H, W = 6, 3, 2, 12, 13
SPEC = FrameSpec(channels=C, height=H, width=W, units="dBZ", low=0.0, high=70.0)
NAMES = [*METRICS, *SPEC_METRICS, *EVENT_METRICS, *SCALE_METRICS]
ALL = select_metrics(NAMES, spec=SPEC, thresholds=[15.0, 40.0], scales=[1, 4, 5])
EVERY = pytest.mark.parametrize("metric", ALL, ids=[metric.name for metric in ALL])


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, truth, valid; a corner of pixels is missing, and most of one frame."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(B, K, C, H, W, generator=generator)
    prediction = truth + 0.4 * torch.randn(truth.shape, generator=generator)
    valid = torch.ones(truth.shape, dtype=torch.bool)
    valid[:, :, :, 11:, 11:] = False
    valid[0, 0] = torch.rand(C, H, W, generator=generator) < 0.1
    valid[1, 1] = False
    return prediction, truth, valid


@EVERY
def test_statistics_are_float64_of_the_declared_size(metric: Metric) -> None:
    prediction, truth, valid = batch()
    for mask in (None, valid):
        statistics = metric.statistics(prediction, truth, mask)
        assert statistics.shape == (B, K, metric.size)
        assert statistics.dtype == torch.float64
        assert metric.close(statistics.sum(dim=0)).shape == (K,)
        assert metric.close(statistics.sum(dim=0)).isfinite().all()


@EVERY
def test_missing_pixels_never_matter(metric: Metric) -> None:
    prediction, truth, valid = batch()
    expected = metric.statistics(prediction, truth, valid)
    assert expected.isfinite().all()
    for in_truth, in_prediction in [(torch.nan, torch.nan), (torch.nan, 1e9), (1e9, torch.inf)]:
        y, x = torch.where(valid, prediction, in_prediction), torch.where(valid, truth, in_truth)
        assert torch.equal(metric.statistics(y, x, valid), expected)


@EVERY
def test_a_mask_of_ones_is_no_mask(metric: Metric) -> None:
    prediction, truth, _ = batch()
    everything = torch.ones_like(truth, dtype=torch.bool)
    assert torch.equal(metric.statistics(prediction, truth, everything), metric.statistics(prediction, truth, None))


@EVERY
def test_a_frame_without_observed_pixels_counts_nothing(metric: Metric) -> None:
    prediction, truth, _ = batch()
    nothing = torch.zeros_like(truth, dtype=torch.bool)
    statistics = metric.statistics(prediction, truth, nothing)
    assert not statistics.any()
    assert metric.close(statistics.sum(dim=0)).isnan().all()


@EVERY
def test_a_nan_in_the_prediction_is_never_hidden(metric: Metric) -> None:
    prediction, truth, _ = batch()
    prediction[2, 1, 0, 5, 5] = torch.nan
    values = metric.close(metric.statistics(prediction, truth, None).sum(dim=0))
    assert values.isnan().tolist() == [False, True, False]


@EVERY
def test_rows_of_sums_are_closed_one_by_one(metric: Metric) -> None:
    """The bootstrap closes all resamplings at once."""
    statistics = metric.statistics(*batch()).flatten(0, 1)
    whole = metric.close(statistics)
    alone = torch.cat([metric.close(row[None]) for row in statistics])
    assert torch.equal(whole.nan_to_num(-9), alone.nan_to_num(-9))


@EVERY
def test_metrics_that_share_statistics_have_the_same(metric: Metric) -> None:
    given_ = batch()
    for other in ALL:
        if metric.shared is not None and metric.shared == other.shared:
            assert torch.equal(metric.statistics(*given_), other.statistics(*given_))


@EVERY
def test_everything_stays_on_the_device(metric: Metric) -> None:
    """Meta tensors refuse to meet CPU tensors, and have no values to loop over."""
    frames, valid = (torch.empty(B, K, C, H, W, dtype=dtype, device="meta") for dtype in (torch.float32, torch.bool))
    for mask in (None, valid):
        statistics = metric.statistics(frames, frames, mask)
        assert statistics.device.type == "meta"
        assert metric.close(statistics.sum(dim=0)).shape == (K,)


@EVERY
def test_inputs_are_left_alone(metric: Metric) -> None:
    given_ = batch()
    before = [values.clone() for values in given_]
    metric.statistics(*given_)
    assert all(torch.equal(a, b) for a, b in zip(given_, before, strict=True))


@EVERY
def test_it_says_what_it_is(metric: Metric) -> None:
    assert metric.unit
    assert metric.better in ("less", "more", "one")
    assert len(metric.parts) in (0, metric.size)
    assert type(metric).__bases__ == (Metric,)


@EVERY
def test_more_noise_is_worse(metric: Metric) -> None:
    """`better` has the right sign; sharpness looks at the prediction alone, and noise is sharp."""
    truth = torch.linspace(0, 1, W).expand(B, K, C, H, W)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    little, much = (metric.close(metric.statistics(truth + s * noise, truth, None).sum(0)) for s in (0.02, 0.5))
    if metric.better == "one":
        pytest.skip("noise makes an event neither more nor less frequent of itself")
    worse_is_more = metric.better == "less" or metric.name == "sharpness"
    assert ((much > little) == worse_is_more).all()


PERFECT = {
    **dict.fromkeys(["mse", "mse_unclipped", "sse", "sse_unclipped", "mae", "fmae", "rmse", "far@15", "far@40"], 0.0),
    **dict.fromkeys(["psnr", "psnr_uint8", "sharpness_diff"], 100.0),
    **dict.fromkeys(["ssim", "ssim_uint8", "ssim_range2", "ssim_gaussian"], 1.0),
    **dict.fromkeys(["mse_raw", "mae_raw", "rmse_raw", "rapsd"], 0.0),
    **dict.fromkeys([f"fss@{threshold}/{scale}px" for threshold in (15, 40) for scale in (1, 4, 5)], 1.0),
    **dict.fromkeys(["bias@15", "bias@40", "csi@15", "csi@40", "pod@15", "pod@40", "hss@15", "hss@40"], 1.0),
}


def test_a_perfect_forecast() -> None:
    _, truth, valid = batch()
    for mask in (None, valid):
        scores = Scores(ALL, horizon=K)
        scores.update(truth, truth, mask)
        values = scores.by_lead()
        assert set(values) - set(PERFECT) == {"sharpness"}
        assert {m.name: m.perfect for m in ALL if m.perfect is not None}.items() <= PERFECT.items()
        for name, value in PERFECT.items():
            assert values[name] == pytest.approx([value] * K, abs=1e-12), name


@settings(max_examples=5)
@given(cuts=st.lists(st.integers(1, B - 1), unique=True).map(sorted), masked=st.booleans(), seed=st.integers(0, 99))
def test_any_split_of_the_data_gives_the_same_sums(cuts: list[int], masked: bool, seed: int) -> None:
    prediction, truth, valid = batch(seed)
    whole, pieces, merged = Scores(ALL, K), Scores(ALL, K), Scores(ALL, K)
    whole.update(prediction, truth, valid if masked else None)
    for start, stop in zip([0, *cuts], [*cuts, B], strict=True):
        part = prediction[start:stop], truth[start:stop], valid[start:stop] if masked else None
        process = Scores(ALL, K)
        process.update(*part)
        pieces.update(*part)
        merged.merge(process)
    for other in (pieces, merged):
        assert other.samples == whole.samples == B
        np.testing.assert_allclose(other.sums.numpy(), whole.sums.numpy(), rtol=1e-12)
