"""Gate arithmetic as one kernel forward and one backward, made by torch's compiler.

A compiled kernel saves memory traffic and launches on the device, but each call costs the host more than it saves (about
80 us against 11 us, measured on a CPU). It pays where a sequence of launches is recorded once and replayed. So it is
used while `fusing` is open, which a training step opens while it is recorded as a CUDA graph, and nowhere else.

The backward passes are written out, so that what the compiler gets are plain functions of tensors, and what is kept for
the backward pass are the four inputs.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from framecast.kernels.autograd import once
from framecast.kernels.backend import Activation

Formula = Callable[..., tuple[Tensor | None, ...]]

_wanted = False
"""For all threads: autograd's own, which compute again what was not kept, have to do as the forward pass did."""
_broken = False
"""Whether the compiler has failed once: it is not asked again."""


@contextmanager
def fusing() -> Iterator[None]:
    """Within it, back ends that can use fused gates do so."""
    global _wanted
    before, _wanted = _wanted, True
    try:
        yield
    finally:
        _wanted = before


def wanted() -> bool:
    """Whether fused gates are asked for."""
    return _wanted


def memory_update(i: Tensor, f: Tensor, g: Tensor, memory: Tensor, forget_bias: float) -> tuple[Tensor, Tensor]:
    """See `Backend.memory_update`."""
    new, delta = _Gate.apply(_memory, _memory_backward, float(forget_bias), i, f, g, memory)
    return new, delta


def output_update(o: Tensor, memory: Tensor, activation: Activation) -> Tensor:
    """See `Backend.output_update`."""
    (h,) = _Gate.apply(_output, _output_backward, activation == "tanh", o, memory)
    return h


def increment(i: Tensor, g: Tensor) -> Tensor:
    """See `Backend.increment`."""
    (delta,) = _Gate.apply(_increment, _increment_backward, None, i, g)
    return delta


def highway_update(p: Tensor, u: Tensor, z: Tensor) -> Tensor:
    """See `Backend.highway_update`."""
    (new,) = _Gate.apply(_highway, _highway_backward, None, p, u, z)
    return new


class _Gate(torch.autograd.Function):
    """A formula and that of its gradients, each compiled; `constant` is one that both are compiled for."""

    @staticmethod
    def forward(ctx: Any, formula: Formula, backward: Formula, constant: Any, *inputs: Tensor) -> Any:
        ctx.backward_formula, ctx.constant = backward, constant
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs)
        return _run(formula, constant, inputs)

    @staticmethod
    @once
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        inputs = ctx.saved_tensors
        if all(gradient is None for gradient in gradients):
            return (None,) * (3 + len(inputs))
        found = _run(ctx.backward_formula, ctx.constant, (*gradients, *inputs))
        return None, None, None, *(g.to(x.dtype) for g, x in zip(found, inputs, strict=True))


def _run(formula: Formula, constant: Any, inputs: tuple[Any, ...]) -> Any:
    """The compiled formula, or the formula itself where there is no compiler."""
    global _broken
    if not _broken:
        try:
            return _compiled(formula)(constant, *inputs)
        except torch._dynamo.exc.TorchDynamoException as error:
            _broken = True
            first = next(iter(str(error).splitlines()), type(error).__name__)
            warnings.warn(f"gates are not fused: torch's compiler does not work here ({first})", stacklevel=2)
    return formula(constant, *inputs)


@functools.cache
def _compiled(formula: Formula) -> Formula:
    # The formula itself: functions made of one piece of code would share what the compiler keeps, which is bounded.
    return torch.compile(formula, dynamic=True)


def _memory(forget_bias: float, i: Tensor, f: Tensor, g: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
    delta = torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(f + forget_bias) * memory + delta, delta


def _memory_backward(
    forget_bias: float,
    d_new: Tensor | None,
    d_delta: Tensor | None,
    i: Tensor,
    f: Tensor,
    g: Tensor,
    memory: Tensor,
) -> tuple[Tensor, ...]:
    total = d_new if d_delta is None else d_delta if d_new is None else d_new + d_delta
    assert total is not None
    di, dg = _increment_backward(None, total, i, g)
    if d_new is None:
        return di, torch.zeros_like(f), dg, torch.zeros_like(memory)
    sf = torch.sigmoid(f + forget_bias)
    return di, d_new * memory * sf * (1 - sf), dg, d_new * sf


def _output(tanh: bool, o: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
    return ((torch.tanh(o) if tanh else torch.sigmoid(o)) * torch.tanh(memory),)


def _output_backward(tanh: bool, dh: Tensor, o: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
    t = torch.tanh(memory)
    a = torch.tanh(o) if tanh else torch.sigmoid(o)
    slope = 1 - a * a if tanh else a * (1 - a)
    return dh * t * slope, dh * a * (1 - t * t)


def _increment(_: None, i: Tensor, g: Tensor) -> tuple[Tensor, ...]:
    return (torch.sigmoid(i) * torch.tanh(g),)


def _increment_backward(_: None, d: Tensor, i: Tensor, g: Tensor) -> tuple[Tensor, ...]:
    si, t = torch.sigmoid(i), torch.tanh(g)
    return d * t * si * (1 - si), d * si * (1 - t * t)


def _highway(_: None, p: Tensor, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
    return (z + torch.sigmoid(u) * (torch.tanh(p) - z),)


def _highway_backward(_: None, d: Tensor, p: Tensor, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
    s, q = torch.sigmoid(u), torch.tanh(p)
    return d * s * (1 - q * q), d * (q - z) * s * (1 - s), d * (1 - s)
