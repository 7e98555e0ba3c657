"""What a kind of file is to framecast: two questions that it must answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from framecast.errors import InputError
from framecast.types import Grid


class Leaf(NamedTuple):
    """What one file says of its frames, before any of them is read."""

    shape: tuple[int, int, int]
    """Channels, rows, columns."""
    dtype: np.dtype[Any]
    """Of what `read` gives: bytes and integers as they are stored, or floats in `units` with NaN at missing pixels."""
    frames: int = 1
    """Frames in the file."""
    times: NDArray[Any] | None = None
    """Of each frame, UTC."""
    clock: NDArray[np.float64] | None = None
    """Seconds since the first frame, where only those are known."""
    step_minutes: float | None = None
    units: str | None = None
    missing: float | None = None
    """Value of missing pixels in files of plain numbers."""
    grid: Grid = Grid()
    grain: int = 1
    """Frames that are unpacked together."""
    notes: tuple[str, ...] = ()


@runtime_checkable
class Family(Protocol):
    """One kind of file. A new one is a class with these members and one line in `opening.py`."""

    @property
    def name(self) -> str:
        """For people: "KNMI HDF5"."""

    def look(self, path: Path) -> Leaf:
        """Read headers only.

        Raises:
            InputError: not such a file, damaged, or of a size that cannot be meant.
            UsageError: the library that it takes is not installed.
        """

    def read(self, path: Path, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of a file by their numbers, ascending: (n, C, H, W).

        Raises:
            InputError: the file is damaged.
        """


class Wish(NamedTuple):
    """What a user says about files, as far as a family can heed it."""

    variable: str | None = None
    """A variable, a quantity, a path inside the file; several with commas between them become channels."""
    colour: str = "auto"
    """"auto", "grey" or "rgb": of pictures and videos."""


class AbsentError(InputError):
    """A file does not hold the variable that is wanted; in a folder it is left out."""


def no_variable(wish: Wish, what: str) -> None:
    """Check that no variable is named where there is none to choose.

    Raises:
        InputError: one is.
    """
    if wish.variable is not None:
        raise InputError("variable", got=wish.variable, expected=f"none: {what} have no variables", fix="leave it out")
