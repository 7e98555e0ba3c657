"""How far scores would scatter with other sequences: a block bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.errors import UsageError
from framecast.metrics.aggregation import Scores, lead_mean
from framecast.metrics.base import Metric

DRAWS = 1000
LEVEL = 0.95
_STREAM = 0xB007


class Resampled(NamedTuple):
    """One metric, scored on many resamplings."""

    by_lead: Float64[Tensor, "D K"]
    mean: Float64[Tensor, " D"]
    """Over lead times."""


Block = int | Sequence[int]
"""Which sequences are drawn together: so many in a row, or those with the same number."""
PIECE = 2**22
"""Numbers that resamplings are formed of at once."""


def count_blocks(sequences: int, block: Block) -> int:
    """How many blocks there are; of blocks of equal length the last may be shorter."""
    return int(_owners(sequences, block).max()) + 1


def _owners(sequences: int, block: Block) -> Tensor:
    """(sequences,), the block that each belongs to, 0 first."""
    if isinstance(block, int):
        return torch.arange(sequences) // block
    if len(block) != sequences:
        raise UsageError("block", got=f"{len(block)} numbers", expected=f"{sequences}, one for each sequence")
    return torch.unique(torch.tensor(block), return_inverse=True)[1]


def resample(scores: Scores, *, block: Block = 1, draws: int = DRAWS, seed: int = 0) -> dict[str, Resampled]:
    """Score resamplings of the sequences: blocks of them drawn with replacement, as many as there are.

    Every draw adds up the statistics of its sequences and closes them, just as the score itself is formed. Forecasts
    that were scored on the same sequences get the same draws, so that differences between them can be taken draw by
    draw.

    Args:
        scores: made with `keep`.
        block: how many sequences, one after the other, are drawn together, because they are alike: windows of one
            event; or the number of its event for each. 1 draws sequence by sequence.
        draws: how many resamplings.
        seed: of the draws; nothing else decides them.

    Returns:
        {metric: its scores on each resampling}; all NaN with fewer than two blocks, which cannot scatter.

    Raises:
        UsageError: nothing was kept, a number below 1, or not one event for each sequence.

    Source: Efron, Tibshirani 1993, An Introduction to the Bootstrap, ch. 8; Wilks 2019, ch. 5.
    """
    if (isinstance(block, int) and block < 1) or draws < 1 or seed < 0:
        raise UsageError("block, draws, seed", got=f"{block}, {draws}, {seed}", expected="at least 1, 1, 0")
    resampled = {}
    for metric, rows in scores.by_sequence():
        number = count_blocks(len(rows), block)
        of_blocks = rows.new_zeros(number, *rows.shape[1:]).index_add(
            0, _owners(len(rows), block).to(rows.device), rows
        )
        times = torch.from_numpy(_times(number, draws, seed)).to(rows.device)
        pieces = times.split(max(1, PIECE // of_blocks[0].numel()))
        closed = [_closed(metric, piece, of_blocks) for piece in pieces]
        resampled[metric.name] = Resampled(*(torch.cat(parts) for parts in zip(*closed, strict=True)))
    return resampled


def _closed(metric: Metric, times: Tensor, of_blocks: Tensor) -> Resampled:
    """The scores of resamplings that take each block so many times."""
    sums = (times @ of_blocks.flatten(1)).unflatten(1, of_blocks.shape[1:])
    values = metric.close(sums.flatten(0, 1)).unflatten(0, (len(times), -1))
    if len(of_blocks) < 2:
        values = torch.full_like(values, torch.nan)
    return Resampled(values, lead_mean(values, sums))


def bootstrap_interval(values: Float64[Tensor, "D ..."], level: float = LEVEL) -> Float64[Tensor, "2 ..."]:
    """The middle share `level` of resampled values, lower and upper end; draws where they are undefined are left out."""
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=values.dtype, device=values.device)
    return values.nanquantile(ends, dim=0)


def skill_score(
    values: Float64[Tensor, "*shape"], reference: Float64[Tensor, "*shape"], perfect: float
) -> Float64[Tensor, "*shape"]:
    """(score - reference) / (perfect - reference): 1 is perfect, 0 no better than the reference, below 0 worse.

    NaN where the reference is perfect.

    Source: Wilks 2019, Statistical Methods in the Atmospheric Sciences, eq. 9.4.
    """
    room = perfect - reference
    return torch.where(room == 0, torch.nan, (values - reference) / room)


def _times(number: int, draws: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """How often each block is in each draw."""
    generator = np.random.default_rng([_STREAM, seed])
    return generator.multinomial(number, np.full(number, 1 / number), size=draws).astype(np.float64)
