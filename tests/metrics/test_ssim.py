"""SSIM against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.metrics import SSIM


def oracle(variant: str, prediction: Tensor, truth: Tensor) -> np.ndarray:
    """Mean over the batch of skimage's SSIM, frame by frame."""
    y, x = prediction.clamp(0, 1).numpy(), truth.numpy()
    options: dict[str, object] = {"data_range": 1.0}
    if variant == "uint8":
        y, x = ((values.astype(np.float32) * np.float32(255)).astype(np.uint8) for values in (y, x))
        options = {"data_range": 255}
    elif variant == "range2":
        options = {"data_range": 2.0}
    elif variant == "gaussian":
        options |= {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    scores = np.zeros(y.shape[:2])
    for b, k in np.ndindex(scores.shape):
        scores[b, k] = structural_similarity(y[b, k], x[b, k], channel_axis=0, **options)
    return scores.mean(axis=0)


def score(variant: str, prediction: Tensor, truth: Tensor, valid: Tensor | None = None) -> np.ndarray:
    metric = SSIM(variant)
    return metric.close(metric.statistics(prediction, truth, valid).sum(dim=0)).numpy()


@pytest.mark.parametrize("variant", ["float", "uint8", "range2", "gaussian"])
@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**31),
    channels=st.integers(1, 3),
    height=st.integers(11, 20),
    width=st.integers(11, 20),
    darkness=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
)
def test_equals_scikit_image(variant: str, seed: int, channels: int, height: int, width: int, darkness: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(2, 2, channels, height, width, generator=generator, dtype=torch.float64) * darkness
    truth = truth * (torch.rand(truth.shape, generator=generator) > 0.5)
    noise = torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    prediction = 0.8 * truth + 0.1 * noise
    np.testing.assert_allclose(score(variant, prediction, truth), oracle(variant, prediction, truth), atol=1e-10)


@pytest.mark.parametrize("variant", ["float", "uint8", "range2"])
def test_smallest_frame(variant: str) -> None:
    prediction, truth = torch.rand(2, 1, 1, 1, 7, 7, dtype=torch.float64)
    np.testing.assert_allclose(score(variant, prediction, truth), oracle(variant, prediction, truth), atol=1e-10)


@pytest.mark.parametrize("variant", ["float", "uint8", "range2", "gaussian"])
def test_perfect_frames_score_one(variant: str) -> None:
    truth = torch.rand(2, 3, 1, 12, 12)
    truth[:, 1] = 0
    assert score(variant, truth, truth).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("variant", ["float", "gaussian"])
def test_only_fully_observed_windows_count(variant: str) -> None:
    prediction, truth = torch.rand(2, 1, 2, 1, 16, 20, dtype=torch.float64)
    valid = torch.ones(truth.shape, dtype=torch.bool)
    valid[:, 0, :, 13, 2:9] = False
    valid[:, 0, :, 14:, :] = False
    valid[:, 0, :, :, 12:] = False
    # Windows that reach row 13 would have to lie in columns 9..11, which are narrower: 13 rows, 12 columns are left.
    part = prediction[:, :1, :, :13, :12], truth[:, :1, :, :13, :12]
    expected = [score(variant, *part)[0], score(variant, prediction, truth)[1]]
    np.testing.assert_allclose(score(variant, prediction, truth, valid), expected, rtol=1e-12)


def test_frames_without_an_observed_window_are_left_out() -> None:
    prediction, truth = torch.rand(2, 2, 2, 1, 9, 9, dtype=torch.float64)
    valid = torch.ones(truth.shape, dtype=torch.bool)
    valid[0, 0, :, 4, 4] = False
    valid[:, 1, :, 4, 4] = False
    values = score("float", prediction, truth, valid)
    assert values[0] == pytest.approx(score("float", prediction[1:], truth[1:])[0], rel=1e-14)
    assert np.isnan(values[1])


def test_frames_smaller_than_the_window_are_refused() -> None:
    frames = torch.rand(1, 1, 1, 6, 30)
    with pytest.raises(InputError, match=r"ssim: got frames of 6 x 30 pixels, expected at least 7 x 7"):
        SSIM().statistics(frames, frames, None)
    with pytest.raises(InputError, match=r"at least 11 x 11"):
        SSIM("gaussian").statistics(torch.rand(1, 1, 1, 10, 30), torch.rand(1, 1, 1, 10, 30), None)


def test_unknown_variant() -> None:
    with pytest.raises(UsageError, match="float, uint8, range2, gaussian"):
        SSIM("uint16")
