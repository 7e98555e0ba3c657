"""Radially averaged power spectra: rapsd, how much fine detail a forecast has against the truth."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.metrics.base import Metric, ScoreValues, Statistics, Sums
from framecast.metrics.reductions import clip_to_range, count_observed, zero_missing
from framecast.types import Frames, Valid

PowerSpectra = Float64[Tensor, "T R"]
"""Power by lead time and wavenumber."""

LEAST_POWER = 1e-10
"""Floor of a power under a logarithm, range²: that of noise of 1e-5 of the value range. A blank forecast has power 0."""


def _number_rings(height: int, width: int) -> Int64[Tensor, " P"]:
    """Number the ring of every Fourier coefficient, in the order of fft2: its rounded distance from the zeroth."""
    rows = torch.fft.fftfreq(height, 1 / height, dtype=torch.float64)
    columns = torch.fft.fftfreq(width, 1 / width, dtype=torch.float64)
    return torch.hypot(rows[:, None], columns[None, :]).round().long().flatten()


@final
class RAPSD(Metric):
    """Log spectral distance between the mean spectra of predictions and truths. In dB; less is better.

    The power of a frame, |fft2|^2 / (H W), is averaged over rings of equal rounded wavenumber, k = 0 ... ceil(L / 2) - 1
    of L = max(H, W), wavelength L / k pixels; then over channels, frames and sequences. The score of a lead time is
    the root mean square over k >= 1 of 10 log10(power predicted / power observed), powers below 1e-10 range² taken as
    that. `spectra` gives the spectra themselves. Predictions are clipped. Missing pixels hold the low end of the value
    range in both, so that both spectra have the gaps in common; frames with none observed are left out.

    Args:
        height: H, pixels.
        width: W, pixels.

    Raises:
        UsageError: if the longer side has fewer than 3 pixels.

    Note:
        Its bootstrap interval leans upward, and with few sequences may lie above the score itself: a resampling holds
        fewer different sequences, whose mean spectra are rougher, and so farther apart.

    Source: the spectrum is that of Ruzanski, Chandrasekar 2011, IEEE TGRS 49(10), as pysteps.utils.spectral.rapsd.
    """

    name = "rapsd"
    unit = "dB"
    better = "less"

    def __init__(self, height: int, width: int) -> None:
        self.shape, self.side = (height, width), max(height, width)
        if self.side < 3:
            raise UsageError("rapsd", got=f"frames of {height} x {width} pixels", expected="a side of 3 or more")
        self.rings = (self.side + 1) // 2
        self.size = 2 * self.rings + 1
        # Corners lie beyond the last whole ring; they are gathered in one more, and dropped.
        self._ring = _number_rings(height, width).clamp_max(self.rings)
        self._members = torch.bincount(self._ring, minlength=self.rings + 1)[: self.rings].double()

    @property
    def wavelengths(self) -> list[float]:
        """Wavelengths of k = 1, 2, ..., pixels."""
        return [self.side / k for k in range(1, self.rings)]

    def statistics(self, prediction: Frames, truth: Frames, valid: Valid | None) -> Statistics:
        """Power by wavenumber of the prediction, of the truth, and number of frames."""
        if tuple(prediction.shape[-2:]) != self.shape:
            got = f"frames of {prediction.shape[-2]} x {prediction.shape[-1]} pixels"
            raise InputError(self.name, got=got, expected=f"{self.shape[0]} x {self.shape[1]}, as it was made for")
        scored = count_observed(truth, valid)[..., None] > 0
        powers = [self._average_rings(clip_to_range(zero_missing(frames, valid))) for frames in (prediction, truth)]
        return torch.cat([torch.where(scored, power, 0.0) for power in powers] + [scored.double()], dim=-1)

    def close(self, sums: Sums) -> ScoreValues:
        """Root mean square of the ratio of the spectra in dB."""
        predicted, observed = (power[:, 1:].clamp_min(LEAST_POWER) for power in self.spectra(sums))
        return (10 * (predicted / observed).log10()).square().mean(dim=-1).sqrt()

    def spectra(self, sums: Sums) -> tuple[PowerSpectra, PowerSpectra]:
        """Mean spectrum of the predictions and of the truths by lead time, (K, R) range², k = 0 first."""
        return sums[:, : self.rings] / sums[:, -1:], sums[:, self.rings : -1] / sums[:, -1:]

    def _average_rings(self, frames: Float64[Tensor, "B T C H W"]) -> Float64[Tensor, "B T R"]:
        power = torch.fft.fft2(frames).abs().square().flatten(-2).mean(dim=2) / len(self._ring)
        sums = power.new_zeros(*power.shape[:-1], self.rings + 1)
        sums = sums.index_add(-1, self._ring.to(power.device), power)
        return sums[..., : self.rings] / self._members.to(power.device)
