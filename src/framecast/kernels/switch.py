"""The back end in use, and the weights that it prepared for the rollout under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from framecast.errors import UsageError
from framecast.kernels.backend import Backend
from framecast.kernels.deferred import Deferred
from framecast.kernels.direct import Direct

Precision = Literal["highest", "high"]
Saving = Literal["fast", "low"]

_direct, _deferred = Direct(), Deferred()
_chosen: Backend | None = None
_precision: Precision = "highest"
_memory: Saving = "fast"
_applied = False
"""Whether torch was told: its own default allows TF32 in convolutions."""
_prepared: ContextVar[dict[tuple[Backend, Tensor], Any] | None] = ContextVar("prepared", default=None)


def get_precision() -> Precision:
    """Return the precision that `set_precision` chose; "highest" at first."""
    return _precision


def set_precision(precision: str) -> None:
    """Choose the precision of all convolutions of this process.

    Args:
        precision: "highest" or "high", see the package's docstring.

    Raises:
        UsageError: any other word.
    """
    global _precision, _applied
    if precision not in get_args(Precision):
        raise UsageError("precision", got=repr(precision), expected='"highest" or "high"')
    _precision = "high" if precision == "high" else "highest"
    torch.set_float32_matmul_precision(_precision)
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
    """
    global _memory
    if memory not in get_args(Saving):
        raise UsageError("memory", got=repr(memory), expected='"fast" or "low"')
    _memory = "low" if memory == "low" else "fast"


def set_backend(backend: Backend | None) -> None:
    """Use another back end for all cells of this process, for one of your own and for tests; None for ours."""
    global _chosen
    _chosen = backend


def backend_for(x: Tensor, weight: Tensor | None = None) -> Backend:
    """Return the back end that computes with x, and with the weight if there is one."""
    wanted = _chosen or (_deferred if x.is_cuda else _direct)
    return wanted if wanted.takes(x, weight) else _direct


@contextmanager
def rollout_scope() -> Iterator[None]:
    """Within it, each weight is prepared once. Opened by the time loop; scopes do not nest into each other."""
    if not _applied:
        set_precision(_precision)
    token = _prepared.set({})
    try:
        yield
    finally:
        _prepared.reset(token)


def prepared(backend: Backend, weight: Tensor) -> Any:
    """Return the weight in a back end's form: the one of the open scope, or a fresh one outside any scope."""
    scope = _prepared.get()
    if scope is None:
        return backend.prepare(weight)
    if (backend, weight) not in scope:
        scope[backend, weight] = backend.prepare(weight)
    return scope[backend, weight]
