"""Sheets of small panels: lines, densities, points, masks; and animated maps. Figures are drawn without a display."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from framecast import files
from framecast.plotting.figure import COLOURS, add_legend, label_line, line_style, new_figure, save_figure

LETTER = 7
"""Width of a letter of an animation, pixels, at most."""
_EVERY = 10
"""Approximate number of markers on a line."""


class PanelLine(NamedTuple):
    """Line of a panel; one without a name is not in the legend."""

    name: str
    x: NDArray[Any]
    y: NDArray[Any]
    colour: int
    """Number of the colour and of the marker, from 0."""
    dashes: str = "-"


class Panel(NamedTuple):
    """Lines over a common horizontal axis."""

    title: str
    x: str
    y: str
    lines: Sequence[PanelLine]
    log: bool = False
    """Whether the vertical axis is logarithmic; values that are not positive leave a gap."""
    mark: float | None = None
    """Position of a dotted vertical line."""
    limits: tuple[float, float] | None = None
    """Ends of the vertical axis; None to leave the choice to matplotlib."""
    span: tuple[float, float] | None = None
    """Ends of the horizontal axis; None to leave the choice to matplotlib."""


class Field(NamedTuple):
    """Histogram of pairs of values in logarithmic colours, with the diagonal."""

    title: str
    x: str
    y: str
    counts: NDArray[Any]
    """(rows, columns), the first row at the bottom."""
    extent: tuple[float, float, float, float]
    """Left, right, bottom, top."""


class Scatter(NamedTuple):
    """Points of several groups; the axes have no meaning, and no labels."""

    title: str
    groups: Mapping[str, NDArray[Any]]
    """Points (P, 2) by name of the group."""


class Mask(NamedTuple):
    """Table of True and False."""

    title: str
    x: str
    y: str
    values: NDArray[Any]
    """(rows, columns), bool."""
    mark: float
    """Column after which a dotted line stands."""
    words: tuple[str, str]
    """Names of True and False in the legend."""


class ColourMatrix(NamedTuple):
    """Table of numbers in colours from blue through white, 0, to red."""

    title: str
    x: str
    y: str
    values: NDArray[Any]
    """(rows, columns), the first row at the top."""
    largest: float
    """Value of the deepest red."""


Drawing = Panel | Field | Scatter | Mask | ColourMatrix


class PanelFilm(NamedTuple):
    """Maps through time."""

    maps: NDArray[Any]
    """(T, H, W), not negative."""
    largest: float
    """Value of the lightest colour; 0 is the darkest."""


def draw_panels(path: Path, rows: Sequence[Sequence[Drawing]], note: str = "") -> None:
    """Draw a sheet of panels with one legend.

    Args:
        path: path of the PNG.
        rows: panels, from the top; rows may differ in length.
        note: text at the foot.
    """
    columns = max(map(len, rows))
    sheet = new_figure(max(5.0, 2.9 * columns + 0.3), 2.5 * len(rows) + 0.6)
    grid = sheet.subplots(len(rows), columns, squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        for axis, drawing in zip(axes, row, strict=False):
            _DRAW[type(drawing)](axis, drawing)
            axis.set_title(drawing.title, fontsize=8)
            axis.tick_params(which="both", labelsize=7)
        for axis in axes[len(row) :]:
            axis.axis("off")
    add_legend(sheet, list(grid.flat), note)
    save_figure(sheet, path)


def _draw_panel(axis: Axes, panel: Panel) -> None:
    for line in panel.lines:
        colour, marker = line_style(line.colour)
        y = np.where(line.y > 0, line.y, np.nan) if panel.log else line.y
        every = max(1, len(line.x) // _EVERY)
        axis.plot(
            line.x,
            y,
            line.dashes,
            color=colour,
            marker=marker,
            markersize=3,
            markevery=every,
            linewidth=1.1,
            label=label_line(line.name),
        )
    if panel.log:
        axis.set_yscale("log")
    if panel.limits is not None:
        margin = 0.03 * (panel.limits[1] - panel.limits[0])
        axis.set_ylim(panel.limits[0] - margin, panel.limits[1] + margin)
    if panel.span is not None:
        axis.set_xlim(panel.span)
    if panel.mark is not None:
        axis.axvline(panel.mark, color="black", linewidth=0.8, linestyle=":")
    if all(np.issubdtype(line.x.dtype, np.integer) for line in panel.lines):
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    _label(axis, panel)
    axis.grid(alpha=0.3)


def _draw_field(axis: Axes, field: Field) -> None:
    if field.counts.max() > 0:
        norm = LogNorm(1, float(max(2, field.counts.max())))
        axis.imshow(field.counts, origin="lower", extent=field.extent, aspect="auto", norm=norm, cmap="viridis")
    axis.axline((0, 0), slope=1, color=COLOURS[1], linewidth=1)
    axis.set_xlim(field.extent[:2])
    axis.set_ylim(field.extent[2:])
    _label(axis, field)


def _draw_scatter(axis: Axes, scatter: Scatter) -> None:
    for index, (name, points) in enumerate(scatter.groups.items()):
        axis.scatter(
            points[:, 0],
            points[:, 1],
            s=9,
            marker="ox"[index % 2],
            linewidths=0.8,
            color=("black", *COLOURS[1:])[index],
            label=label_line(name),
        )
    axis.set_xticks([])
    axis.set_yticks([])


def _draw_mask(axis: Axes, mask: Mask) -> None:
    rows, columns = mask.values.shape
    colours = ListedColormap([COLOURS[4], COLOURS[0]])
    axis.pcolormesh(
        np.arange(columns + 1) + 0.5,
        np.arange(rows + 1) + 0.5,
        mask.values,
        cmap=colours,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=0.4,
    )
    axis.axvline(mask.mark + 0.5, color="black", linewidth=1.2, linestyle=":")
    axis.invert_yaxis()
    for colour, word in zip((COLOURS[0], COLOURS[4]), mask.words, strict=True):
        axis.scatter([], [], marker="s", color=colour, label=word)  # for the legend
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_locator(MaxNLocator(5, integer=True))
    _label(axis, mask)


def _draw_matrix(axis: Axes, matrix: ColourMatrix) -> None:
    axis.imshow(matrix.values, cmap="RdBu_r", vmin=-matrix.largest, vmax=matrix.largest, interpolation="nearest")
    _label(axis, matrix)


def _label(axis: Axes, drawing: Panel | Field | Mask | ColourMatrix) -> None:
    axis.set_xlabel(drawing.x, fontsize=7, labelpad=2)
    axis.set_ylabel(drawing.y, fontsize=7, labelpad=2)


_DRAW: dict[type, Callable[[Axes, Any], None]] = {
    Panel: _draw_panel,
    Field: _draw_field,
    Scatter: _draw_scatter,
    Mask: _draw_mask,
    ColourMatrix: _draw_matrix,
}


def animate(
    path: Path,
    frames: Mapping[str, PanelFilm],
    rows: Mapping[str, Mapping[str, PanelFilm]],
    titles: Sequence[str],
    *,
    side: int = 56,
    milliseconds: int = 400,
) -> None:
    """Animate maps together: frames on the left, below each other, then a table of maps.

    Args:
        path: path of the GIF.
        frames: grey maps, by name.
        rows: maps by row and name; maps of one name share a column.
        titles: one for each time.
        side: height of a map, pixels.
        milliseconds: from one time to the next.

    Note:
        Each map is scaled by its own largest value, which stands over it.
    """
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    cells: list[tuple[int, int, str, PanelFilm, str]] = [
        (line, 0, name, film, "gray") for line, (name, film) in enumerate(frames.items())
    ]
    for line, (name, row) in enumerate(rows.items()):
        for symbol, film in row.items():
            cells.append(
                (line, 1 + columns.index(symbol), f"{name[:1].upper()}{name.split()[-1]} {symbol}", film, "viridis")
            )
    height = max(len(frames), len(rows))
    example = next(iter(frames.values())).maps
    width = max(side, round(side * example.shape[2] / example.shape[1]))
    across = max(8 + (1 + len(columns)) * (width + 6), 8 + LETTER * max(map(len, titles)))
    page = (across, 18 + height * (side + 16))
    pictures = []
    for t, title in enumerate(titles):
        image = Image.new("RGB", page, "white")
        pen = ImageDraw.Draw(image)
        pen.text((4, 2), title, fill="black")
        for line, column, name, film, colours in cells:
            left, top = 4 + column * (width + 6), 18 + line * (side + 16)
            values = np.clip(film.maps[t] / (film.largest or 1.0), 0, 1)
            picture = (colormaps[colours](values)[..., :3] * 255).round().astype(np.uint8)
            image.paste(Image.fromarray(picture).resize((width, side), Image.Resampling.NEAREST), (left, top + 12))
            pen.text((left, top), f"{name} {film.largest:.2g}" if column else name, fill="black", font_size=9)
        pictures.append(image)
    options: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "duration": milliseconds, "loop": 0}
    files.write(path, lambda file: pictures[0].save(file, format="GIF", **options))
