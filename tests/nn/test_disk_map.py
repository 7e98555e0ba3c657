import gc
import os
from pathlib import Path

import pytest
import torch

from framecast.nn.tiled_network import DiskMap

PLACE = (..., slice(1, 4), slice(2, 6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_map_on_disk_is_a_map(dtype: torch.dtype) -> None:
    expected, found = torch.zeros(2, 3, 5, 7, dtype=dtype), DiskMap((2, 3, 5, 7), dtype, torch.device("cpu"))
    whole = (..., slice(0, 5), slice(0, 7))
    assert torch.equal(found[whole], expected)
    values = torch.rand(2, 3, 3, 4).to(dtype)
    expected[PLACE] = found[PLACE] = values
    assert torch.equal(found[whole], expected)
    assert torch.equal(found[PLACE], values)
    assert found[PLACE].is_contiguous(memory_format=torch.channels_last), "what the fast kernels take without a copy"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_its_file_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = DiskMap((1, 2, 3, 4), torch.float32, torch.device("cpu"))
    assert list(tmp_path.iterdir()) == [], "it has no name that could stay behind"
    descriptor = found.file.fileno()
    del found
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
