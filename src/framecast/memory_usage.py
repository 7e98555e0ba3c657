"""Memory usage: held by this process, still free for it, and needed by a computation; bytes."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from framecast.errors import FramecastError

STATUS = Path("/proc/self/status")
MEMINFO = Path("/proc/meminfo")
GROUPS = Path("/proc/self/cgroup")
GROUP_ROOT = Path("/sys/fs/cgroup")
UNKNOWN = 8 * 2**30
"""Assumed free memory of a machine that does not report it, bytes."""
UNLIMITED = 2**62
"""Bytes that stand for no limit."""


def peak_bytes() -> int:
    """Return the largest memory that this process held at any time, bytes.

    Note:
        On Linux `getrusage` includes the memory of the parent at the start of the process, so that a small child of a
        large parent seems large; VmHWM counts this process alone.

    Raises:
        FramecastError: the system reports neither, as Windows.
    """
    peak = _read_sizes(STATUS).get("VmHWM")
    if peak is not None:
        return peak
    try:
        import resource
    except ImportError as error:
        raise FramecastError("peak memory", got="a system that does not tell it", expected="Linux or macOS") from error

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def held_bytes(device: torch.device | str = "cpu") -> int:
    """Return the memory that this process holds now, bytes: on the CPU all of it, on a GPU its tensors."""
    if torch.device(device).type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _read_sizes(STATUS).get("VmRSS", 0)


def free_bytes(device: torch.device | str = "cpu") -> int:
    """Return the memory that this process may still take, bytes: the least of what is free and what is allowed."""
    if torch.device(device).type == "cuda":
        # Memory that torch's allocator keeps without a tensor in it is free for this process only.
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + idle
    return max(0, min(_read_machine(), _read_control_group(), _read_address_limit()))


def _read_sizes(path: Path) -> dict[str, int]:
    """Read the sizes in a file of /proc, which are in kB, as bytes by name."""
    if not path.is_file():
        return {}
    sizes = re.findall(r"^(\w+):\s+(\d+) kB$", path.read_text("ascii"), re.MULTILINE)
    return {name: 1024 * int(size) for name, size in sizes}


def _read_machine() -> int:
    """Read the free memory of the machine, bytes."""
    available = _read_sizes(MEMINFO).get("MemAvailable")
    if available is not None:
        return available
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # the last on Windows
        return UNKNOWN


def _read_control_group() -> int:
    """Read the memory that the control group, of a container for example, still allows, bytes."""
    group = re.search(r"^0::/(.*)$", GROUPS.read_text("ascii"), re.MULTILINE) if GROUPS.is_file() else None
    # The group itself, the root as a container sees it, then version 1 of control groups.
    folders = [(GROUP_ROOT / group[1], "memory.max", "memory.current")] if group else []
    folders += [(GROUP_ROOT, "memory.max", "memory.current")]
    folders += [(GROUP_ROOT / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes")]
    allowed = [UNLIMITED]
    for folder, limit_name, usage_name in folders:
        limit = folder / limit_name
        if limit.is_file() and limit.read_text("ascii").strip().isdigit():  # "max" is no limit
            usage = int((folder / usage_name).read_text("ascii")) - _read_reclaimable(folder / "memory.stat")
            allowed.append(int(limit.read_text("ascii")) - usage)
    return min(allowed)


def _read_reclaimable(stat: Path) -> int:
    """Read the size of cached files, which the system drops when a process needs the memory, bytes."""
    match = re.search(r"^inactive_file (\d+)$", stat.read_text("ascii"), re.MULTILINE) if stat.is_file() else None
    return int(match[1]) if match else 0


def _read_address_limit() -> int:
    """Read the address space that `ulimit -v` still allows, bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return UNLIMITED
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return UNLIMITED if limit == resource.RLIM_INFINITY else limit - _read_sizes(STATUS).get("VmSize", 0)


class _StorageCounter(TorchDispatchMode):
    """Counter of the bytes of living storages, of those that are made within the context."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and to skip the compiler torch would load all of it: 75 MB

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = {id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and id(tensor.untyped_storage()) not in inputs:
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        # Views share a storage: it counts once.
        if storage in self.known:
            return
        size = self.known[storage] = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._subtract, size)

    def _subtract(self, size: int) -> None:
        self.now -= size


def peak_tensor_bytes(function: Callable[[], Any]) -> int:
    """Measure the most bytes of tensors alive at once while a function runs, of those that it makes itself.

    Memory that a library takes within one operation does not count.

    Args:
        function: called once.
    """
    with _StorageCounter() as counter:
        function()
    return counter.peak
