"""Arrows of motion: where they point, how far, and where there are none."""

from __future__ import annotations

import numpy as np
from matplotlib.quiver import Quiver

from framecast import FrameSpec
from framecast.plotting.arrows import MovingFrame, make_motion_figure
from framecast.types import Grid

SPEC = FrameSpec(channels=1, height=40, width=64, units="dBZ", high=70.0, step_minutes=5)
NORTH_UP = Grid(y=tuple(range(40, 0, -1)), x=tuple(range(64)))
SOUTH_UP = Grid(y=tuple(range(40)), x=tuple(range(64)))


def move(x: float, y: float) -> MovingFrame:
    motion = np.empty((2, 40, 64), np.float32)
    motion[:] = np.array([x, y])[:, None, None]
    return MovingFrame(np.zeros((1, 40, 64), np.float32), motion, "now")


def find_arrows(figure) -> list[Quiver]:
    return [part for axis in figure.axes for part in axis.collections if isinstance(part, Quiver)]


def test_an_arrow_is_the_way_of_some_steps() -> None:
    figure = make_motion_figure([move(0.5, -0.25)], SPEC, NORTH_UP)
    (arrows,) = find_arrows(figure)
    # 16 along the longer side: every 4 pixels, of which 4.8 hold the way of 5 steps
    assert len(arrows.U) == 16 * 10
    np.testing.assert_allclose(arrows.U, 5 * 0.5, atol=1e-6)
    np.testing.assert_allclose(arrows.V, 5 * -0.25, atol=1e-6)
    assert figure.texts[0].get_text() == "arrows: the way of 5 time steps, 25 min"
    # upward on the page: the axis of rows points down
    low, high = figure.axes[0].get_ylim()
    assert low > high


def test_north_is_up_whatever_the_order_of_the_rows() -> None:
    moving = move(0.0, 0.5)
    moving.motion[0, :20] = 0.25
    (arrows,) = find_arrows(make_motion_figure([moving], SPEC, SOUTH_UP))
    # down the rows is to the north here, and the first rows are drawn below
    np.testing.assert_allclose(arrows.V, -5 * 0.5, atol=1e-6)
    upper = arrows.XY[:, 1] < 20
    np.testing.assert_allclose(arrows.U[upper], 0.0, atol=1e-6)
    np.testing.assert_allclose(arrows.U[~upper], 5 * 0.25, atol=1e-6)


def test_what_rests_or_is_missing_has_no_arrow() -> None:
    figure = make_motion_figure([move(0.0, 0.0)], SPEC, NORTH_UP)
    assert find_arrows(figure) == []
    assert figure.texts[0].get_text() == "no motion was found"
    moving = move(1.0, 0.0)
    moving.frame[:, :, :32] = np.nan
    moving.motion[:, 20:] = 0.0
    (arrows,) = find_arrows(make_motion_figure([moving], SPEC, NORTH_UP))
    assert arrows.XY[:, 0].min() >= 32
    assert arrows.XY[:, 1].max() < 20


def test_panels_share_their_steps() -> None:
    fast, slow = find_arrows(make_motion_figure([move(4.0, 0.0), move(1.0, 0.0)], SPEC, NORTH_UP))
    np.testing.assert_allclose(fast.U, 4.0, atol=1e-6)
    np.testing.assert_allclose(slow.U, 1.0, atol=1e-6)
