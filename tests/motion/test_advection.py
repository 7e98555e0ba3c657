"""Semi-Lagrangian advection: equal to pysteps, differentiable, exact for uniform motion."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from itertools import islice

import numpy as np
import pytest
import torch

from framecast.motion import advect, trace_back


def make_motion(height: int, width: int) -> torch.Tensor:
    """Make a smooth motion that turns and grows, pixels per frame, (1, 2, H, W)."""
    y, x = np.mgrid[:height, :width] / 20
    return torch.tensor(np.stack([3 + np.sin(y), -2 + np.cos(x + y)])[None], dtype=torch.float64)


def test_forecast_equals_that_of_pysteps() -> None:
    pytest.importorskip("pysteps")
    with redirect_stdout(io.StringIO()):
        from pysteps.extrapolation.semilagrangian import extrapolate
    rng = np.random.default_rng(0)
    frame, motion = rng.random((60, 73)), make_motion(60, 73)
    expected = extrapolate(frame, motion[0].numpy(), 8)
    for k, path in enumerate(islice(trace_back(motion), 8)):
        moved = advect(torch.from_numpy(frame)[None, None], path)[0, 0].numpy()
        known = path.inside[0, 0].numpy()
        # at the very border rounding decides
        assert (known != np.isfinite(expected[k])).sum() <= 3
        both = known & np.isfinite(expected[k])
        assert np.abs(moved - expected[k])[both].max() < 1e-5


def test_whole_pixels_are_moved_exactly() -> None:
    frame = torch.rand(2, 3, 20, 24)
    motion = torch.tensor([2.0, -1.0])[None, :, None, None].expand(2, -1, 20, 24).contiguous()
    path = list(islice(trace_back(motion), 3))[2]
    moved = advect(frame, path)
    torch.testing.assert_close(moved[..., :17, 6:], frame[..., 3:, :18], atol=1e-5, rtol=0)
    assert not path.inside[..., -3:, :].any()
    assert not path.inside[..., :6].any()


def test_gradients_reach_frame_and_motion() -> None:
    frame = torch.rand(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    motion = (0.3 * torch.rand(1, 2, 12, 12, dtype=torch.float64) + 0.1).requires_grad_()

    def forecast(frame: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        return advect(frame, list(islice(trace_back(motion), 2))[1])

    assert torch.autograd.gradcheck(forecast, (frame, motion), atol=1e-4)


def test_no_motion_changes_nothing() -> None:
    frame = torch.rand(1, 1, 9, 11)
    for path in islice(trace_back(torch.zeros(1, 2, 9, 11)), 3):
        torch.testing.assert_close(advect(frame, path), frame, atol=1e-6, rtol=0)
        assert path.inside.all()
