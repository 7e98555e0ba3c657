"""Censored Gaussian: noise around an amount that cannot fall below nothing, with the mean and spread that are wanted.

Noise that is added to little rain and cut at 0 adds rain on average. Here the value before the cut is chosen so that mean
and standard deviation are right behind it (the model of Tobin 1958, Econometrica 26).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

LOWEST, HIGHEST, NODES = -4.0, 6.0, 401
"""Ends and number of the tabulated means before the cut, in standard deviations before it."""


@cache
def _tabulate() -> tuple[Tensor, Tensor, Tensor]:
    """Tabulate z, and of max(0, z + noise): the mean, and the standard deviation over it (falling with z)."""
    z = torch.linspace(LOWEST, HIGHEST, NODES, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / np.sqrt(2 * np.pi)
    below = torch.special.ndtr(z)
    mean = z * below + density
    square = (z.square() + 1) * below + z * density
    return z, mean, (square - mean.square()).clamp_min(0).sqrt() / mean


def uncensor(mean: Tensor, sd: Tensor) -> tuple[Tensor, Tensor]:
    """Find the Gaussian that, cut at 0, has a mean and a standard deviation.

    Args:
        mean: any shape, 0 or more.
        sd: of the same shape, 0 or more.

    Returns:
        its mean and standard deviation before the cut; below no rain at all, and where no cut is near, what was given.
    """
    z, means, ratios = (values.flip(0) for values in _tabulate())
    dry = mean <= 1e-9
    ratio = torch.where(dry, 1.0, sd / mean.clamp_min(1e-9)).double()
    right = torch.bucketize(ratio, ratios).clamp(1, NODES - 1)
    share = ((ratio - ratios[right - 1]) / (ratios[right] - ratios[right - 1])).clamp(0, 1)
    place, cut_mean = (torch.lerp(table[right - 1], table[right], share) for table in (z, means))
    width = torch.where(ratio < ratios[0], sd.double(), mean.double() / cut_mean)
    centre = torch.where(ratio < ratios[0], mean.double(), place * width)
    # where the forecast is exactly nothing, the errors are those of rain that nobody saw coming
    centre, width = torch.where(dry, LOWEST * sd.double() / 2, centre), torch.where(dry, sd.double(), width)
    return centre.to(mean.dtype), width.to(mean.dtype)
