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

from framecast.kernels.prepared_weights import PreparedWeight


class ConvTerm(NamedTuple):
    """Convolution of x with `weight`: with its inputs from `entry` on, giving its outputs from `first` on."""

    x: Tensor
    weight: PreparedWeight
    entry: int
    first: int
    version: int
    """Of x when it was noted down."""

    @classmethod
    def of(cls, x: Tensor, weight: PreparedWeight, entry: int) -> ConvTerm:
        """All outputs of the weight."""
        return cls(x, weight, entry, 0, _version(x))

    def check(self) -> None:
        """Raise if the map was changed since.

        Raises:
            RuntimeError: as torch does for its own operations.
        """
        if _version(self.x) != self.version:
            raise RuntimeError("a map was changed in place between its convolution and the first use of the result")


def _version(x: Tensor) -> int:
    return 0 if x.is_inference() else x._version


class LazyConv(Tensor):
    """A sum of convolutions, biases (N,) and maps (B, N, H, W), all float32 on a CPU.

    Once a function other than chunk and + has asked for the values they stay, and the note is no longer extended: what is
    written into them, and hooks, are not lost.
    """

    terms: tuple[ConvTerm, ...]
    biases: tuple[Tensor, ...]
    addends: tuple[Tensor, ...]
    carry_out: Callable[[LazyConv], Tensor]
    extent: tuple[int, ...]
    """The shape, without asking torch."""
    learns: bool
    """Whether gradients are to come through."""
    result: Tensor | None
    """Once they were asked for."""

    @staticmethod
    def of(
        terms: tuple[ConvTerm, ...],
        channels: int,
        biases: tuple[Tensor, ...],
        addends: tuple[Tensor, ...],
        carry_out: Callable[[LazyConv], Tensor],
    ) -> LazyConv:
        """A new note; `carry_out` computes it."""
        like = terms[0].x
        batch, _, height, width = like.shape
        extent = (batch, channels, height, width)
        learns = torch.is_grad_enabled() and (
            any(term.x.requires_grad or term.weight.token.requires_grad for term in terms)
            or any(tensor.requires_grad for tensor in (*biases, *addends))
        )
        pending: LazyConv = Tensor._make_wrapper_subclass(
            LazyConv, extent, dtype=like.dtype, device=like.device, requires_grad=learns
        )
        pending.terms, pending.biases, pending.addends, pending.carry_out = terms, biases, addends, carry_out
        pending.extent, pending.learns, pending.result = extent, learns, None
        if learns:
            with torch._C.DisableTorchFunctionSubclass():
                pending.register_hook(_astray)
        return pending

    @property
    def taps(self) -> int:
        """Edge of the kernels."""
        return self.terms[0].weight.taps

    def splits(self, count: int, dim: int) -> bool:
        """Whether `blocks` can do what `chunk(count, dim)` does."""
        return self.result is None and dim == 1 and count > 0 and self.extent[1] % count == 0

    def blocks(self, count: int) -> tuple[LazyConv, ...]:
        """`chunk(count, 1)`; count must divide the channels."""
        n = self.extent[1] // count
        return tuple(
            LazyConv.of(
                tuple(term._replace(first=term.first + k * n) for term in self.terms),
                n,
                tuple(bias[k * n : (k + 1) * n] for bias in self.biases),
                tuple(addend[:, k * n : (k + 1) * n] for addend in self.addends),
                self.carry_out,
            )
            for k in range(count)
        )

    def plus(self, other: Tensor) -> LazyConv | None:
        """The sum with another note or a map; None where that is no note."""
        if isinstance(other, LazyConv):
            if self.extent != other.extent or self.taps != other.taps or other.result is not None:
                return None
            terms, biases = (*self.terms, *other.terms), (*self.biases, *other.biases)
            return LazyConv.of(terms, self.extent[1], biases, (*self.addends, *other.addends), self.carry_out)
        like = self.terms[0].x
        if self.extent != other.shape or other.dtype != like.dtype or other.device != like.device:
            return None
        return LazyConv.of(self.terms, self.extent[1], self.biases, (*self.addends, other), self.carry_out)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Extend the note if `func` does that; compute it otherwise."""
        kwargs = kwargs or {}
        if func in _CHUNKS and len(args) == 3 and not kwargs and args[0].splits(args[1], args[2]):
            return args[0].blocks(args[1])
        if func in _SUMS and len(args) == 2 and not kwargs and all(isinstance(a, Tensor) for a in args):
            note, other = args if isinstance(args[0], LazyConv) else args[::-1]
            if note.result is None and (joined := note.plus(other)) is not None:
                return joined
        if func in _DESCRIPTIONS:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        return func(*materialize(args), **materialize(kwargs))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Below autograd it is too late to compute the note."""
        raise RuntimeError(f"{func}: {_NOT_CARRIED_OUT}")


_NOT_CARRIED_OUT = (
    "got convolutions that were not carried out, expected a tensor; give it framecast.kernels.materialize(x) "
    "instead of x, as autograd functions of your own look past torch's functions"
)


def _astray(gradient: Tensor) -> None:
    """A gradient came to the note and not to its convolutions."""
    raise RuntimeError(_NOT_CARRIED_OUT)


_CHUNKS = {Tensor.chunk, torch.chunk}
_SUMS = {Tensor.add, torch.add, Tensor.__add__, Tensor.__radd__}
_DESCRIPTIONS = {
    Tensor.shape.__get__,  # type: ignore[attr-defined]
    Tensor.dtype.__get__,  # type: ignore[attr-defined]
    Tensor.device.__get__,
    Tensor.ndim.__get__,  # type: ignore[attr-defined]
    Tensor.layout.__get__,  # type: ignore[attr-defined]
    Tensor.is_cuda.__get__,  # type: ignore[attr-defined]
    Tensor.is_cpu.__get__,  # type: ignore[attr-defined]
    Tensor.requires_grad.__get__,  # type: ignore[attr-defined]
    Tensor.is_floating_point,
    Tensor.is_inference,
    Tensor.size,
    Tensor.dim,
    Tensor.numel,
}


def materialize(value: Any) -> Any:
    """Notes, wherever they are in lists, tuples and dicts, replaced by tensors."""
    if isinstance(value, LazyConv):
        if value.result is None:
            with torch.set_grad_enabled(value.learns):  # whoever asks first may do so without gradients
                value.result = value.carry_out(value)
        return value.result
    if isinstance(value, dict):
        return {key: materialize(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(materialize(item) for item in value)
    return value
