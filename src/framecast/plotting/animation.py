"""Animation of a forecast: input, then prediction, with time stamps and the colour bar of the variable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from framecast import files
from framecast.calendars import format_times, to_calendar
from framecast.forecast import Forecast
from framecast.maps.outlines import MapLines, trace_map
from framecast.plotting.colours import colour_scale
from framecast.plotting.frames import to_colours
from framecast.plotting.view import is_plain, view_forecast
from framecast.types import FloatArray, FrameSpec

Pictures = Iterator[NDArray[np.uint8]]
"""Pictures (H', W', 3), all of one size."""
SMALL, LARGE = 256, 720
"""Width of a panel, pixels: small frames are enlarged to at least the first, large ones thinned to the second."""
TEXT = 13
"""Height of letters, pixels."""
LINE = TEXT + 5
"""Height of a line of text, pixels."""
GAP = 8
"""Pixels between panels."""
BAR_WIDTH, BAR_HEIGHT = 76, 176
"""Size of the colour bar with its labels, pixels; a higher panel makes it higher."""
COAST, BORDER = (40, 40, 40), (110, 110, 110)
"""Colours of lines of a map, RGB."""
MILLISECONDS = 200
"""Milliseconds from one picture to the next."""
LAST = 1000
"""Milliseconds for which the last picture is held before a GIF begins anew."""


def draw_pictures(forecast: Forecast, truth: FloatArray | None = None) -> Pictures:
    """Draw the truth (if any) beside the prediction, the input first on both sides.

    Args:
        forecast: its first sequence is drawn, as the mean of its members.
        truth: (K, C, H, W), raw units, rows as in the forecast; or None.

    Returns:
        J + K pictures, made one by one.
    """
    mean = forecast.mean()
    view = view_forecast(mean, *([] if truth is None else [truth]))
    context, prediction, spec = view.of(mean.past_values[0]), view.of(mean.values[0, 0]), view.spec
    sides = [("prediction", prediction)]
    sides = sides if truth is None else [("truth", view.of(truth)), *sides]
    stamps, channel = _format_stamps(forecast), view.channel
    bar, lines = None, trace_map(forecast.grid)
    for t in range(len(context) + len(prediction)):
        lead = t + 1 - len(context)
        stamp = [] if stamps is None else [f"{stamps[t].replace('T', ' ')} UTC"]
        below = [*stamp, channel] if channel else stamp
        panels = []
        for name, future in sides:
            picture = _resize(to_colours(context[t] if lead <= 0 else future[lead - 1], spec))
            picture = _draw_lines(picture, lines)
            panels.append(_label(picture, f"{'input' if lead <= 0 else name} {_format_lead(lead, spec)}", *below))
        if bar is None:
            header = LINE * (1 + len(below)) + 2
            bar = _draw_colour_bar(spec, max(BAR_HEIGHT, len(panels[0]) - header))
            bar = np.pad(bar, ((header, 0), (0, 0), (0, 0)), constant_values=255)
        yield _join([*panels, bar] if bar.size else panels)


def save_gif(path: Path, drawn: Pictures, milliseconds: int = MILLISECONDS) -> None:
    """Write a GIF that repeats.

    Args:
        path: path of the GIF.
        drawn: the pictures.
        milliseconds: from one picture to the next.
    """
    first, *others = (Image.fromarray(picture) for picture in drawn)
    times = [milliseconds] * len(others) + [max(LAST, milliseconds)]
    files.write(
        path,
        lambda file: first.save(file, "GIF", save_all=True, append_images=others, duration=times, loop=0),
    )


def _format_stamps(forecast: Forecast) -> NDArray[Any] | None:
    """Format the times of the first sequence, (J + K,) texts; None where they are unknown."""
    if forecast.times is None or forecast.context_times is None:
        return None
    times = np.concatenate([forecast.context_times[0], forecast.times[0]])
    return format_times(to_calendar(times, forecast.grid))


def _format_lead(lead: int, spec: FrameSpec) -> str:
    """Format a lead time with its unit; as a number of frames where the time step is unknown."""
    step = spec.step_minutes
    if step is None:
        return f"{lead:+d}" if lead else "0"
    if spec.step_months is not None:
        return f"{lead * spec.step_months:+d} mon" if lead else "0 mon"
    unit, length = ("s", 60 * step) if step < 1 else ("min", step) if step % 60 else ("h", step / 60)
    return f"{lead * length:+.4g} {unit}" if lead else f"0 {unit}"


def _resize(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat pixels, or keep every n-th one: no colour is mixed."""
    height, width = picture.shape[:2]
    thin = -(-max(height, width) // LARGE)
    if thin > 1:
        return picture[::thin, ::thin]
    times = max(1, min(-(-SMALL // width), LARGE // max(height, width)))
    return picture.repeat(times, 0).repeat(times, 1)


def _draw_lines(picture: NDArray[np.uint8], lines: MapLines | None) -> NDArray[np.uint8]:
    """Draw coasts and borders, if any are known, over a picture of a whole frame, whatever its size."""
    if lines is None:
        return picture
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    scale = np.array([image.width / lines.width, image.height / lines.height])
    for group, colour in ((lines.borders, BORDER), (lines.coasts, COAST)):
        for line in group:
            pen.line([tuple(point) for point in (scale * (line + 0.5) - 0.5).tolist()], fill=colour)
    return np.asarray(image)


def _label(picture: NDArray[np.uint8], *lines: str) -> NDArray[np.uint8]:
    """Put lines of text above a picture, which is widened to hold them."""
    font = ImageFont.load_default(TEXT)
    width = max(picture.shape[1], *(4 + int(font.getlength(text)) for text in lines))
    image = Image.new("RGB", (width, picture.shape[0] + len(lines) * LINE + 2), "white")
    draw = ImageDraw.Draw(image)
    for row, text in enumerate(lines):
        draw.text((2, 1 + row * LINE), text, fill=(90, 90, 90) if row else "black", font=font)
    image.paste(Image.fromarray(picture), (0, image.height - picture.shape[0]))
    return np.asarray(image)


def _join(panels: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Join panels from left to right, their tops in line, on white."""
    height = max(len(panel) for panel in panels)
    whole = [np.pad(p, ((0, height - len(p)), (0, GAP), (0, 0)), constant_values=255) for p in panels]
    return np.concatenate(whole, 1)[:, :-GAP]


def _draw_colour_bar(spec: FrameSpec, height: int) -> NDArray[np.uint8]:
    """Draw the colour bar with its labels; of width 0 where frames are pictures."""
    if is_plain(spec):
        return np.empty((height, 0, 3), np.uint8)
    scale = colour_scale(spec)
    figure = Figure(figsize=(BAR_WIDTH / 100, height / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axis = figure.add_axes((0.04, 6 / height, 0.18, 1 - 12 / height))
    bar = figure.colorbar(ScalarMappable(scale.norm, scale.colormap), cax=axis, ticks=scale.ticks)
    bar.set_label("" if spec.units == "1" else spec.units, fontsize=8, labelpad=3)
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=8, length=2, pad=2)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
