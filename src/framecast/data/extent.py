"""Some frames of a source, by their numbers or their times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.pieces import Piece
from framecast.errors import InputError

Extent = tuple[int, int] | tuple[datetime, datetime]
"""From the first up to, not with, the last: numbers, or times in UTC."""


def chosen(
    lengths: Sequence[int],
    firsts: Sequence[int],
    times: Callable[[int], NDArray[Any] | None],
    wanted: Extent | None,
    name: str,
) -> list[Piece]:
    """What is wanted of each stored sequence; sequences of which nothing is are left out.

    Args:
        lengths: frames of each.
        firsts: number of the first frame of each: those of a file with times are counted in its order of time, whatever
            its gaps; those of independent sequences from 0 in each.
        times: sequence to the time of each of its frames, None where unknown.
        wanted: which frames; None for all.
        name: the source, for errors.

    Raises:
        InputError: times where none are known, or no frame that is wanted.
    """
    if wanted is None:
        return [Piece(number, 0, length) for number, length in enumerate(lengths)]
    found = []
    for number, (length, first) in enumerate(zip(lengths, firsts, strict=True)):
        if isinstance(wanted[0], datetime):
            moments = times(number)
            if moments is None:
                fix = "give the numbers of frames, as in frames: [0, 20]"
                raise InputError(
                    f"{name}: frames", got="a span of time", expected="data that know their times", fix=fix
                )
            begin, end = np.searchsorted(moments, np.array(wanted, "datetime64[ms]")).tolist()
        else:
            begin, end = (min(max(int(edge) - first, 0), length) for edge in wanted)
        if begin < end:
            found.append(Piece(number, begin, end - begin))
    if not found:
        last = max(first + length for first, length in zip(firsts, lengths, strict=True)) - 1
        got = " to ".join(str(edge) for edge in wanted)
        raise InputError(f"{name}: frames", got=got, expected=f"some of frames 0 to {last}, or their times")
    return found
