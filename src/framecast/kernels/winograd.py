"""Fast back end of CPUs: Winograd convolutions in native code, gate arithmetic fused with their last transform.

Chosen by `set_precision("high")` for float32 maps and kernels of 3 x 3 and 5 x 5; everything else is left to `Direct`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate, combinations, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from framecast.kernels.autograd import is_needed, once
from framecast.kernels.backend import Activation, Backend
from framecast.kernels.buffer_pool import take_map
from framecast.kernels.lazy_conv import ConvTerm, LazyConv, materialize
from framecast.kernels.native_library import (
    GATES,
    NativeOp,
    NativeSource,
    are_compatible,
    is_cpu_float32,
    is_traced,
    load_library,
)
from framecast.kernels.prepared_weights import PreparedWeight, hold_weight
from framecast.kernels.reference import Direct

SUM, MEMORY, OUTPUT, OUTPUT_TANH, INCREMENT, HIGHWAY = range(6)
"""Values of `kind` in native/op.h."""
_SAVED = {SUM: 0, MEMORY: 3, OUTPUT: 1, OUTPUT_TANH: 1, INCREMENT: 2, HIGHWAY: 2}
"""Number of activated gates that the backward pass needs."""
_KERNELS = {torch.Size((edge, edge)) for edge in (1, 3, 5)}


_direct = Direct()


class Winograd(Backend):
    """Back end of fast convolutions; gate updates are fused where all gates are lazy sums, else `Direct`'s."""

    def takes(self, x: Tensor, weight: Tensor | None) -> bool:
        """Return whether x and weight are plain float32 on a CPU, outside compilers, transforms and autocast."""
        return (
            not is_traced()
            and type(x) in (Tensor, torch.nn.Parameter, LazyConv)  # a subclass may have its own arithmetic
            and is_cpu_float32(x)
            and 0 not in x.shape
            and (weight is None or (is_cpu_float32(weight) and weight.shape[-2:] in _KERNELS))
            and not torch.is_autocast_enabled("cpu")
            and load_library().handle is not None
        )

    def prepare(self, weight: Tensor) -> Tensor | PreparedWeight:
        """Hold a weight for the rollout; one of 1 x 1 needs no preparation."""
        return weight if weight.shape[-1] == 1 else hold_weight(weight)

    def conv(self, maps: tuple[Tensor, ...], prepared: Any, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Record a lazy convolution; multiply at once for 1 x 1. Maps that do not fit together are left to torch."""
        maps = materialize(maps)
        weight = prepared if kernel_size == 1 else prepared.weight
        if not are_compatible(maps, weight, bias):
            return _direct.conv(maps, weight, bias, kernel_size)
        entries = [0, *accumulate(x.shape[1] for x in maps)]
        if kernel_size == 1:
            return _convolve_pixels(maps, entries, weight, bias)
        terms = tuple(ConvTerm.record(x, prepared, entry) for x, entry in zip(maps, entries, strict=False))
        return LazyConv.record(terms, len(prepared.store.data), () if bias is None else (bias,), (), _compute_sum)

    def memory_update(
        self, i: Tensor, f: Tensor, g: Tensor, memory: Tensor, forget_bias: float
    ) -> tuple[Tensor, Tensor]:
        """Update in the kernel of the convolutions where all gates are lazy sums."""
        if not _are_fusible(i, f, g, memory=memory):
            return _direct.memory_update(materialize(i), materialize(f), materialize(g), memory, forget_bias)
        out, delta = _compute_gates(MEMORY, (i, f, g), memory, forget_bias)
        return out, delta

    def output_update(self, o: Tensor, memory: Tensor, activation: Activation) -> Tensor:
        """Update in the kernel of the convolutions where all gates are lazy sums."""
        if not _are_fusible(o, memory=memory):
            return _direct.output_update(materialize(o), memory, activation)
        return _compute_gates(OUTPUT if activation == "sigmoid" else OUTPUT_TANH, (o,), memory)[0]

    def increment(self, i: Tensor, g: Tensor) -> Tensor:
        """Update in the kernel of the convolutions where all gates are lazy sums."""
        if not _are_fusible(i, g):
            return _direct.increment(materialize(i), materialize(g))
        return _compute_gates(INCREMENT, (i, g))[0]

    def highway_update(self, p: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """Update in the kernel of the convolutions where all gates are lazy sums."""
        if not _are_fusible(p, u, memory=z):
            return _direct.highway_update(materialize(p), materialize(u), z)
        return _compute_gates(HIGHWAY, (p, u), z)[0]


def _convolve_pixels(maps: tuple[Tensor, ...], entries: list[int], weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve stacked maps by 1 x 1, without copying them together."""
    # Maps that are channels last are matrices already, a row for each pixel.
    columns = [weight[:, begin:end, 0, 0] for begin, end in pairwise(entries)]
    rows = [x.permute(0, 2, 3, 1) for x in maps]
    out = linear(rows[0], columns[0], bias)
    for row, column in zip(rows[1:], columns[1:], strict=True):
        out = out + linear(row, column)
    return out.permute(0, 3, 1, 2)


def _are_fusible(*gates: Tensor, memory: Tensor | None = None) -> bool:
    """Return whether all gates are lazy sums of one size, not computed yet, and the memory is of that size."""
    first = gates[0]
    return (
        isinstance(first, LazyConv)
        and all(
            isinstance(g, LazyConv) and g.result is None and g.extent == first.extent and g.taps == first.taps
            for g in gates
        )
        and (memory is None or (is_cpu_float32(memory) and memory.shape == first.extent))
    )


def _compute_sum(lazy: LazyConv) -> Tensor:
    return _compute_gates(SUM, (lazy,))[0]


class _GateLayout(NamedTuple):
    """Arguments of an operation that are no tensors, which autograd need not follow."""

    kind: int
    forget_bias: float
    channels: int
    weights: tuple[PreparedWeight, ...]
    entries: tuple[int, ...]
    """First input channel of its weight that each source takes."""
    offsets: tuple[int, ...]
    """`offset` of native/op.h."""
    keep: bool
    """Whether a backward pass follows, for which activated gates are kept."""
    serial_wgrad: bool
    """Whether one thread adds up the weight gradients, because several blocks add to the same rows."""


def _compute_gates(kind: int, gates: Sequence[Any], memory: Tensor | None = None, forget_bias: float = 0.0) -> Any:
    """Compute the lazy sums of all gates, and the arithmetic that follows."""
    # Gates that convolve one map with one weight share a source, so that the map is transformed once for all.
    sources: dict[tuple[int, int, int, int], ConvTerm] = {}
    firsts: list[dict[int, int]] = []  # of each gate, by index of the source: the first output that it takes
    for gate in gates:
        firsts.append({})
        for term in gate.terms:
            again = 0  # a gate that adds up several outputs of one source needs that source again
            while (index := _index_source(sources, term, again)) in firsts[-1]:
                again += 1
            firsts[-1][index] = term.first
    offsets = [first.get(s, -1) for first in firsts for s in range(len(sources))]
    terms = list(sources.values())
    for term in terms:
        term.check()
    tensors = [
        *(term.x for term in terms),
        *(term.weight.token for term in terms),
        *(_add_up(gate.biases) for gate in gates),
        *(_add_up(gate.addends) for gate in gates),
        materialize(memory),
    ]
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    weights, starts = tuple(term.weight for term in terms), tuple(term.entry for term in terms)
    channels = gates[0].extent[1]
    serial_wgrad = keep and _have_common_rows(terms, offsets, channels)
    layout = _GateLayout(kind, forget_bias, channels, weights, starts, tuple(offsets), keep, serial_wgrad)
    return _FusedGates.apply(layout, *tensors)


def _have_common_rows(terms: Sequence[ConvTerm], offsets: Sequence[int], channels: int) -> bool:
    """Return whether two gates, or two maps, use a common part of one weight."""
    used = [(terms[i % len(terms)], first) for i, first in enumerate(offsets) if first >= 0]
    parts = [(id(term.weight.store), term, first) for term, first in used]
    return any(
        store == other and abs(first - second) < channels and _have_common_inputs(a, b)
        for (store, a, first), (other, b, second) in combinations(parts, 2)
    )


def _have_common_inputs(a: ConvTerm, b: ConvTerm) -> bool:
    return a.entry < b.entry + b.x.shape[1] and b.entry < a.entry + a.x.shape[1]


def _add_up(tensors: tuple[Tensor, ...]) -> Tensor | None:
    return reduce(torch.add, tensors) if tensors else None


def _index_source(sources: dict[tuple[int, int, int, int], ConvTerm], term: ConvTerm, again: int) -> int:
    key = (id(term.x), id(term.weight.store), term.entry, again)
    sources.setdefault(key, term)
    return list(sources).index(key)


def _to_channels_last(tensor: Tensor) -> Tensor:
    # No copy for maps that this back end made. A panel of 16 channels of a pixel is then one read of memory.
    return tensor.contiguous(memory_format=torch.channels_last)


def _get_address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _get_entry_address(weight: Tensor, channel: int) -> int:
    return weight.data_ptr() + channel * weight.stride(1) * weight.element_size()


def _get_addresses(tensors: Sequence[Tensor | None]) -> Any:
    return (ctypes.c_void_p * GATES)(*(_get_address(t) for t in tensors))


class _FusedGates(torch.autograd.Function):
    """Gate operation. Inputs after the layout: S maps, S tokens, G biases, G addends, the memory."""

    @staticmethod
    def forward(ctx: Any, layout: _GateLayout, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        s = len(layout.weights)
        g = len(layout.offsets) // s
        maps = [_to_channels_last(t) for t in tensors[:s] if t is not None]
        biases = [t if t is None else t.contiguous() for t in tensors[2 * s : 2 * s + g]]
        addends = [t if t is None else _to_channels_last(t) for t in tensors[2 * s + g : 2 * s + 2 * g]]
        memory = None if tensors[-1] is None else _to_channels_last(tensors[-1])
        new = _take_map_like if layout.keep else _make_map_like
        outputs = [new(maps[0], layout.channels) for _ in range(2 if layout.kind == MEMORY else 1)]
        saved = [new(maps[0], layout.channels) for _ in range(_SAVED[layout.kind] if layout.keep else 0)]
        op = _make_op(layout, maps, memory)
        op.bias, op.addend, op.saved = _get_addresses(biases), _get_addresses(addends), _get_addresses(saved)
        op.out, op.delta = _get_address(outputs[0]), _get_address(outputs[1] if len(outputs) > 1 else None)
        _call_library("fc_forward", op)
        if layout.keep:
            ctx.save_for_backward(*maps, *saved, memory)
            ctx.layout, ctx.counts = layout, (s, g, len(saved))
            ctx.set_materialize_grads(False)  # an output without a gradient is NULL to the library, not zeros
        return tuple(outputs)

    @staticmethod
    @once
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        layout, (s, g, activations), needed = ctx.layout, ctx.counts, ctx.needs_input_grad[1:]
        *saved_maps, memory = ctx.saved_tensors
        maps, saved = saved_maps[:s], saved_maps[s : s + activations]
        # Gradients of weights only where this pass comes to their tokens: that of a saliency map does not.
        learned = [is_needed(node) for node, _ in ctx.next_functions[s : 2 * s]]
        # Zeros where the library adds, empty where it writes. The gradient of a token is not used: it only makes autograd
        # call the token's backward pass, after those of all operations that took it in.
        dmaps = [torch.zeros_like(m) if want else None for m, want in zip(maps, needed[:s], strict=True)]
        tokens = [maps[0].new_zeros(1) if want else None for want in needed[s : 2 * s]]
        dbiases = [maps[0].new_zeros(layout.channels) if want else None for want in needed[2 * s : 2 * s + g]]
        wanted = needed[2 * s + g : 2 * s + 2 * g]
        daddends = [_make_map_like(maps[0], layout.channels) if want else None for want in wanted]
        dmemory = torch.empty_like(memory) if needed[-1] else None
        douts = [None if d is None else _to_channels_last(d) for d in gradients]
        op = _make_op(layout, maps, memory)
        for i, (weight, want) in enumerate(zip(layout.weights, learned, strict=True)):
            weight.store.check()
            op.source[i].dx = _get_address(dmaps[i])
            op.source[i].dweight = _get_entry_address(weight.store.sum(), layout.entries[i]) if want else None
        op.saved, op.dbias, op.daddend = _get_addresses(saved), _get_addresses(dbiases), _get_addresses(daddends)
        op.dout, op.ddelta = _get_address(douts[0]), _get_address(douts[1] if len(douts) > 1 else None)
        op.dmemory = _get_address(dmemory)
        _call_library("fc_backward", op)
        return (None, *dmaps, *tokens, *dbiases, *daddends, dmemory)


def _take_map_like(like: Tensor, channels: int) -> Tensor:
    return take_map(like.shape[0], channels, *like.shape[2:])


def _make_map_like(like: Tensor, channels: int) -> Tensor:
    batch, _, height, width = like.shape
    return torch.empty(
        batch, channels, height, width, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def _make_op(layout: _GateLayout, maps: Sequence[Tensor], memory: Tensor | None) -> NativeOp:
    batch, _, height, width = maps[0].shape
    count = len(maps)
    op = NativeOp(
        kind=layout.kind,
        taps=layout.weights[0].taps,
        gates=len(layout.offsets) // count,
        sources=count,
        threads=torch.get_num_threads(),
        serial_wgrad=layout.serial_wgrad,
        forget_bias=layout.forget_bias,
        batch=batch,
        height=height,
        width=width,
        channels=layout.channels,
        source=(NativeSource * count)(),
        offset=(ctypes.c_int32 * len(layout.offsets))(*layout.offsets),
        memory=_get_address(memory),
    )
    for i, (x, weight) in enumerate(zip(maps, layout.weights, strict=True)):
        data = weight.store.data
        op.source[i].x, op.source[i].channels = x.data_ptr(), x.shape[1]
        op.source[i].weight, op.source[i].stride = _get_entry_address(data, layout.entries[i]), data.shape[1]
    return op


def _call_library(name: str, op: NativeOp) -> None:
    if getattr(load_library().handle, name)(ctypes.byref(op)) != 0:
        raise MemoryError("no memory for the scratch of the fast kernels")
