"""The back end in use, and the weights that it prepared for the rollout under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

import torch
from torch import Tensor

from framecast.errors import UsageError
from framecast.kernels.backend import Backend
from framecast.kernels.direct import Direct

Precision = Literal["highest", "high"]

_backend: Backend = Direct()
_precision: Precision = "highest"
_applied = False
"""Whether torch was told: its own default allows TF32 in convolutions."""
_prepared: ContextVar[dict[Tensor, Tensor] | None] = ContextVar("prepared", default=None)


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


def active() -> Backend:
    """Return the back end in use."""
    return _backend


def set_backend(backend: Backend) -> None:
    """Use another back end for all cells of this process (for a back end of your own, and for tests)."""
    global _backend
    _backend = backend


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


def prepared(weight: Tensor) -> Tensor:
    """Return the weight in the back end's form: the one of the open scope, or a fresh one outside any scope."""
    scope = _prepared.get()
    if scope is None:
        return _backend.prepare(weight)
    if weight not in scope:
        scope[weight] = _backend.prepare(weight)
    return scope[weight]
