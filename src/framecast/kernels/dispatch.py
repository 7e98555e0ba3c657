"""The back end in use, and the weights that it prepared for the rollout under way."""

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
Scope = dict[tuple[Backend, Tensor, bool], Any]
"""Weights prepared for a rollout, with gradients and without."""

_direct, _fast = Direct(), Winograd()
_chosen: Backend | None = None
_precision: Precision = "auto"
_memory: Saving = "fast"
_applied = False
"""Whether torch was told, whose own default allows TF32 in convolutions on a GPU: by the user, or on first use there."""
_prepared: ContextVar[Scope | None] = ContextVar("prepared", default=None)


def get_precision() -> Precision:
    """Return the precision that `set_precision` chose; "auto" at first."""
    return _precision


def set_precision(precision: str) -> None:
    """Choose the precision of all convolutions of this process.

    Args:
        precision: "auto", "highest" or "high", see the package's docstring.

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
    """Return what `set_memory` chose; "fast" at first."""
    return _memory


def set_memory(memory: str) -> None:
    """Choose what trainings of this process keep for their backward pass.

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
    """Use another back end for all cells of this process, for one of your own and for tests; None for ours."""
    global _chosen
    _chosen = backend


def backend_for(x: Tensor, weight: Tensor | None = None) -> Backend:
    """Return the back end that computes with x, and with the weight if there is one."""
    if _chosen is not None:
        return _chosen if _chosen.takes(x, weight) else _direct
    if x.is_cuda and not _applied:
        set_precision(_precision)
    if _precision != "highest" and _fast.takes(x, weight):
        return _fast
    return _direct


@contextmanager
def rollout_scope(scope: Scope | None = None) -> Iterator[Scope]:
    """Within it, each weight is prepared once. Opened by the time loop; scopes do not nest into each other.

    Args:
        scope: an earlier one to go on with, where a backward pass computes a step again.
    """
    if not torch.is_grad_enabled():
        buffer_pool.release()
    scope = {} if scope is None else scope
    token = _prepared.set(scope)
    try:
        yield scope
    finally:
        _prepared.reset(token)


def checkpointed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; with memory "low" keep only its arguments, and run it again in the backward pass."""
    scope = _prepared.get()
    if _memory != "low" or not torch.is_grad_enabled():
        return function(*arguments)
    return checkpoint(
        function,
        *arguments,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), nullcontext() if scope is None else rollout_scope(scope)),
    )


def prepare_weight(backend: Backend, weight: Tensor) -> Any:
    """Return the weight in a back end's form: the one of the open scope, or a fresh one outside any scope."""
    if torch.compiler.is_compiling():
        return backend.prepare(weight)  # torch cannot follow the scope, and finds by itself what is computed twice
    scope = _prepared.get()
    if scope is None:
        return backend.prepare(weight)
    key = backend, weight, torch.is_grad_enabled()
    if key not in scope:
        scope[key] = backend.prepare(weight)
    return scope[key]
