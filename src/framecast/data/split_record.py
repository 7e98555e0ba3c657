"""What is in which split: for people, for the run's folder, and for what is fitted to training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.apart import Block, span
from framecast.data.source import Source
from framecast.data.splits import Split

TOLD = 3
"""So many blocks of a split are told one by one."""
PIECE = 16
"""Frames that are read at once, at most."""
VALUES = 1 << 24
"""Values that are read at once, about: large frames one by one, as several copies of them are made."""
FITTED = 10_000
"""Of more frames, an even sample of about so many is read."""


def told(parts: Split, source: Source) -> list[str]:
    """One line for each split: its frames, and their times where they are known."""
    lines = []
    for name, blocks in parts.blocks.items():
        if blocks:
            more = f" and {len(blocks) - TOLD} more blocks" if len(blocks) > TOLD else ""
            lines.append(f"{name}: {'; '.join(_named(block, source) for block in blocks[:TOLD])}{more}")
    return lines


def record(parts: Split, source: Source) -> dict[str, Any]:
    """The same in full, plain values."""
    blocks = {name: [_described(block, source) for block in members] for name, members in parts.blocks.items()}
    windows = {name: len(members) for name, members in parts.windows.items()}
    return {"hash": parts.hash, "how": parts.how, "gap": parts.gap, "windows": windows, "blocks": blocks}


def frames_of(source: Source, blocks: Sequence[Block]) -> Iterator[NDArray[np.float32]]:
    """The frames of blocks once each, in pieces (T, C, H, W), raw units; of very many an even sample of the pieces.

    Raises:
        InputError: frames cannot be read.
    """
    channels = source.spec.channels + len(source.spec.covariates)
    room = [max(1, min(PIECE, VALUES // (channels * height * width))) for height, width in source.sizes]
    pieces = [
        (b.sequence, at, min(at + room[b.sequence], b.end))
        for b in blocks
        for at in range(b.begin, b.end, room[b.sequence])
    ]
    every = -(-sum(block.end - block.begin for block in blocks) // FITTED)
    return (source.read(*piece).frames for piece in pieces[:: max(1, every)])


def _named(block: Block, source: Source) -> str:
    ends, sequence = span(source, block), f" of sequence {block.sequence}" if len(source.lengths) > 1 else ""
    text = f"frames {block.begin} to {block.end - 1}{sequence}"
    return text if ends is None else f"{text}, {_short(ends[0])} to {_short(ends[1])}"


def _described(block: Block, source: Source) -> dict[str, Any]:
    ends = span(source, block)
    times = {} if ends is None else {"from": str(ends[0]), "to": str(ends[1])}
    return {"sequence": block.sequence, "first": block.begin, "last": block.end - 1, **times}


def _short(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")
