"""Layouts of arrays: Moving MNIST (.npy), TaxiBJ (.npz), KITTI and Caltech (.npy)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.numpy_files import open_npy, open_npz
from framecast.errors import InputError
from framecast.protocols.definition import Protocol
from framecast.protocols.layouts.base import ProtocolWindows, need_path


def find_moving_mnist(folder: Path, protocol: Protocol) -> ProtocolWindows:
    """Find all sequences of a file of shape (T, N, H, W), grey levels 0..255."""
    path = need_path(folder, protocol.files[0])
    array = open_npy(path, None).array
    if len(array.shape) != 4 or array.shape[0] != protocol.frames:
        expected = f"({protocol.frames}, sequences, {protocol.size[0]}, {protocol.size[1]})"
        raise InputError(str(path), got=f"shape {tuple(array.shape)}", expected=expected)
    return ProtocolWindows(_number(array.shape[1]), lambda index: np.asarray(array[:, index : index + 1]))


def find_taxibj(folder: Path, protocol: Protocol) -> ProtocolWindows:
    """Find the pairs of X_test and Y_test, each (N, frames, C, H, W), values -1..1."""
    path = need_path(folder, protocol.files[0])
    past, future = (open_npz(path, key).array for key in ("X_test", "Y_test"))
    if len(past.shape) != 5 or past.shape[0] != future.shape[0]:
        got = f"X_test {tuple(past.shape)}, Y_test {tuple(future.shape)}"
        raise InputError(str(path), got=got, expected="(windows, frames, 2, 32, 32) each")

    def read(index: int) -> NDArray[np.generic]:
        return np.concatenate([np.asarray(past[index]), np.asarray(future[index])])

    return ProtocolWindows(_number(past.shape[0]), read)


def find_kitti(folder: Path, protocol: Protocol) -> ProtocolWindows:
    """Find the windows of Caltech: frames (F, H, W, 3) of 0..1 or of bytes, and the first frame of each window."""
    paths = [need_path(folder, file) for file in protocol.files]
    frames, starts = open_npy(paths[0], None).array, np.asarray(open_npy(paths[1], None).array[...]).ravel()
    if len(frames.shape) != 4 or frames.shape[3] != protocol.channels:
        raise InputError(str(paths[0]), got=f"shape {tuple(frames.shape)}", expected="(frames, 128, 160, 3)")
    if starts.size and not 0 <= int(starts.min()) <= int(starts.max()) <= frames.shape[0] - protocol.frames:
        got = f"starts {int(starts.min())} to {int(starts.max())}"
        raise InputError(str(paths[1]), got=got, expected=f"0 to {frames.shape[0] - protocol.frames}")
    scale = 1.0 if frames.dtype == np.uint8 else 255.0

    def read(index: int) -> NDArray[Any]:
        start = int(starts[index])
        window = np.asarray(frames[start : start + protocol.frames], dtype=np.float32)
        return scale * window.transpose(0, 3, 1, 2)

    return ProtocolWindows([str(int(start)) for start in starts], read)


def _number(count: int) -> list[str]:
    return [str(index) for index in range(count)]
