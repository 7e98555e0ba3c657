"""Headers of .npy files as numpy writes them and as it once did; arrays that stay on the disk."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from framecast.data.formats.numpy_files import HEADER_LIMIT, open_npy, read_npy
from framecast.errors import InputError

FRAMES = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def content(header: str, version: int = 1) -> bytes:
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + FRAMES.tobytes()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("sizes", ["(3, 4, 5)", "(3L, 4L, 5L)"])
def test_headers_of_both_versions_and_of_python_2(version: int, sizes: str):
    written = content(f"{{'descr': '<i2', 'fortran_order': False, 'shape': {sizes}, }}\n", version)
    np.testing.assert_array_equal(read_npy(io.BytesIO(written), len(written), "a.npy"), FRAMES)


def test_a_header_is_no_longer_than_its_limit():
    text = "{'descr': '<i2', 'fortran_order': False, 'shape': (3, 4, 5), }"
    longest = content(text.ljust(HEADER_LIMIT), 2)
    np.testing.assert_array_equal(read_npy(io.BytesIO(longest), len(longest), "a.npy"), FRAMES)
    longer = content(text.ljust(HEADER_LIMIT + 1), 2)
    with pytest.raises(InputError, match=f"a header of {HEADER_LIMIT + 1} bytes, expected at most {HEADER_LIMIT}"):
        read_npy(io.BytesIO(longer), len(longer), "a.npy")


@pytest.mark.parametrize("dtype", [np.longdouble, np.complex64, object])
def test_what_is_no_number_of_up_to_8_bytes_is_refused(tmp_path: Path, dtype: type):
    np.save(tmp_path / "a.npy", FRAMES.astype(dtype), allow_pickle=True)
    with pytest.raises(InputError, match="expected numbers: float, int, unsigned int or bool; convert the array"):
        open_npy(tmp_path / "a.npy", None)


@pytest.mark.parametrize("order", ["C", "F"])
def test_mapped_arrays_travel_to_other_processes_as_their_path(tmp_path: Path, order: str):
    large = np.asarray(np.broadcast_to(FRAMES[:, :, :, None], (3, 4, 5, 1000)), order=order)
    np.save(tmp_path / "a.npy", large)
    array = open_npy(tmp_path / "a.npy", None).array
    packed = pickle.dumps(array)
    assert len(packed) < 1000
    np.testing.assert_array_equal(pickle.loads(packed)[1:, ..., 7], large[1:, ..., 7])
