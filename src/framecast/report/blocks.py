"""Blocks of a page, which sections are made of; blocks.html has a macro for each kind, by its class name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup


class Text(NamedTuple):
    """A paragraph."""

    text: str
    small: bool = False


class Link(NamedTuple):
    """A paragraph that leads to a file beside the page."""

    text: str
    file: str
    """Name of the file, in the page's own folder."""


class Facts(NamedTuple):
    """List of names with values."""

    rows: Sequence[tuple[str, str]]


class TableCell(NamedTuple):
    """Cell of a table."""

    text: str
    small: str = ""
    """Small text under the text: an interval, a unit."""
    best: bool = False
    """Whether the text is bold."""


class Table(NamedTuple):
    """Table with a row for each name."""

    caption: str
    header: Sequence[TableCell]
    """Headings of the columns; the first is above the names."""
    rows: Sequence[tuple[TableCell, Sequence[TableCell]]]
    """Each row's name and the other cells."""


class Figure(NamedTuple):
    """Chart with its title."""

    title: str
    svg: Markup
    reading: str = ""
    """How to read it."""


class Figures(NamedTuple):
    """Charts side by side with one legend."""

    figures: Sequence[Figure]
    legend: Sequence[tuple[str, Markup]] = ()
    """Names, each with a swatch of its line."""
    note: str = ""

    @property
    def columns(self) -> int:
        """Charts in a row of a wide page, so that none stands alone in the last."""
        count = len(self.figures)
        return count if count <= 3 else next((columns for columns in (3, 4, 5) if count % columns != 1), 3)


class FilmStrip(NamedTuple):
    """Frames of one sequence side by side in one image, of which the player shows one frame at a time."""

    name: str
    src: str
    """Data URI of the image."""
    frames: int
    """Number of frames."""
    first: int
    """Lead time of its first frame; 0 is the last frame of the input."""
    alt: str
    is_light: bool = False
    """Whether most of it is white or light, so that a dark page shows it inverted."""


class PlayerSequence(NamedTuple):
    """One sequence of a player: films that are moved together, in columns."""

    name: str
    columns: Sequence[Sequence[FilmStrip]]
    map: int | None = None
    """Number of the map over its films; None for none."""


class ColourBar(NamedTuple):
    """Colours of values, from the left to the right."""

    name: str
    src: str
    """Data URI of an image of one row."""
    ticks: Sequence[tuple[float, str]]
    """Places of the labels, % of the width, and the labels."""
    is_light: bool
    """As of a film."""


class Player(NamedTuple):
    """Sequences to look through, frame by frame."""

    samples: Sequence[PlayerSequence]
    ratio: float
    """Width of a frame over its height."""
    first: int
    last: int
    """Lead times, from the first frame of the input to the last of the forecast."""
    step: tuple[float, str] | None
    """Time between frames and its unit, where known."""
    scales: Sequence[ColourBar]
    maps: Sequence[Markup] = ()
    """Definitions that the films of a sequence show by their number."""


class Picture(NamedTuple):
    """Image with its name."""

    name: str
    src: str
    """Data URI of the image."""


class Folded(NamedTuple):
    """Blocks, or a text with its line breaks, behind a summary that opens them."""

    summary: str
    blocks: Sequence[Any] = ()
    text: str = ""
    opened: bool = False
    """Whether it is open when the page is opened."""


Block = Text | Link | Facts | Table | Figures | Player | Picture | Folded


class Section(NamedTuple):
    """Part of a page with a heading and an entry in the table of contents."""

    id: str
    """Anchor of the section."""
    title: str
    blocks: Sequence[Block]


class Page(NamedTuple):
    """Page of a run or of a comparison."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    lead: str = ""
    """First sentence: what the page comes to."""
