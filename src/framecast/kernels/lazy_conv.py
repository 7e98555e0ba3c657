"""Lazy convolutions: sums that are recorded, and computed together with the gate that uses them.

A gate is a sum of convolutions, and its arithmetic follows at once. The fast back end's `conv` therefore returns a record
of the sum: `chunk` and `+` extend the record, and the gate updates compute it with their arithmetic in one pass over
memory. To any other function of torch it is an ordinary tensor, computed on the spot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from framecast.kernels.prepared_weights import PreparedWeight


class ConvTerm(NamedTuple):
    """Convolution of x with a part of `weight`: its inputs from channel `entry` on, its outputs from `first` on."""

    x: Tensor
    weight: PreparedWeight
    entry: int
    first: int
    version: int
    """Version of x when the convolution was recorded."""

    @classmethod
    def record(cls, x: Tensor, weight: PreparedWeight, entry: int) -> ConvTerm:
        """Record a convolution that gives all outputs of the weight."""
        return cls(x, weight, entry, 0, _read_version(x))

    def check(self) -> None:
        """Check that x was not changed since, as torch checks the tensors that it saves.

        Raises:
            RuntimeError: it was changed in place.
        """
        if _read_version(self.x) != self.version:
            raise RuntimeError("a map was changed in place between its convolution and the first use of the result")


def _read_version(x: Tensor) -> int:
    # tensors of inference mode count no versions
    return 0 if x.is_inference() else x._version


class LazyConv(Tensor):
    """Lazy sum of convolutions, biases (N,) and maps (B, N, H, W), all float32 on a CPU.

    Once a function other than chunk and + has computed the values, the record is no longer extended: all later functions
    get that one tensor, so that values written into it, and hooks on it, are not lost.
    """

    terms: tuple[ConvTerm, ...]
    biases: tuple[Tensor, ...]
    addends: tuple[Tensor, ...]
    carry_out: Callable[[LazyConv], Tensor]
    extent: tuple[int, ...]
    """Shape; to read `shape` costs a call of `__torch_function__`."""
    learns: bool
    """Whether gradients flow to the maps, weights or biases."""
    result: Tensor | None
    """The values, once computed."""

    @staticmethod
    def record(
        terms: tuple[ConvTerm, ...],
        channels: int,
        biases: tuple[Tensor, ...],
        addends: tuple[Tensor, ...],
        carry_out: Callable[[LazyConv], Tensor],
    ) -> LazyConv:
        """Record a sum over (B, channels, H, W), which `carry_out` computes."""
        like = terms[0].x
        batch, _, height, width = like.shape
        extent = (batch, channels, height, width)
        learns = torch.is_grad_enabled() and (
            any(term.x.requires_grad or term.weight.token.requires_grad for term in terms)
            or any(tensor.requires_grad for tensor in (*biases, *addends))
        )
        # A wrapper has shape, dtype and device, but no storage.
        lazy: LazyConv = Tensor._make_wrapper_subclass(
            LazyConv, extent, dtype=like.dtype, device=like.device, requires_grad=learns
        )
        lazy.terms, lazy.biases, lazy.addends, lazy.carry_out = terms, biases, addends, carry_out
        lazy.extent, lazy.learns, lazy.result = extent, learns, None
        if learns:
            with torch._C.DisableTorchFunctionSubclass():
                lazy.register_hook(_refuse_gradient)
        return lazy

    @property
    def taps(self) -> int:
        """Edge of the kernels, pixels."""
        return self.terms[0].weight.taps

    def is_divisible(self, count: int, dim: int) -> bool:
        """Return whether `chunk_channels` gives what `chunk(count, dim)` would."""
        return self.result is None and dim == 1 and count > 0 and self.extent[1] % count == 0

    def chunk_channels(self, count: int) -> tuple[LazyConv, ...]:
        """Divide the channels into `count` equal parts, as `chunk(count, 1)` does."""
        n = self.extent[1] // count
        return tuple(
            LazyConv.record(
                tuple(term._replace(first=term.first + k * n) for term in self.terms),
                n,
                tuple(bias[k * n : (k + 1) * n] for bias in self.biases),
                tuple(addend[:, k * n : (k + 1) * n] for addend in self.addends),
                self.carry_out,
            )
            for k in range(count)
        )

    def add_term(self, other: Tensor) -> LazyConv | None:
        """Add another lazy sum or a map; None where the result cannot be lazy."""
        if isinstance(other, LazyConv):
            if self.extent != other.extent or self.taps != other.taps or other.result is not None:
                return None
            terms, biases = (*self.terms, *other.terms), (*self.biases, *other.biases)
            return LazyConv.record(terms, self.extent[1], biases, (*self.addends, *other.addends), self.carry_out)
        like = self.terms[0].x
        if self.extent != other.shape or other.dtype != like.dtype or other.device != like.device:
            return None
        return LazyConv.record(self.terms, self.extent[1], self.biases, (*self.addends, other), self.carry_out)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Extend the record if `func` is a chunk or a sum; compute it for other functions."""
        kwargs = kwargs or {}
        if func in _CHUNKS and len(args) == 3 and not kwargs and args[0].is_divisible(args[1], args[2]):
            return args[0].chunk_channels(args[1])
        if func in _SUMS and len(args) == 2 and not kwargs and all(isinstance(a, Tensor) for a in args):
            lazy, other = args if isinstance(args[0], LazyConv) else args[::-1]
            if lazy.result is None and (joined := lazy.add_term(other)) is not None:
                return joined
        if func in _DESCRIPTIONS:  # asks for no values
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        return func(*materialize(args), **materialize(kwargs))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Refuse: below autograd it is too late to compute the values."""
        raise RuntimeError(f"{func}: {_NOT_CARRIED_OUT}")


_NOT_CARRIED_OUT = (
    "got convolutions that were not carried out, expected a tensor; give it framecast.kernels.materialize(x) "
    "instead of x, as autograd functions of your own look past torch's functions"
)


def _refuse_gradient(gradient: Tensor) -> None:
    """Refuse a gradient of the record itself, which no convolution would get."""
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
    """Compute lazy sums, wherever they are in lists, tuples and dicts; other values are returned as they are."""
    if isinstance(value, LazyConv):
        if value.result is None:
            with torch.set_grad_enabled(value.learns):  # the first use may be under no_grad, a later one not
                value.result = value.carry_out(value)
        return value.result
    if isinstance(value, dict):
        return {key: materialize(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(materialize(item) for item in value)
    return value
