"""Noise of members: one field for the whole domain, with a given spectrum, moved along the motion of the frames.

It is a pure function of seed, reference time, newest frame and member: member 3 of a forecast is the same tomorrow, in
whatever company. White noise is moved by whole pixels first and gets its spectrum then, so that members neither lose
fine detail with lead time nor forget where they were.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from framecast.ensembles.error_tables import interpolate
from framecast.ensembles.roughness import FREQUENCIES

_STREAM = 0xE25
MARGIN, MULTIPLE = 64, 32
"""Pixels around the domain, so that opposite borders are strangers; sides are multiples that transform fast."""


def make_key(time: np.datetime64 | None, last: NDArray[np.float32]) -> int:
    """Make the number that names a forecast, of its reference time, where that is known, and its newest frame.

    Tiles of one time are told apart by their frames: the same noise in all of them would be one draw, not many.
    """
    moment = "" if time is None else str(time.astype("datetime64[ms]"))
    digest = hashlib.sha256(moment.encode())
    digest.update(np.ascontiguousarray(last).data)
    return int.from_bytes(digest.digest()[:7], "big")


class MovedNoise:
    """Noise on the frames of one sequence.

    Args:
        seed: of all members.
        key: of the forecast, see `make_key`.
        shape: (C, H, W).
        correlation: (C, C), of the channels with each other.
    """

    def __init__(self, seed: int, key: int, shape: tuple[int, int, int], correlation: Any) -> None:
        self.seed, self.key, self.shape = seed, key, shape
        self.size = tuple(-(-(side + 2 * MARGIN) // MULTIPLE) * MULTIPLE for side in shape[1:])
        # semi-definite, as of grey pictures in three equal channels
        values, vectors = np.linalg.eigh(np.asarray(correlation, np.float64))
        self._mix = torch.from_numpy(vectors * np.sqrt(values.clip(0))).float()
        rows, columns = torch.fft.fftfreq(self.size[0]), torch.fft.rfftfreq(self.size[1])
        self._frequency = torch.hypot(rows[:, None], columns[None]).double()
        self._twice = torch.full((len(columns),), 2.0, dtype=torch.float64)
        self._twice[0] = self._twice[-1] = 1.0  # of an even side, the first and last column stand for themselves

    def draw(self, member: int) -> Tensor:
        """Draw the white noise of a member on the domain and its margin, (C, H', W')."""
        generator = np.random.default_rng([_STREAM, self.seed, self.key, member])
        white = torch.from_numpy(generator.standard_normal((self.shape[0], *self.size), dtype=np.float32))
        return torch.einsum("cd,dhw->chw", self._mix, white) if self.shape[0] > 1 else white

    def locate(self, position: Tensor | None) -> Tensor | None:
        """Find the pixel of the noise from which each pixel's comes, (H', W'); it has no border, but begins again.

        Args:
            position: (2, H, W), x and y, pixels of the domain; None for no motion.
        """
        if position is None:
            return None
        height, width = position.shape[-2:]
        rows, columns = (torch.arange(n, dtype=position.dtype) for n in self.size)
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
        start = torch.stack(torch.meshgrid(columns[:width], rows[:height], indexing="xy"))
        below, right = self.size[0] - height - MARGIN, self.size[1] - width - MARGIN
        moved = F.pad((position - start)[None], (MARGIN, right, MARGIN, below), mode="replicate")[0]
        x, y = (grid + moved).round().long()
        return y % self.size[0] * self.size[1] + x % self.size[1]

    def make_filter(self, amplitude: Tensor) -> Tensor:
        """Make the filter that gives white noise a spectrum and leaves its variance, from (C, frequencies)."""
        filters = torch.stack([interpolate(row, self._frequency, FREQUENCIES) for row in amplitude])
        power = (filters.square() * self._twice).sum((-2, -1), keepdim=True) / (self.size[0] * self.size[1])
        return (filters / power.sqrt().clamp_min(1e-12)).float()

    def shape_spectrum(self, white: Tensor, places: Tensor | None, filters: Tensor) -> Tensor:
        """Move white noise, and give it a spectrum: (C, H, W), of variance 1.

        Args:
            white: (C, H', W'), as drawn.
            places: as located, or None.
            filters: as made for the lead time.
        """
        moved = white if places is None else white.flatten(1)[:, places]
        field = torch.fft.irfft2(torch.fft.rfft2(moved) * filters, s=self.size)
        return field[:, MARGIN : MARGIN + self.shape[1], MARGIN : MARGIN + self.shape[2]]
