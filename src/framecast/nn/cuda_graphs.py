"""CUDA graphs: what a function launches, recorded once and replayed as one launch on new contents of the same buffers.

A recorder is any function like `record`; tests put one in its place that needs no GPU.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from framecast import kernels
from framecast.errors import UsageError

Mode = Literal["auto", "on", "off"]
Outputs = list[Tensor | None]
Function = Callable[[Any], Sequence[Tensor | None]]
"""Of a tree of tensors (None is allowed in it). It must launch the same whatever the tensors hold, read none of them on
the host, and take nothing else that changes."""

WARM_UPS = 3
KEPT = 4
TOLERANCE = 1e-2
"""How far the first replay may be from the function itself, relative to the norm of each output: far above what the
order of sums makes, far below what a forgotten input makes."""

_mode: Mode = "auto"


class NotRecorded(Exception):
    """A function that could not be recorded, or whose replay was wrong; the message says why."""


def set_graphs(mode: str) -> None:
    """Choose whether this process records CUDA graphs.

    Args:
        mode: "auto", where it can; "on", an error where it cannot; "off".

    Raises:
        UsageError: any other word.
    """
    global _mode
    if mode not in get_args(Mode):
        raise UsageError("CUDA graphs", got=repr(mode), expected='"auto", "on" or "off"')
    _mode = "on" if mode == "on" else "off" if mode == "off" else "auto"


def get_graphs() -> Mode:
    """Return what `set_graphs` chose; "auto" at first."""
    return _mode


def usable(device: torch.device) -> bool:
    """Whether launches on this device are to be recorded."""
    return _mode != "off" and device.type == "cuda" and not torch.cuda.is_current_stream_capturing()


def where(device: torch.device, weights: Iterable[Tensor]) -> Hashable:
    """What a recording depends on beside its inputs: stream, precision, mode, and the places of the weights."""
    kind = device.type
    stream = torch.cuda.current_stream(device).cuda_stream if kind == "cuda" else 0
    autocast = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind)
    modes = kernels.get_precision(), kernels.get_memory(), autocast, torch.is_inference_mode_enabled()
    return str(device), stream, modes, tuple((weight.data_ptr(), weight.dtype) for weight in weights)


def record(function: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
    """Record what a function launches on the current CUDA device.

    Returns:
        what launches all of it again, and the outputs, which each launch overwrites.
    """
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UPS):  # libraries choose algorithms and take memory, compilers compile
            function()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outputs = function()
    return graph.replay, outputs


class Recording:
    """A function of tensors, recorded.

    Args:
        function: what to record.
        inputs: a tree of tensors like those to come.

    Raises:
        NotRecorded: torch refused, or a replay gives something else than the function.
    """

    def __init__(self, function: Function, inputs: Any) -> None:
        leaves, structure = tree_flatten(inputs)
        # Other contents than those of the check below: what was recorded by value instead of by place shows there.
        self.buffers = [torch.zeros_like(leaf) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        cached = torch.is_autocast_cache_enabled()
        torch.set_autocast_cache_enabled(False)  # what lies in the cache of an open autocast is gone after it
        try:
            expected = [None if value is None else value.clone() for value in function(inputs)]
            self._replay, self.outputs = record(lambda: self._run(function, structure))
        except RuntimeError as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise NotRecorded(f"torch refused ({first})") from error
        finally:
            torch.set_autocast_cache_enabled(cached)
        if (worst := _distance(self(inputs), expected)) > TOLERANCE or worst != worst:
            raise NotRecorded(f"the replay differed by {worst:.1e}")

    def _run(self, function: Function, structure: Any) -> Outputs:
        """The function on the buffers; a buffer that it returns as it is would be overwritten by the next input."""
        own = {b.untyped_storage().data_ptr() for b in self.buffers if isinstance(b, Tensor)}
        outputs = function(tree_unflatten(self.buffers, structure))
        return [
            value.clone() if value is not None and value.untyped_storage().data_ptr() in own else value
            for value in outputs
        ]

    def __call__(self, inputs: Any) -> Outputs:
        """The function's outputs for new inputs of the same shapes; the next call overwrites them."""
        pairs = [pair for pair in zip(self.buffers, tree_leaves(inputs), strict=True) if isinstance(pair[0], Tensor)]
        torch._foreach_copy_([buffer for buffer, _ in pairs], [value for _, value in pairs], non_blocking=True)
        self._replay()
        return self.outputs


class Recordings:
    """The last few recordings of a function, each for the shapes and the place that its key names.

    Args:
        what: is recorded, for messages.
        say: takes a line about what could not be recorded.
    """

    def __init__(self, what: str, say: Callable[[str], None] = warnings.warn) -> None:
        self.what, self.say = what, say
        self._kept: OrderedDict[Hashable, Recording | None] = OrderedDict()

    def get(self, key: Hashable, function: Function, inputs: Any) -> Recording | None:
        """The recording of this key, made if there is none yet; None where the function has to be called itself.

        Raises:
            UsageError: it cannot be recorded, and `set_graphs("on")` was said.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        while len(self._kept) >= KEPT:
            self._kept.popitem(last=False)
        try:
            self._kept[key] = Recording(function, inputs)
        except NotRecorded as error:
            if _mode == "on":
                fix = "set CUDA graphs to auto or off"
                raise UsageError("CUDA graphs", got=str(error), expected="a recording", fix=fix) from error
            self._kept[key] = None
            self.say(f"CUDA graphs: {self.what} is launched step by step, because {error}")
        return self._kept[key]


def shapes(inputs: Any) -> Hashable:
    """Shapes and dtypes of a tree of tensors, as a part of a key."""
    leaves, structure = tree_flatten(inputs)
    return str(structure), tuple((leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves)


def _distance(got: Outputs, expected: Outputs) -> float:
    if [value is None for value in got] != [value is None for value in expected]:
        return float("inf")
    pairs = [(a.double(), b.double()) for a, b in zip(got, expected, strict=True) if a is not None and b is not None]
    return float(torch.stack([(a - b).norm() / b.norm().clamp_min(1e-12) for a, b in pairs]).max())
