"""One thread for each of the two test processes: more would only stand in each other's way, and change the last bits."""

from collections.abc import Iterator

import pytest
import torch

from framecast import kernels

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def usual_kernels() -> Iterator[None]:
    """No test leaves its precision to the next."""
    yield
    if kernels.get_precision() != "auto":
        kernels.set_precision("auto")
    kernels.set_memory("fast")
    kernels.set_backend(None)
