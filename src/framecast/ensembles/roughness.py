"""Roughness: noise gets as much fine detail as makes members as rough as the moved frame is.

The spectrum of past errors is that of many days and places; cutting, matching and the forecast below the noise change it,
too. As members get the values of the moved frame, they get its spectrum, by wavelength, where that is short.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

FREQUENCIES = (0.0, *(round(0.008 * 1.2**step, 6) for step in range(23)), 0.5)
"""Wavenumbers of spectra, cycles per pixel."""
LONGEST = 16
"""Wavelength up to which the noise is corrected, pixels: longer waves are as large as errors were."""
ROUNDS = 2
"""Trial members, each made with the noise as the one before corrected it."""
LEAST, MOST = 0.05, 4.0
"""Ends of a factor of the power in one round."""


def sum_rings(fields: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the power of fields over rings around each of `FREQUENCIES`, under a Hann window.

    Args:
        fields: (..., H, W), float64.

    Returns:
        sums (..., frequencies), and the number of waves in each ring (frequencies).
    """
    height, width = fields.shape[-2:]
    window = torch.hann_window(height).double()[:, None] * torch.hann_window(width).double()
    power = (torch.fft.rfft2(fields * window).abs().square() / (height * width)).flatten(-2)
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]).flatten()
    ring = torch.bucketize(frequency, torch.tensor([(low + high) / 2 for low, high in pairwise(FREQUENCIES)]))
    sums = power.new_zeros(*power.shape[:-1], len(FREQUENCIES)).index_add_(-1, ring, power)
    return sums, torch.bincount(ring, minlength=len(FREQUENCIES))


def correct_amplitude(amplitude: Tensor, member: Tensor, frame: Tensor, known: Tensor) -> Tensor:
    """Correct the spectrum of noise by how rough a member came out that was made with it.

    Args:
        amplitude: (C, frequencies), root of the power of the noise; only its shape matters.
        member: (C, H, W), made with it.
        frame: (C, H, W), that members are to be as rough as.
        known: (C, H, W), where both are compared.
    """
    ours, theirs = (_measure(field, known) for field in (member, frame))
    factor = (theirs / ours.clamp_min(1e-12)).clamp(LEAST, MOST)
    short = torch.tensor(FREQUENCIES, dtype=torch.float64) > 1 / LONGEST
    return amplitude * torch.where(short, factor, 1.0).sqrt()


def _measure(field: Tensor, known: Tensor) -> Tensor:
    count = known.sum((-2, -1), keepdim=True).clamp_min(1)
    inside = torch.where(known, field.double(), 0.0)
    return sum_rings(torch.where(known, inside - inside.sum((-2, -1), keepdim=True) / count, 0.0))[0]
