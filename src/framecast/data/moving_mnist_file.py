"""Moving MNIST files: generated sequences frozen to a file, so that others can use them too."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framecast import files
from framecast.data.config import MovingMNISTConfig
from framecast.data.moving_mnist import MovingMNIST, Path2D
from framecast.errors import UsageError
from framecast.output_file import open_output

BLOCK = 16
"""Sequences in memory at a time, and in one zarr chunk."""


def freeze(
    path: str | Path, split: str, count: int, frames: int, seed: int, config: MovingMNISTConfig | None = None
) -> str:
    """Write sequences 0..count-1 of a split. The file appears whole or not at all, and is never overwritten.

    Args:
        path: new .npz (framecast's layout, axes n t h w, with the digits and the rows and columns of their corners),
            .npy (the published layout, axes t n h w) or .zarr (axes n t h w, with checksums).
        split: "train", "val" or "test".
        count: number of sequences.
        frames: T, frames of each sequence.
        seed: seed of the generator.
        config: canvas, digits and speed; None for the published ones.

    Returns:
        the sha256 of the pixels as unsigned bytes in the order n t h w, in hex: equal for the three forms.

    Raises:
        UsageError: the path exists, has no folder or another suffix, or a number does not fit.
        InputError: the file of digits cannot be used.
    """
    path = Path(path)
    write = {".npz": _write_npz, ".npy": _write_npy, ".zarr": _write_zarr}.get(path.suffix)
    if write is None:
        raise UsageError(str(path), got=f"suffix {path.suffix or 'none'}", expected=".npz, .npy or .zarr")
    if count < 1 or frames < 1:
        raise UsageError("sequences", got=f"{count} of {frames} frames", expected="at least one of one frame")
    files.check_new(path)
    if not path.parent.is_dir():
        raise UsageError(str(path), got=f"no folder {path.parent}", expected="one that exists", fix="make it first")
    sequences = _SequenceStream(MovingMNIST(config or MovingMNISTConfig(), seed), split, count, frames)
    with files.staged(path) as temporary:
        write(sequences, temporary)
    return sequences.digest.hexdigest()


class _SequenceStream:
    """Stream of blocks of generated sequences, with the digest of their pixels and the paths of their digits."""

    def __init__(self, generator: MovingMNIST, split: str, count: int, frames: int) -> None:
        self.generator = generator
        self.split = split
        self.count = count
        self.frames = frames
        self.shape = (count, frames, *generator.config.canvas)
        self.digest = hashlib.sha256()
        self.paths: list[Path2D] = []
        generator.path(split, count - 1, frames)  # a wrong split fails before a file is begun

    def draw_blocks(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Iterate over (first index, pixels (n, T, H, W)) in order."""
        for first in range(0, self.count, BLOCK):
            indices = range(first, min(first + BLOCK, self.count))
            paths = [self.generator.path(self.split, index, self.frames) for index in indices]
            pixels = np.stack([self.generator.pixels(path, self.split) for path in paths])
            self.digest.update(pixels.tobytes())
            self.paths += paths
            yield first, pixels


def _write_npy(sequences: _SequenceStream, path: Path) -> None:
    count, frames, height, width = sequences.shape
    header = {"descr": "|u1", "fortran_order": False, "shape": (frames, count, height, width)}
    with open_output(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        for first, pixels in sequences.draw_blocks():
            for t in range(frames):
                file.seek(start + (t * count + first) * height * width)
                file.write(pixels[:, t].tobytes())


def _write_npz(sequences: _SequenceStream, path: Path) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": sequences.shape}
    with open_output(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("frames.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for _, pixels in sequences.draw_blocks():
                member.write(pixels.tobytes())
        labels = {
            "dims": np.array("nthw"),
            "units": np.array(sequences.generator.spec.units),
            "digit_index": np.stack([p.digit for p in sequences.paths]).astype(np.int32),
            "top": np.stack([p.top for p in sequences.paths]).astype(np.int32),
            "left": np.stack([p.left for p in sequences.paths]).astype(np.int32),
            "seed": np.array(sequences.generator.seed),
        }
        for name, values in labels.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def _write_zarr(sequences: _SequenceStream, path: Path) -> None:
    import zarr.codecs

    from framecast.zarr_store import open_store

    count, *rest = sequences.shape
    with open_store(path) as store:
        out = zarr.create_array(
            store,
            shape=sequences.shape,
            chunks=(min(BLOCK, count), *rest),
            dtype="uint8",
            compressors=[zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()],
            attributes={"dims": "nthw", "units": sequences.generator.spec.units},
        )
        for first, pixels in sequences.draw_blocks():
            out[first : first + len(pixels)] = pixels
