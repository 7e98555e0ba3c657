"""Block bootstrap of scores: how far they would scatter with other sequences."""

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
"""Tells these draws apart from others of an equal seed."""


class Resampled(NamedTuple):
    """Scores of one metric on D resamplings."""

    by_lead: Float64[Tensor, "D K"]
    mean: Float64[Tensor, " D"]
    """Mean over lead times."""


BlockLengths = int | Sequence[int]
"""Sequences that are drawn together: a number of consecutive ones, or those with equal numbers, one for each sequence."""
PIECE = 2**22
"""Resampled sums that are formed at once; it bounds the memory."""


def count_blocks(sequences: int, block: BlockLengths) -> int:
    """Count the blocks; the last of equal length may be shorter."""
    return int(_number_blocks(sequences, block).max()) + 1


def _number_blocks(sequences: int, block: BlockLengths) -> Tensor:
    """Number the block of each sequence, 0 first."""
    if isinstance(block, int):
        return torch.arange(sequences) // block
    if len(block) != sequences:
        raise UsageError("block", got=f"{len(block)} numbers", expected=f"{sequences}, one for each sequence")
    return torch.unique(torch.tensor(block), return_inverse=True)[1]


def resample(scores: Scores, *, block: BlockLengths = 1, draws: int = DRAWS, seed: int = 0) -> dict[str, Resampled]:
    """Score resamplings of the sequences: blocks of them drawn with replacement, as many as there are.

    Every draw adds up the statistics of its sequences and closes them, just as the score itself is formed. Forecasts
    that were scored on the same sequences get the same draws, so that differences between them can be taken draw by
    draw.

    Args:
        scores: made with `keep`.
        block: number of consecutive sequences that are drawn together, because windows of one event resemble each
            other; or the event of each sequence, as a number. 1 draws sequence by sequence.
        draws: D, number of resamplings.
        seed: of the draws, which depend on nothing else.

    Returns:
        {metric: its scores on each resampling}; NaN with fewer than two blocks, which cannot scatter.

    Raises:
        UsageError: scores made without `keep`, a number below 1, or not one event for each sequence.

    Source: Efron, Tibshirani 1993, An Introduction to the Bootstrap, ch. 8; Wilks 2019, ch. 5.
    """
    if (isinstance(block, int) and block < 1) or draws < 1 or seed < 0:
        raise UsageError("block, draws, seed", got=f"{block}, {draws}, {seed}", expected="at least 1, 1, 0")
    resampled = {}
    for metric, rows in scores.by_sequence():
        owner, count = _number_blocks(len(rows), block).to(rows.device), count_blocks(len(rows), block)
        block_sums = rows.new_zeros(count, *rows.shape[1:]).index_add(0, owner, rows)
        times = torch.from_numpy(_draw_blocks(count, draws, seed)).to(rows.device)
        pieces = times.split(max(1, PIECE // block_sums[0].numel()))
        closed = [_close_draws(metric, piece, block_sums) for piece in pieces]
        resampled[metric.name] = Resampled(*(torch.cat(parts) for parts in zip(*closed, strict=True)))
    return resampled


def _close_draws(metric: Metric, times: Tensor, block_sums: Tensor) -> Resampled:
    """Score the resamplings that take each block `times` (D, blocks) times."""
    sums = (times @ block_sums.flatten(1)).unflatten(1, block_sums.shape[1:])
    values = metric.close(sums.flatten(0, 1)).unflatten(0, (len(times), -1))
    if len(block_sums) < 2:
        values = torch.full_like(values, torch.nan)
    return Resampled(values, lead_mean(values, sums))


def bootstrap_interval(values: Float64[Tensor, "D ..."], level: float = LEVEL) -> Float64[Tensor, "2 ..."]:
    """Lower and upper end of the middle share `level` of resampled values; undefined draws are left out."""
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=values.dtype, device=values.device)
    return values.nanquantile(ends, dim=0)


def compute_skill(
    values: Float64[Tensor, "*shape"], reference: Float64[Tensor, "*shape"], perfect: float
) -> Float64[Tensor, "*shape"]:
    """Skill (score - reference) / (perfect - reference): 1 is perfect, 0 as good as the reference, below 0 worse.

    NaN where the reference is perfect.

    Source: Wilks 2019, Statistical Methods in the Atmospheric Sciences, eq. 9.4.
    """
    room = perfect - reference
    return torch.where(room == 0, torch.nan, (values - reference) / room)


def _draw_blocks(number: int, draws: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Draw blocks with replacement: (draws, number), how often each block is in each draw."""
    generator = np.random.default_rng([_STREAM, seed])
    return generator.multinomial(number, np.full(number, 1 / number), size=draws).astype(np.float64)
