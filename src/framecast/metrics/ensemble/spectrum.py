"""Spectrum of members against that of truth, in octaves of wavelength: whether a member looks like what it forecasts."""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.metrics.base import Members, Metric, ScoreValues, Statistics, Sums
from framecast.metrics.ensemble.members import MemberFrame, SeenFrame, TrueFrame, score_leads
from framecast.metrics.rapsd import LEAST_POWER
from framecast.types import Frames, Valid

FINEST = 4
"""Shortest wavelength that counts, pixels: twice what a grid can hold."""


@final
class MemberSpectrum(Metric):
    """Largest distance of the members' mean spectrum from truth's over octaves of wavelength. In dB; less is better.

    Frames less their mean, under a Hann window, so that borders add no waves; power is averaged over members, frames
    and the octaves 4 to 8 pixels, 8 to 16 and on to a half of the shorter side. `ratios` gives all of them with their
    sign: below 0 members are too smooth. Missing pixels hold the mean in both.

    Args:
        height: H, pixels.
        width: W, pixels.

    Raises:
        UsageError: frames of fewer than 16 pixels on a side.
    """

    name = "spectrum"
    unit = "dB"
    better = "less"
    of_members = True

    def __init__(self, height: int, width: int) -> None:
        self.shape = height, width
        if min(self.shape) < 4 * FINEST:
            fix = "leave it out"
            raise UsageError(
                "spectrum", got=f"frames of {height} x {width} pixels", expected=f"{4 * FINEST} or more", fix=fix
            )
        rows, columns = (torch.fft.fftfreq(height).double(), torch.fft.rfftfreq(width).double())
        frequency = torch.hypot(rows[:, None], columns[None, :])
        edges = [FINEST]
        while 4 * edges[-1] <= min(self.shape):
            edges.append(2 * edges[-1])
        self.wavelengths = list(pairwise(edges))
        """Shortest and longest wavelength of each octave, pixels."""
        self._octaves = [(frequency > 1 / long) & (frequency <= 1 / short) for short, long in self.wavelengths]
        self._window = torch.hann_window(height, dtype=torch.float64)[:, None] * torch.hann_window(
            width, dtype=torch.float64
        )
        self.size = 2 * len(self.wavelengths) + 1

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Mean power of members, then of truth, in each octave; number of frames.

        Raises:
            InputError: frames of another size than this metric was made for.
        """
        if tuple(truth.shape[-2:]) != self.shape:
            got = f"frames of {truth.shape[-2]} x {truth.shape[-1]} pixels"
            raise InputError(self.name, got=got, expected=f"{self.shape[0]} x {self.shape[1]}, as it was made for")
        return score_leads(self._measure, prediction, truth, valid)

    def _measure(self, members: MemberFrame, truth: TrueFrame, seen: SeenFrame) -> Tensor:
        scored = seen.flatten(1).any(1)[:, None]
        powers = [self._average(members, seen[:, None]).mean(1), self._average(truth, seen)]
        return torch.cat([torch.where(scored, power, 0.0) for power in powers] + [scored.double()], -1)

    def _average(self, frames: Tensor, seen: Tensor) -> Tensor:
        """Average the power of (..., C, H, W) over channels and each octave, (..., octaves)."""
        count = seen.sum((-2, -1), keepdim=True).clamp_min(1)
        mean = frames.sum((-2, -1), keepdim=True) / count
        waves = torch.where(seen, frames - mean, 0.0) * self._window.to(frames.device)
        power = torch.fft.rfft2(waves).abs().square().mean(-3) / (self.shape[0] * self.shape[1])
        octaves = [octave.to(power) / octave.sum() for octave in self._octaves]
        return torch.stack([(power * octave).sum((-2, -1)) for octave in octaves], -1)

    def close(self, sums: Sums) -> ScoreValues:
        """Largest distance in dB."""
        return self.ratios(sums).abs().amax(-1)

    def ratios(self, sums: Sums) -> Float64[Tensor, "T R"]:
        """Power of members over that of truth by lead time and octave, dB."""
        members, truth = (sums[:, :-1] / sums[:, -1:]).clamp_min(LEAST_POWER).chunk(2, -1)
        return 10 * (members / truth).log10()
