"""Convolutions that are still to be carried out.

A gate is a sum of convolutions, and its arithmetic follows at once. What the fast back end's `conv` returns is therefore
only a note of what to compute: slicing it by `chunk` and adding to it extend the note, and the gate updates carry all of
it out in one go. To any other function of torch it is an ordinary tensor, computed on the spot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from framecast.kernels.weights import Weight


class Term(NamedTuple):
    """Convolution of x with `weight`, of whose outputs the sum takes those from `first` on."""

    x: Tensor
    weight: Weight
    first: int


class Pending(Tensor):
    """A sum of convolutions, biases (N,) and maps (B, N, H, W), all float32 on a CPU."""

    terms: tuple[Term, ...]
    biases: tuple[Tensor, ...]
    addends: tuple[Tensor, ...]
    carry_out: Callable[[Pending], Tensor]

    @staticmethod
    def of(
        terms: tuple[Term, ...],
        channels: int,
        biases: tuple[Tensor, ...],
        addends: tuple[Tensor, ...],
        carry_out: Callable[[Pending], Tensor],
    ) -> Pending:
        """A new note; `carry_out` computes it."""
        batch, _, height, width = terms[0].x.shape
        like = terms[0].x
        pending: Pending = Tensor._make_wrapper_subclass(
            Pending, (batch, channels, height, width), dtype=like.dtype, device=like.device
        )
        pending.terms, pending.biases, pending.addends, pending.carry_out = terms, biases, addends, carry_out
        return pending

    @property
    def taps(self) -> int:
        """Edge of the kernels."""
        return self.terms[0].weight.taps

    def blocks(self, count: int) -> tuple[Pending, ...]:
        """`chunk(count, 1)`; count must divide the channels."""
        n = self.shape[1] // count
        return tuple(
            Pending.of(
                tuple(term._replace(first=term.first + k * n) for term in self.terms),
                n,
                tuple(bias[k * n : (k + 1) * n] for bias in self.biases),
                tuple(addend[:, k * n : (k + 1) * n] for addend in self.addends),
                self.carry_out,
            )
            for k in range(count)
        )

    def plus(self, other: Tensor) -> Pending | None:
        """The sum with another note or a map; None where that is no note."""
        if self.shape != other.shape or self.dtype != other.dtype or self.device != other.device:
            return None
        if isinstance(other, Pending) and other.taps != self.taps:
            return None
        if not isinstance(other, Pending):
            return Pending.of(self.terms, self.shape[1], self.biases, (*self.addends, other), self.carry_out)
        terms, biases = (*self.terms, *other.terms), (*self.biases, *other.biases)
        return Pending.of(terms, self.shape[1], biases, (*self.addends, *other.addends), self.carry_out)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Extend the note if `func` does that; compute it otherwise."""
        kwargs = kwargs or {}
        if func in _DESCRIPTIONS:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        if func in _CHUNKS and len(args) == 3 and args[2] == 1 and args[0].shape[1] % args[1] == 0:
            return args[0].blocks(args[1])
        if func in _SUMS and len(args) == 2 and not kwargs and all(isinstance(a, Tensor) for a in args):
            note, other = args if isinstance(args[0], Pending) else args[::-1]
            if (joined := note.plus(other)) is not None:
                return joined
        return func(*computed(args), **computed(kwargs))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Below autograd it is too late to compute the note."""
        raise AssertionError(f"{func} got convolutions that were not carried out")


_CHUNKS = {Tensor.chunk, torch.chunk}
_SUMS = {Tensor.add, torch.add, Tensor.__add__, Tensor.__radd__}
_DESCRIPTIONS = {
    Tensor.shape.__get__,  # type: ignore[attr-defined]
    Tensor.dtype.__get__,  # type: ignore[attr-defined]
    Tensor.device.__get__,
    Tensor.ndim.__get__,  # type: ignore[attr-defined]
    Tensor.size,
    Tensor.dim,
}


def computed(value: Any) -> Any:
    """Notes, wherever they are in lists, tuples and dicts, replaced by tensors."""
    if isinstance(value, Pending):
        return value.carry_out(value)
    if isinstance(value, dict):
        return {key: computed(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(computed(item) for item in value)
    return value
