"""Estimation of motion: known shifts are found, by OpenCV and without it; dry, missing and single frames have none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from framecast.motion import estimate, estimate_motion, expand_motion


def make_rain(shift: tuple[float, float], frames: int = 4, size: tuple[int, int] = (120, 140)) -> NDArray[np.float64]:
    """Make frames of a random pattern that moves by (x, y) pixels a frame, dBZ."""
    rng = np.random.default_rng(1)
    pattern = np.fft.fft2(gaussian_filter(rng.standard_normal(size), 4, mode="wrap"))
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])
    moved = [
        np.fft.ifft2(pattern * np.exp(-2j * np.pi * t * (shift[0] * fx + shift[1] * fy))).real for t in range(frames)
    ]
    values = np.stack(moved)
    return np.clip(30 * values / values.std(), 0, 60)


@pytest.fixture(params=["OpenCV", "without"])
def estimator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Estimate with and without OpenCV."""
    if request.param == "without":
        monkeypatch.setattr(estimate, "import_opencv", lambda: None)
    else:
        pytest.importorskip("cv2")
    return str(request.param)


@pytest.mark.parametrize("shift", [(3.0, -2.0), (-1.5, 4.5), (0.0, 0.0)])
def test_uniform_motion_is_found(estimator: str, shift: tuple[float, float]) -> None:
    motion = expand_motion(torch.from_numpy(estimate_motion(make_rain(shift)))[None], 120, 140)[0]
    inner = motion[:, 20:-20, 20:-20]
    for component, expected in zip(inner, shift, strict=True):
        assert abs(float(component.mean()) - expected) < 0.15
        assert float((component - expected).abs().max()) < 1.0


def test_missing_pixels_are_not_tracked(estimator: str) -> None:
    rain = make_rain((3.0, 2.0))
    rain[:, 40:80, 50:90] = np.nan
    motion = estimate_motion(rain)
    assert np.isfinite(motion).all()
    assert abs(np.median(motion[0]) - 3) < 0.3
    assert abs(np.median(motion[1]) - 2) < 0.3


@pytest.mark.parametrize("frames", [np.zeros((4, 50, 60)), np.full((4, 50, 60), np.nan), np.ones((1, 50, 60))])
def test_without_anything_to_track_there_is_no_motion(estimator: str, frames: NDArray[np.float64]) -> None:
    motion = estimate_motion(frames)
    assert motion.shape == (2, 8, 9)
    assert not motion.any()


def test_small_frames(estimator: str) -> None:
    assert estimate_motion(np.random.default_rng(0).random((4, 7, 5))).shape == (2, 2, 2)


def test_motion_of_the_newest_frames_counts(estimator: str) -> None:
    rain = make_rain((2.0, 0.0), frames=9)
    np.testing.assert_array_equal(estimate_motion(rain), estimate_motion(rain[-4:]))
