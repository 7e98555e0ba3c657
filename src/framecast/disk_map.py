"""A map that lies on disk and is read and written in parts, for what does not fit into memory."""

from __future__ import annotations

import os
import tempfile
import weakref
from math import prod

import torch
from torch import Tensor

from framecast.tiling import Place


class DiskMap:
    """A map (B, N, H, W), zeros at first, in a file without a name, which is gone with the last use of it.

    Indexing with rows and columns reads a part, as a tensor of its own; assigning writes one. Files are read and written
    rather than mapped, so that they are no memory of this process, and a full disk is an OSError and no crash.

    Args:
        shape: (B, N, H, W).
        dtype: of the values.
        device: of the parts that are read.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        self.shape, self.dtype, self.device = torch.Size(shape), dtype, device
        self.file = tempfile.TemporaryFile(prefix="framecast-")  # noqa: SIM115 -- the next line closes it
        weakref.finalize(self, self.file.close)
        self.file.truncate(prod(shape) * dtype.itemsize)

    def _rows(self, place: Place) -> list[int]:
        """Where each row of a part begins, bytes; the file is (B, H, W, N)."""
        batch, channels, height, width = self.shape
        _, rows, columns = place
        cell = channels * self.dtype.itemsize
        return [
            ((b * height + y) * width + columns.start) * cell
            for b in range(batch)
            for y in range(rows.start, rows.stop)
        ]

    def __getitem__(self, place: Place) -> Tensor:
        batch, channels, _, _ = self.shape
        _, rows, columns = place
        part = torch.empty(batch, rows.stop - rows.start, columns.stop - columns.start, channels, dtype=self.dtype)
        lines = part.view(torch.uint8).flatten(0, 1).flatten(1).numpy()
        for line, start in zip(lines, self._rows(place), strict=True):
            if os.preadv(self.file.fileno(), [line], start) != line.nbytes:
                raise OSError(f"{self.file.name}: could not be read back")
        return part.permute(0, 3, 1, 2).to(self.device)

    def __setitem__(self, place: Place, values: Tensor) -> None:
        part = values.detach().to("cpu").permute(0, 2, 3, 1).contiguous()
        lines = part.view(torch.uint8).flatten(0, 1).flatten(1).numpy()
        for line, start in zip(lines, self._rows(place), strict=True):
            if os.pwritev(self.file.fileno(), [line], start) != line.nbytes:
                raise OSError(f"{self.file.name}: could not be written")
