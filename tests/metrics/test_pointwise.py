"""Pixel errors and PSNR against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from framecast.metrics import FMAE, MAE, MSE, PSNR, RMSE, SSE, Metric
from framecast.metrics.reductions import quantise

SHAPE = (3, 4, 2, 6, 5)


def frames(seed: int = 0) -> tuple[Tensor, Tensor]:
    """A prediction that leaves [0, 1] on both sides, and a truth."""
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randn(SHAPE, generator=generator, dtype=torch.float64) + 0.5
    return prediction, torch.rand(SHAPE, generator=generator, dtype=torch.float64)


def score(metric: Metric, prediction: Tensor, truth: Tensor, valid: Tensor | None = None) -> np.ndarray:
    return metric.close(metric.statistics(prediction, truth, valid).sum(dim=0)).numpy()


def test_errors_equal_their_definitions() -> None:
    prediction, truth = frames()
    y, x = prediction.numpy(), truth.numpy()
    assert y.min() < 0
    assert y.max() > 1
    cut = np.clip(y, 0, 1)
    expected = {
        MSE(): ((cut - x) ** 2).mean(axis=(0, 2, 3, 4)),
        MSE(clip=False): ((y - x) ** 2).mean(axis=(0, 2, 3, 4)),
        SSE(): ((cut - x) ** 2).sum(axis=(2, 3, 4)).mean(axis=0),
        SSE(clip=False): ((y - x) ** 2).sum(axis=(2, 3, 4)).mean(axis=0),
        MAE(): np.abs(cut - x).mean(axis=(0, 2, 3, 4)),
        FMAE(): np.abs(y - x).sum(axis=(2, 3, 4)).mean(axis=0),
        RMSE(): np.sqrt(((cut - x) ** 2).mean(axis=(0, 2, 3, 4))),
        PSNR(): (-10 * np.log10(((cut - x) ** 2).mean(axis=(2, 3, 4)))).mean(axis=0),
    }
    for metric, value in expected.items():
        np.testing.assert_allclose(score(metric, prediction, truth), value, rtol=1e-12, err_msg=metric.name)


def test_names_of_the_variants() -> None:
    assert [m.name for m in (MSE(), MSE(clip=False), SSE(), SSE(clip=False), PSNR(), PSNR(uint8=True))] == [
        "mse", "mse_unclipped", "sse", "sse_unclipped", "psnr", "psnr_uint8",
    ]  # fmt: skip


def test_psnr_uint8_truncates_both_frames() -> None:
    prediction, truth = (values.float() for values in frames(1))
    y = (np.clip(prediction.numpy(), 0, 1) * np.float32(255)).astype(np.uint8).astype(float)
    x = (truth.numpy() * np.float32(255)).astype(np.uint8).astype(float)
    expected = (20 * np.log10(255) - 10 * np.log10(((y - x) ** 2).mean(axis=(2, 3, 4)))).mean(axis=0)
    np.testing.assert_allclose(score(PSNR(uint8=True), prediction, truth), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stored_grey_levels_survive_quantisation(dtype: torch.dtype) -> None:
    levels = torch.arange(256, dtype=dtype)
    assert torch.equal(quantise((levels / 255).view(1, 1, 1, 16, 16)).flatten(), levels.double())


def test_rmse_is_the_root_of_the_pooled_mse() -> None:
    prediction, truth = frames(2)
    np.testing.assert_allclose(score(RMSE(), prediction, truth) ** 2, score(MSE(), prediction, truth), rtol=1e-12)


@pytest.mark.parametrize("uint8", [False, True])
def test_psnr_of_a_perfect_frame_is_100_and_enters_the_mean_of_frames(uint8: bool) -> None:
    _, truth = frames()
    prediction = truth.clone()
    prediction[1:] = 1 - truth[1:]
    values = score(PSNR(uint8=uint8), prediction, truth)
    others = score(PSNR(uint8=uint8), prediction[1:], truth[1:])
    np.testing.assert_allclose(values, (100 + 2 * others) / 3, rtol=1e-12)


def test_sums_over_a_frame_are_averaged_over_frames_with_an_observed_pixel() -> None:
    truth = torch.zeros(3, 1, 1, 2, 2)
    prediction = torch.full_like(truth, 0.5)
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[0, ..., 0] = False
    valid[1] = False
    assert score(SSE(), prediction, truth, valid) == pytest.approx([(2 * 0.25 + 4 * 0.25) / 2])
    assert score(FMAE(), prediction, truth, valid) == pytest.approx([(2 * 0.5 + 4 * 0.5) / 2])
    assert score(MSE(), prediction, truth, valid) == pytest.approx([0.25])


def test_low_precision_is_summed_in_double() -> None:
    truth = torch.zeros(1, 1, 1, 300, 300, dtype=torch.bfloat16)
    prediction = torch.full_like(truth, 0.5)
    assert score(SSE(), prediction, truth) == pytest.approx([0.25 * 300 * 300], rel=1e-14)
