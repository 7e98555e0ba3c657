"""Dispatch: choice of the back end, and a cache of the weights that it prepared for the rollout under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from framecast.errors import UsageError
from framecast.kernels import buffer_pool
from framecast.kernels.backend import Backend
from framecast.kernels.reference import Direct
from framecast.kernels.winograd import Winograd

Precision = Literal["auto", "highest", "high"]
Saving = Literal["fast", "low"]
"""Tensors kept for the backward pass: of all gates, or of the states only."""
Scope = dict[tuple[Backend, Tensor, bool], Any]
"""Weights prepared for a rollout, with gradients and without."""

_direct, _fast = Direct(), Winograd()
_chosen: Backend | None = None
_precision: Precision = "auto"
_memory: Saving = "fast"
_applied = False
"""Whether torch's switches are set, as its default allows TF32 in convolutions on a GPU."""
_prepared: ContextVar[Scope | None] = ContextVar("prepared", default=None)


def get_precision() -> Precision:
    """Return the precision of this process; "auto" unless `set_precision` was called."""
    return _precision


def set_precision(precision: str) -> None:
    """Choose the precision of all convolutions of this process.

    Args:
        precision: "highest" for direct convolutions in the precision of their dtype, "high" for fast kernels on a CPU
            and TF32 on an NVIDIA GPU, "auto" for "high" on a CPU and "highest" on a GPU.

    Raises:
        UsageError: any other word.

    Example:
        >>> import framecast
        >>> framecast.set_precision("highest")    # torch's convolutions in float32
        >>> framecast.set_precision("auto")
    """
    global _precision, _applied
    if precision not in get_args(Precision):
        raise UsageError("precision", got=repr(precision), expected='"auto", "highest" or "high"')
    _precision = cast(Precision, precision)
    torch.set_float32_matmul_precision("high" if _precision == "high" else "highest")
    torch.backends.cudnn.allow_tf32 = _precision == "high"
    _applied = True


def get_memory() -> Saving:
    """Return the tensors that trainings keep; "fast" unless `set_memory` was called."""
    return _memory


def set_memory(memory: str) -> None:
    """Choose the tensors that trainings of this process keep for their backward pass.

    Args:
        memory: "fast" keeps the activations of all gates; "low" keeps the states only and computes the gates again.

    Raises:
        UsageError: any other word.

    Example:
        >>> import framecast
        >>> framecast.set_memory("low")    # trainings take about half of the memory and a third more of the time
        >>> framecast.set_memory("fast")
    """
    global _memory
    if memory not in get_args(Saving):
        raise UsageError("memory", got=repr(memory), expected='"fast" or "low"')
    _memory = cast(Saving, memory)


def set_backend(backend: Backend | None) -> None:
    """Set the back end of all cells of this process, from outside framecast or for tests; None for framecast's own."""
    global _chosen
    _chosen = backend


def backend_for(x: Tensor, weight: Tensor | None = None) -> Backend:
    """Choose the back end for x (B, N, H, W), and for the weight (M, N, k, k) if there is one."""
    if _chosen is not None:
        return _chosen if _chosen.takes(x, weight) else _direct
    if x.is_cuda and not _applied:
        set_precision(_precision)
    if _precision != "highest" and _fast.takes(x, weight):
        return _fast
    return _direct


@contextmanager
def rollout_scope(scope: Scope | None = None) -> Iterator[Scope]:
    """Prepare each weight once within the context, for all steps of a rollout. An inner scope does not see an outer one.

    Args:
        scope: an earlier scope to continue, where a backward pass computes a step again; None for a new one.
    """
    if not torch.is_grad_enabled():  # a forecast does not need the idle buffers of a training
        buffer_pool.release()
    scope = {} if scope is None else scope
    token = _prepared.set(scope)
    try:
        yield scope
    finally:
        _prepared.reset(token)


def checkpointed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; with memory "low" keep only its arguments, and compute it again in the backward pass."""
    scope = _prepared.get()
    if _memory != "low" or not torch.is_grad_enabled():
        return function(*arguments)
    return checkpoint(
        function,
        *arguments,
        use_reentrant=False,
        preserve_rng_state=False,
        # The second computation finds the weights that the first one prepared.
        context_fn=lambda: (nullcontext(), nullcontext() if scope is None else rollout_scope(scope)),
    )


def prepare_weight(backend: Backend, weight: Tensor) -> Any:
    """Prepare a weight (M, N, k, k) for a back end, once per open scope; anew outside any scope."""
    if torch.compiler.is_compiling():
        return backend.prepare(weight)  # torch cannot follow the scope, and finds by itself what is computed twice
    scope = _prepared.get()
    if scope is None:
        return backend.prepare(weight)
    key = backend, weight, torch.is_grad_enabled()  # a form prepared without gradients must not serve a training
    if key not in scope:
        scope[key] = backend.prepare(weight)
    return scope[key]
