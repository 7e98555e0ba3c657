"""Both sharpness scores against explicit numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from framecast.errors import InputError
from framecast.metrics import Metric, Sharpness, SharpnessDifference


def laplacian(image: np.ndarray) -> np.ndarray:
    """Of an (H, W) image, pixel by pixel."""
    padded = np.pad(image, 1, mode="reflect")
    result = np.zeros_like(image)
    for i, j in np.ndindex(image.shape):
        a, b = i + 1, j + 1
        result[i, j] = padded[a - 1, b] + padded[a + 1, b] + padded[a, b - 1] + padded[a, b + 1] - 4 * padded[a, b]
    return result


def gradients(image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    result = np.zeros((height - 1, width - 1))
    for i, j in np.ndindex(result.shape):
        z = image[i + 1, j + 1]
        result[i, j] = abs(z - image[i, j + 1]) + abs(z - image[i + 1, j])
    return result


def score(metric: Metric, prediction: Tensor, truth: Tensor, valid: Tensor | None = None) -> np.ndarray:
    return metric.close(metric.statistics(prediction, truth, valid).sum(dim=0)).numpy()


@pytest.mark.parametrize("scale", [0.05, 0.2, 1.0])
def test_sharpness_is_the_greatest_absolute_laplacian(scale: float) -> None:
    prediction = torch.randn(3, 2, 2, 6, 5) * scale + 0.3
    grey = (np.clip(prediction.numpy(), 0, 1) * np.float32(255)).astype(np.uint8).astype(int)
    expected = [np.mean([max(min(abs(laplacian(c)).max(), 255) for c in s[k]) for s in grey]) for k in range(2)]
    assert score(Sharpness(), prediction, torch.rand_like(prediction)).tolist() == pytest.approx(expected, rel=1e-14)


def test_sharpness_is_cut_at_255() -> None:
    prediction = torch.zeros(1, 1, 1, 5, 5)
    prediction[..., 2, 2] = 1
    assert score(Sharpness(), prediction, prediction).tolist() == [255.0]


def test_the_border_is_reflected_without_repeating_it() -> None:
    prediction = torch.zeros(1, 1, 1, 3, 3, dtype=torch.float64)
    prediction[..., 1, 0] = 20 / 255  # the corner sees it twice: above and, by reflection, below
    assert score(Sharpness(), prediction, prediction).tolist() == [80.0]
    prediction[..., 1, 0] = 0
    prediction[..., 0, 0] = prediction[..., 1, 1] = 20 / 255
    prediction[..., 0, 1] = prediction[..., 1, 0] = 40 / 255
    assert abs(laplacian(prediction[0, 0, 0].numpy() * 255)).max() == pytest.approx(
        score(Sharpness(), prediction, prediction)[0]
    )


def test_sharpness_difference_equals_its_definition() -> None:
    prediction, truth = torch.randn(3, 2, 2, 6, 5, dtype=torch.float64), torch.rand(3, 2, 2, 6, 5, dtype=torch.float64)
    cut = prediction.clamp(0, 1).numpy()
    expected = []
    for k in range(2):
        means = [
            np.mean([abs(gradients(x) - gradients(y)) for x, y in zip(truth[b, k].numpy(), cut[b, k], strict=True)])
            for b in range(3)
        ]
        expected.append(np.mean([10 * np.log10(1 / mean) for mean in means]))
    np.testing.assert_allclose(score(SharpnessDifference(), prediction, truth), expected, rtol=1e-12)
    assert score(SharpnessDifference(), truth, truth).tolist() == [100.0, 100.0]


def test_only_pixels_with_observed_neighbours_count() -> None:
    prediction = torch.zeros(1, 1, 1, 7, 7)
    prediction[..., 1, 1] = 1
    prediction[..., 5, 5] = 10.5 / 255
    valid = torch.ones_like(prediction, dtype=torch.bool)
    valid[..., 1, 2] = valid[..., 2, 1] = valid[..., 1, 0] = valid[..., 0, 1] = False
    assert score(Sharpness(), prediction, prediction, valid).tolist() == [40.0]
    truth = prediction.clone()
    truth[..., 1, 1] = 0
    assert score(SharpnessDifference(), prediction, truth, valid).tolist() == [100.0]


@pytest.mark.parametrize("metric", [Sharpness(), SharpnessDifference()])
def test_frames_without_neighbours_are_refused(metric: Metric) -> None:
    frames = torch.rand(1, 1, 1, 1, 8)
    with pytest.raises(InputError, match=r"frames of 1 x 8 pixels, expected at least 2 x 2"):
        metric.statistics(frames, frames, None)
