"""Layout of a step's state: its tensors, and how their axes grow with the frame."""

from __future__ import annotations

from typing import Literal, NamedTuple

from framecast.errors import UsageError

PROBES = (3, 5), (4, 7)
"""Frames, in multiples of the smallest one, by which it is found out how a state grows."""


class Multiple(NamedTuple):
    """Length of an axis: so many times the rows or columns of the frame, counted in the smallest frame."""

    axis: Literal["rows", "columns"] | None
    """None for an axis that does not grow."""
    factor: int

    def divide(self, divisor: int) -> Multiple:
        """Divide the length by one of its divisors."""
        return self._replace(factor=self.factor // divisor)


Size = int | Multiple
"""Length of an axis."""


class StateTensor(NamedTuple):
    """Part of the state of a step."""

    name: str
    sizes: tuple[Size, ...]
    """After the batch, its first axis."""


def describe_size(first: int, second: int) -> Size:
    """Describe the length of an axis by those that it has for the frames of `PROBES`.

    Raises:
        UsageError: a length that is no multiple of rows or columns.
    """
    if first == second:
        return first
    for axis, small, large in zip(("rows", "columns"), *PROBES, strict=True):
        factor = first // small
        if (first, second) == (factor * small, factor * large):
            return Multiple(axis, factor)  # type: ignore[arg-type]
    expected = "axes that are multiples of the frame's rows or columns"
    raise UsageError("export", got=f"a state whose axis grows from {first} to {second}", expected=expected)


def name_size(size: Size) -> str | int:
    """Name the length of an axis that grows, as in rows or 4_rows; a number stays one."""
    if isinstance(size, int):
        return size
    if size.axis is None:
        return size.factor
    return size.axis if size.factor == 1 else f"{size.factor}_{size.axis}"
