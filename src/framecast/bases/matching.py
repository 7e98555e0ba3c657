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


def match_values(forecast: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """Give a forecast the values of another field, by rank, within the known pixels; elsewhere it stays.

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
            # sorted by value, then by the means: stable sorts from the last key to the first
            order = torch.argsort(far[at], stable=True)
            for key in (near[at], forecast[at]):
                order = order[torch.argsort(key[order], stable=True)]
            result = torch.empty_like(forecast[at])
            result[order] = values[at].sort().values.to(forecast.dtype)
            matched[at] = result
    return matched
