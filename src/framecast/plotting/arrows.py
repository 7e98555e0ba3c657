"""Motion as arrows over the frame at which it was found."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray

from framecast.calendars import format_step
from framecast.maps.outlines import trace_map
from framecast.plotting.colours import colour_scale
from framecast.plotting.figure import new_figure
from framecast.plotting.frames import draw_map_lines, to_colours
from framecast.plotting.view import PlotView, choose_view, is_plain
from framecast.types import FloatArray, FrameSpec, Grid

ARROWS = 16
"""Arrows along the longer side of a frame."""
PIXELS = 800
"""Pixels along the longer side, at most: larger frames are thinned."""
STEPS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500)
"""Time steps whose way an arrow may show."""
SIDE = 3.6
"""Width of a panel, inches."""
HEAD, FOOT = 0.25, 0.3
"""Room above and below the panels, inches."""
LEAST = 0.02
"""Way that is drawn, as a share of the distance between arrows: less is rest."""


class MovingFrame(NamedTuple):
    """A frame with its motion."""

    frame: FloatArray
    """(C, H, W), raw units, NaN where missing."""
    motion: FloatArray
    """(2, H, W), pixels per time step, to the right and down the rows."""
    title: str = ""
    place: Grid | None = None
    """Place of the frame, where it is another than that of all."""


def draw_motion(moving: Sequence[MovingFrame], spec: FrameSpec, grid: Grid) -> bytes:
    """Draw frames side by side, each with arrows of its motion, which all show the way of as many time steps.

    Args:
        moving: one or more, of one size.
        spec: of the frames.
        grid: of the frames; north is up where it says.

    Returns:
        a PNG.

    Example:
        >>> import framecast, numpy as np
        >>> from framecast.plotting.arrows import MovingFrame, draw_motion
        >>> from framecast.types import Grid
        >>> moving = MovingFrame(np.zeros((1, 20, 30)), np.ones((2, 20, 30)), "12:00")
        >>> spec = framecast.FrameSpec(channels=1, height=20, width=30, step_minutes=5)
        >>> draw_motion([moving], spec, Grid())[1:4]
        b'PNG'
    """
    file = io.BytesIO()
    make_motion_figure(moving, spec, grid).savefig(file, format="png")
    return file.getvalue()


def make_motion_figure(moving: Sequence[MovingFrame], spec: FrameSpec, grid: Grid) -> Figure:
    """Make the figure of `draw_motion`, of the same arguments."""
    view = choose_view(spec, grid, *(one.frame for one in moving))
    height, width = moving[0].frame.shape[-2:]
    steps = _choose_steps([one.motion for one in moving])
    bar = 0.0 if is_plain(view.spec) else 0.8
    tall = min(2.0, max(0.5, height / width)) * SIDE
    across, total = len(moving) * SIDE + bar + 0.2, tall + HEAD + FOOT
    figure = new_figure(across, total)
    axes = figure.subplots(1, len(moving), squeeze=False)[0]
    for axis, one in zip(axes, moving, strict=True):
        _draw_panel(axis, one, view, steps)
        draw_map_lines(axis, trace_map(one.place or grid))
    figure.subplots_adjust(0.01, FOOT / total, 1 - bar / across, 1 - HEAD / total, 0.04)
    text = f"arrows: the way of {_format_steps(steps, spec)}" if steps else "no motion was found"
    figure.text(0.01, 0.08 / total, f"{view.channel}; {text}" if view.channel else text, fontsize=8, color="0.3")
    if bar:
        place, scale = axes[-1].get_position(), colour_scale(view.spec)
        legend = figure.add_axes((place.x1 + 0.1 / across, place.y0, 0.1 / across, place.height))
        colours = figure.colorbar(ScalarMappable(scale.norm, scale.colormap), cax=legend, ticks=scale.ticks)
        colours.set_label("" if view.spec.units == "1" else view.spec.units, fontsize=8, labelpad=2)
        colours.ax.minorticks_off()
        colours.ax.tick_params(labelsize=7, length=2, pad=1)
    return figure


def _draw_panel(axis: Axes, one: MovingFrame, view: PlotView, steps: int) -> None:
    frame, motion = view.of(one.frame), one.motion[:, ::-1] if view.is_south_up else one.motion
    height, width = frame.shape[-2:]
    thin = math.ceil(max(height, width) / PIXELS)
    picture = to_colours(frame[:, ::thin, ::thin], view.spec)
    axis.imshow(picture, interpolation="nearest", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    axis.set_title(one.title, fontsize=8, pad=3)
    axis.axis("off")
    spacing = _space(frame)
    rows, columns = np.mgrid[spacing // 2 : height : spacing, spacing // 2 : width : spacing]
    way = steps * motion[:, rows, columns]
    way[1] *= -1 if view.is_south_up else 1
    drawn = (np.hypot(*way) > LEAST * spacing) & np.isfinite(frame[:, rows, columns]).all(0)
    if not drawn.any():
        return
    arrows = axis.quiver(
        columns[drawn],
        rows[drawn],
        way[0][drawn],
        way[1][drawn],
        angles="xy",
        scale_units="xy",
        scale=1,
        color="black",
        width=0.006,
        headwidth=3.5,
        headlength=4,
        headaxislength=3.6,
    )
    # seen on every colour
    arrows.set_path_effects([patheffects.withStroke(linewidth=1.8, foreground="white")])
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)


def _space(frame: NDArray[Any]) -> int:
    """Choose the distance between arrows, pixels."""
    return max(1, math.ceil(max(frame.shape[-2:]) / ARROWS))


def _choose_steps(motions: Sequence[FloatArray]) -> int:
    """Choose the time steps whose way an arrow shows, so that fast ones hardly meet; 0 where nothing moves."""
    fast = max(float(np.quantile(np.hypot(*motion), 0.95)) for motion in motions)
    room = 1.2 * _space(motions[0])
    if not fast * STEPS[-1] > LEAST * room:
        return 0
    return max(steps for steps in STEPS if steps == 1 or steps * fast <= room)


def _format_steps(steps: int, spec: FrameSpec) -> str:
    count = f"{steps} time step{'s' if steps > 1 else ''}"
    if spec.step_minutes is None:
        return count
    months = None if spec.step_months is None else steps * spec.step_months
    return f"{count}, {format_step(steps * spec.step_minutes, months)}"
