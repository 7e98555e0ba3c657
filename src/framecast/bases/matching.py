"""Probability matching: a forecast keeps its ranks and takes the values of the base, where the base knows.

A network that learns squared error hedges: its rain is in the right places and too weak. The extrapolated frame has
rain of the right strengths. Ebert 2001, Monthly Weather Review 129, for ensembles; here of a forecast and its base.
"""

from __future__ import annotations

import torch
from torch import Tensor

from framecast.bases.base import smooth

NEAR, FAR = 3, 15
"""Radii of the means that order pixels of equal value, pixels: rain that is missing goes next to rain."""
BORDER = 8
"""Pixels beyond the known area over which a change by matching fades out."""


def match_values(forecast: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """Give a forecast the values of another field, by rank, within the known pixels; elsewhere it stays.

    Along the border of the known area the mean change nearby goes on, fading, so that there is no seam.

    Args:
        forecast: (B, C, H, W).
        values: (B, C, H, W), the field whose values are taken, in the same units.
        known: (B, 1, H, W), where.

    Returns:
        (B, C, H, W); in each frame and channel the known pixels hold the values of the other field there.
    """
    matched = forecast.clone()
    near, far = smooth(forecast.double(), NEAR), smooth(values.double(), FAR)
    for sequence, area in enumerate(known[:, 0]):
        for channel in range(forecast.shape[1]):
            at = sequence, channel, area
            if area.any():
                keys = forecast[at], near[at], far[at]
                matched[at] = _place(values[at].to(forecast.dtype), keys)
    return matched if known.all() else _fade_out(forecast, matched, known)


def _place(values: Tensor, keys: tuple[Tensor, ...]) -> Tensor:
    """Place values (N,) in the order of keys, (N,) each, the first above the others."""
    ordered = values.sort().values
    lowest = int((ordered == ordered[0]).sum())
    placed = ordered[:1].repeat(len(values))
    if lowest == len(values):
        return placed
    # most pixels are dry, in whatever order: only those that can be among the others are sorted
    order = (keys[0] >= keys[0].kthvalue(lowest + 1).values).nonzero()[:, 0]
    for key in reversed(keys):
        order = order[torch.argsort(key[order], stable=True)]
    placed[order[lowest - len(values) :]] = ordered[lowest:]
    return placed


def _fade_out(forecast: Tensor, matched: Tensor, known: Tensor) -> Tensor:
    """Continue the mean change of the known pixels beyond their border; what is least in its map, as no rain, stays."""
    share = smooth(known.to(matched.dtype), BORDER)
    least = matched.amin((-2, -1), keepdim=True)
    continued = (forecast + smooth(matched - forecast, BORDER) / share.clamp_min(0.5)).maximum(least)
    # a single known pixel among those of a square is the least share; less is rounding
    beyond = ~known & (share > 0.5 / (2 * BORDER + 1) ** 2) & (forecast > least)
    return torch.where(beyond, continued, matched)
