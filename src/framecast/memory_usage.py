"""Memory: what this process holds, what it may still take, and what a computation needs."""

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
"""Bytes that a machine is thought to have free if it does not tell."""


def peak_bytes() -> int:
    """The most memory that this process held at any time, bytes.

    Note:
        Linux keeps in `getrusage` what the parent held when it started the process, so that a small child of a large
        parent seems large; VmHWM is the process's own.

    Raises:
        FramecastError: this system has neither, as Windows.
    """
    found = _lines(STATUS).get("VmHWM")
    if found is not None:
        return found
    try:
        import resource
    except ImportError as error:
        raise FramecastError("peak memory", got="a system that does not tell it", expected="Linux or macOS") from error

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def held_bytes(device: torch.device | str = "cpu") -> int:
    """What this process holds now, bytes: on the CPU all of it, on a GPU its tensors."""
    if torch.device(device).type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _lines(STATUS).get("VmRSS", 0)


def free_bytes(device: torch.device | str = "cpu") -> int:
    """What this process may still take, bytes: the least of what the machine has free and the process is allowed."""
    if torch.device(device).type == "cuda":
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + idle
    return max(0, min(_machine(), _group(), _limit()))


def _lines(path: Path) -> dict[str, int]:
    """The figures of a file of /proc in kB, as bytes."""
    if not path.is_file():
        return {}
    found = re.findall(r"^(\w+):\s+(\d+) kB$", path.read_text(), re.MULTILINE)
    return {name: 1024 * int(value) for name, value in found}


def _machine() -> int:
    available = _lines(MEMINFO).get("MemAvailable")
    if available is not None:
        return available
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # the last on Windows
        return UNKNOWN


def _group() -> int:
    """What the control group, of a container say, leaves: version 2, else version 1."""
    own = re.search(r"^0::/(.*)$", GROUPS.read_text(), re.MULTILINE) if GROUPS.is_file() else None
    folders = [(GROUP_ROOT / own[1], "memory.max", "memory.current")] if own else []
    folders += [(GROUP_ROOT, "memory.max", "memory.current")]
    folders += [(GROUP_ROOT / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes")]
    left = [2**62]
    for folder, most, used in folders:
        limit = folder / most
        if limit.is_file() and limit.read_text().strip().isdigit():
            left.append(
                int(limit.read_text()) - int((folder / used).read_text()) + _reclaimable(folder / "memory.stat")
            )
    return min(left)


def _reclaimable(stat: Path) -> int:
    """Files that the system keeps in memory while nobody else wants it."""
    found = re.search(r"^inactive_file (\d+)$", stat.read_text(), re.MULTILINE) if stat.is_file() else None
    return int(found[1]) if found else 0


def _limit() -> int:
    """What `ulimit -v` leaves."""
    try:
        import resource
    except ImportError:
        return 2**62
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return 2**62 if most == resource.RLIM_INFINITY else most - _lines(STATUS).get("VmSize", 0)


class _Alive(TorchDispatchMode):
    """Counts the bytes of the storages that are alive, of those that were made under it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and to skip the compiler torch would load all of it: 75 MB

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        old = {id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and id(tensor.untyped_storage()) not in old:
                self._note(tensor.untyped_storage())
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        if storage in self.known:
            return
        size = self.known[storage] = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size


def peak_tensor_bytes(function: Callable[[], Any]) -> int:
    """The most bytes of tensors that were alive at once while a function ran, of those that it made itself.

    What a library takes inside one operation is not seen.
    """
    with _Alive() as alive:
        function()
    return alive.peak
