"""What a page is made of. Sections put these together from numbers; blocks.html says how each looks.

It has a macro of the same name for each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup


class Text(NamedTuple):
    """A paragraph."""

    text: str


class Facts(NamedTuple):
    """Names with values."""

    rows: Sequence[tuple[str, str]]


class TableCell(NamedTuple):
    """Of a table."""

    text: str
    small: str = ""
    """Under the text: an interval, a unit."""
    best: bool = False


class Table(NamedTuple):
    """A row for each name."""

    caption: str
    header: Sequence[TableCell]
    """The first is above the names."""
    rows: Sequence[tuple[TableCell, Sequence[TableCell]]]


class Figure(NamedTuple):
    """A chart with what stands above it."""

    title: str
    svg: Markup


class Figures(NamedTuple):
    """Charts side by side with one legend."""

    figures: Sequence[Figure]
    legend: Sequence[tuple[str, Markup]] = ()
    """Names, each with a piece of its line."""
    note: str = ""


class Film(NamedTuple):
    """Frames of one sequence side by side in one picture."""

    name: str
    src: str
    """A data URI."""
    frames: int
    first: int
    """Lead time of its first frame; 0 is the last frame of the input."""
    alt: str


class FilmSample(NamedTuple):
    """One sequence: films that are moved together, in columns."""

    name: str
    columns: Sequence[Sequence[Film]]


class Player(NamedTuple):
    """Samples to look through, frame by frame."""

    samples: Sequence[FilmSample]
    ratio: float
    """Width of a frame over its height."""
    first: int
    last: int
    """Lead times, from the first frame of the input to the last of the forecast."""
    step: tuple[float, str] | None
    """Time between frames and its unit, where known."""
    scales: Sequence[tuple[str, str, str, str]]
    """Colour bars: name, data URI, lower end, upper end."""


class Picture(NamedTuple):
    """A picture of the run's folder."""

    name: str
    src: str


class Folded(NamedTuple):
    """Blocks, or a text with its line breaks, behind a line that opens them."""

    summary: str
    blocks: Sequence[Any] = ()
    text: str = ""
    opened: bool = False


Block = Text | Facts | Table | Figures | Player | Picture | Folded


class Section(NamedTuple):
    """A part of a page that the contents name."""

    id: str
    title: str
    blocks: Sequence[Block]


class Page(NamedTuple):
    """One page."""

    title: str
    subtitle: str
    sections: Sequence[Section]
