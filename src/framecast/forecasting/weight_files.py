"""Files of weights, which may come from strangers: nothing in them is executed, and no more allocated than they hold."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from torch import Tensor

from framecast.errors import CheckpointError, FramecastError, UsageError
from framecast.forecasting.forecaster import Forecaster

UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    AttributeError,
    AssertionError,
    TypeError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
)
"""What torch.load and zipfile raise on files that are no checkpoints, or damaged ones."""
MAX_HEADER = 8 * 2**20
"""Bytes of the header of a safetensors file, at most; one takes about 100 for each tensor."""
SHARING = 4
"""Times the size of a file that its tensors may have together, as some may share their memory."""
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class StoredTensor(NamedTuple):
    """Shape and dtype of a tensor in a file."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None
    """None for one that no network has."""


def read_torch_file(path: Path) -> Any:
    """Read a file of torch.save.

    Args:
        path: the file; tensors, plain values, lists and dictionaries of them, on the CPU.

    Raises:
        any of `UNREADABLE`: the file holds something else, is damaged, or would take more memory than its size.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    if is_zip:
        _check_archive(path, size)
    content = torch.load(path, map_location="cpu", weights_only=True)
    total = 0
    for tensor in _find_tensors(content):
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise ValueError(f"a tensor that is {tensor.layout} on {tensor.device}, expected dense values")
        if tensor.numel() * tensor.element_size() > max(size, tensor.untyped_storage().nbytes()):
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} in a file of {size} bytes")
        total += tensor.numel() * tensor.element_size()
    if total > SHARING * size:
        raise ValueError(f"tensors of {total} bytes in a file of {size}")
    return content


def _check_archive(path: Path, size: int) -> None:
    """Check that the members of a zip archive are not larger than the archive: torch writes them uncompressed."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("compressed members, which torch.save never writes")
    if (total := sum(member.file_size for member in members)) > size:
        raise ValueError(f"members of {total} bytes in a file of {size}")


def _find_tensors(content: Any) -> Iterator[Tensor]:
    """Find all tensors in lists and dictionaries, each container once."""
    waiting, seen = [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)


def check_safetensors(path: Path, build: Callable[[], Forecaster]) -> torch.dtype:
    """Check that a file of safetensors holds the weights of a network, before one of its size is allocated.

    Args:
        path: the file.
        build: makes the Forecaster with fresh weights; called on the device "meta", where they take no memory.

    Returns:
        the dtype of the floating-point weights.

    Raises:
        CheckpointError: no file of safetensors, or names, shapes or dtypes that are not the network's.
    """
    stored = _read_header(path)
    floats = {tensor.dtype for tensor in stored.values() if tensor.dtype is not None and tensor.dtype.is_floating_point}
    if len(floats) != 1:
        got = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in floats)) or "no floating-point weights"
        raise CheckpointError(str(path), got=got, expected="weights of one floating-point dtype")
    (dtype,) = floats
    expected = measure_weights(build, path)
    for name, tensor in expected.items():  # the dtype of the file is that which the network gets
        if tensor.dtype is not None and tensor.dtype.is_floating_point:
            expected[name] = tensor._replace(dtype=dtype)
    wrong = find_misfits(stored, expected)
    if wrong:
        raise CheckpointError(
            str(path), got=f"parameters that do not fit: {', '.join(sorted(wrong)[:8])}", expected="those of model.json"
        )
    return dtype


def _read_header(path: Path) -> Mapping[str, StoredTensor]:
    """Read shapes and dtypes of the tensors in a file of safetensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(MAX_HEADER, path.stat().st_size):
        got, expected = f"a header of {length} bytes", f"at most {MAX_HEADER}, in a file of safetensors"
        raise CheckpointError(str(path), got=got, expected=expected, fix="copy it again")
    try:
        with safetensors.safe_open(path, "pt") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 -- no mapping
            return {
                name: StoredTensor(tuple(part.get_shape()), _DTYPES.get(part.get_dtype()))
                for name, part in parts.items()
            }
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(str(path), got=str(error), expected="safetensors", fix="copy it again") from error


def measure_weights(build: Callable[[], Forecaster], path: Path) -> dict[str, StoredTensor]:
    """Measure the weights of a network that is built without memory for them.

    Args:
        build: makes the Forecaster with fresh weights.
        path: the file that says how, for errors.

    Raises:
        CheckpointError: sizes that no tensor can have.
    """
    try:
        return list_weights(build)
    except UnbuildableError as error:
        expected = "sizes of a network that fits into memory"
        raise CheckpointError(str(path), got=f"a network that cannot be built ({error})", expected=expected) from error


class UnbuildableError(UsageError):
    """Network whose sizes no tensor can have."""


def list_weights(build: Callable[[], Forecaster]) -> dict[str, StoredTensor]:
    """List the weights of a network that is built without memory for them.

    Args:
        build: makes the Forecaster with fresh weights.

    Raises:
        UnbuildableError: sizes that no tensor can have.
    """
    try:
        with torch.device("meta"):
            state = build().network.state_dict()
    except FramecastError:
        raise
    except (RuntimeError, OverflowError, TypeError, ValueError) as error:
        raise UnbuildableError(f"model: {str(error).splitlines()[0]}") from error
    return {name: StoredTensor(tuple(value.shape), value.dtype) for name, value in state.items()}


def find_misfits(stored: Mapping[str, StoredTensor], expected: Mapping[str, StoredTensor]) -> set[str]:
    """Find the names of tensors that are missing, too many, or of another shape or dtype than expected."""
    return stored.keys() ^ expected.keys() or {name for name, tensor in expected.items() if stored[name] != tensor}
