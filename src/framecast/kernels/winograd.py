"""The fast back end of CPUs: Winograd convolutions in native code, gate arithmetic fused with their last transform.

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
    is_cpu_float32,
    is_traced,
    load_library,
    maps_fit,
)
from framecast.kernels.prepared_weights import PreparedWeight, hold_weight
from framecast.kernels.reference import Direct

SUM, MEMORY, OUTPUT, OUTPUT_TANH, INCREMENT, HIGHWAY = range(6)
"""`kind` of native/op.h."""
_SAVED = {SUM: 0, MEMORY: 3, OUTPUT: 1, OUTPUT_TANH: 1, INCREMENT: 2, HIGHWAY: 2}
"""How many activated gates the backward pass needs."""
_KERNELS = {torch.Size((edge, edge)) for edge in (1, 3, 5)}


_direct = Direct()


class Winograd(Backend):
    """Fast convolutions; gate updates are fused where all gates are sums of these, else `Direct`'s."""

    def takes(self, x: Tensor, weight: Tensor | None) -> bool:
        """Plain float32 tensors on a CPU, outside compilers, transforms and autocast, where the library is."""
        return (
            not is_traced()
            and type(x) in (Tensor, torch.nn.Parameter, LazyConv)
            and is_cpu_float32(x)
            and 0 not in x.shape
            and (weight is None or (is_cpu_float32(weight) and weight.shape[-2:] in _KERNELS))
            and not torch.is_autocast_enabled("cpu")
            and load_library().handle is not None
        )

    def prepare(self, weight: Tensor) -> Tensor | PreparedWeight:
        """See `weights`; weights of single pixels need no preparation."""
        return weight if weight.shape[-1] == 1 else hold_weight(weight)

    def conv(self, maps: tuple[Tensor, ...], prepared: Any, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Note what to compute; a matrix product for single pixels. What does not fit together is left to torch."""
        maps = materialize(maps)
        weight = prepared if kernel_size == 1 else prepared.weight
        if not maps_fit(maps, weight, bias):
            return _direct.conv(maps, weight, bias, kernel_size)
        entries = [0, *accumulate(x.shape[1] for x in maps)]
        if kernel_size == 1:
            return _pixelwise(maps, entries, weight, bias)
        terms = tuple(ConvTerm.of(x, prepared, entry) for x, entry in zip(maps, entries, strict=False))
        return LazyConv.of(terms, len(prepared.store.data), () if bias is None else (bias,), (), _carry_out)

    def memory_update(
        self, i: Tensor, f: Tensor, g: Tensor, memory: Tensor, forget_bias: float
    ) -> tuple[Tensor, Tensor]:
        """Fused."""
        if not _fusible(i, f, g, memory=memory):
            return _direct.memory_update(materialize(i), materialize(f), materialize(g), memory, forget_bias)
        out, delta = _apply(MEMORY, (i, f, g), memory, forget_bias)
        return out, delta

    def output_update(self, o: Tensor, memory: Tensor, activation: Activation) -> Tensor:
        """Fused."""
        if not _fusible(o, memory=memory):
            return _direct.output_update(materialize(o), memory, activation)
        return _apply(OUTPUT if activation == "sigmoid" else OUTPUT_TANH, (o,), memory)[0]

    def increment(self, i: Tensor, g: Tensor) -> Tensor:
        """Fused."""
        return _apply(INCREMENT, (i, g))[0] if _fusible(i, g) else _direct.increment(materialize(i), materialize(g))

    def highway_update(self, p: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """Fused."""
        if not _fusible(p, u, memory=z):
            return _direct.highway_update(materialize(p), materialize(u), z)
        return _apply(HIGHWAY, (p, u), z)[0]


def _pixelwise(maps: tuple[Tensor, ...], entries: list[int], weight: Tensor, bias: Tensor | None) -> Tensor:
    """1 x 1 convolution of stacked maps, which are not copied together."""
    columns = [weight[:, begin:end, 0, 0] for begin, end in pairwise(entries)]
    rows = [x.permute(0, 2, 3, 1) for x in maps]
    out = linear(rows[0], columns[0], bias)
    for row, column in zip(rows[1:], columns[1:], strict=True):
        out = out + linear(row, column)
    return out.permute(0, 3, 1, 2)


def _fusible(*gates: Tensor, memory: Tensor | None = None) -> bool:
    """Whether all are notes of one size, which nobody has asked for values yet, and the memory is of that size."""
    first = gates[0]
    return (
        isinstance(first, LazyConv)
        and all(
            isinstance(g, LazyConv) and g.result is None and g.extent == first.extent and g.taps == first.taps
            for g in gates
        )
        and (memory is None or (is_cpu_float32(memory) and memory.shape == first.extent))
    )


def _carry_out(note: LazyConv) -> Tensor:
    return _apply(SUM, (note,))[0]


class _Layout(NamedTuple):
    """How the tensors of an operation are meant."""

    kind: int
    forget_bias: float
    channels: int
    weights: tuple[PreparedWeight, ...]
    entries: tuple[int, ...]
    """First input channel of the weight that each source takes."""
    offsets: tuple[int, ...]
    keep: bool
    alone: bool
    """Whether weight gradients are added up by one thread, because several blocks add to the same rows."""


def _apply(kind: int, gates: Sequence[Any], memory: Tensor | None = None, forget_bias: float = 0.0) -> Any:
    """Carry the notes of all gates out, and the arithmetic that follows."""
    sources: dict[tuple[int, int, int, int], ConvTerm] = {}
    entries: list[dict[int, int]] = []  # of each gate, by place of the source: the first output that it takes
    for gate in gates:
        entries.append({})
        for term in gate.terms:
            again = 0  # a gate may add up several outputs of one source
            while (at := _place(sources, term, again)) in entries[-1]:
                again += 1
            entries[-1][at] = term.first
    offsets = [entry.get(s, -1) for entry in entries for s in range(len(sources))]
    terms = list(sources.values())
    for term in terms:
        term.check()
    tensors = [
        *(term.x for term in terms),
        *(term.weight.token for term in terms),
        *(_total(gate.biases) for gate in gates),
        *(_total(gate.addends) for gate in gates),
        materialize(memory),
    ]
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    weights, starts = tuple(term.weight for term in terms), tuple(term.entry for term in terms)
    channels = gates[0].extent[1]
    alone = keep and _meet(terms, offsets, channels)
    layout = _Layout(kind, forget_bias, channels, weights, starts, tuple(offsets), keep, alone)
    return _Gates.apply(layout, *tensors)


def _meet(terms: Sequence[ConvTerm], offsets: Sequence[int], channels: int) -> bool:
    """Whether two gates, or two maps, use the same part of one weight."""
    parts = [
        (id(terms[at % len(terms)].weight.store), terms[at % len(terms)], first)
        for at, first in enumerate(offsets)
        if first >= 0
    ]
    return any(
        store == other and abs(first - second) < channels and _overlap(one, two)
        for (store, one, first), (other, two, second) in combinations(parts, 2)
    )


def _overlap(one: ConvTerm, two: ConvTerm) -> bool:
    return one.entry < two.entry + two.x.shape[1] and two.entry < one.entry + one.x.shape[1]


def _total(tensors: tuple[Tensor, ...]) -> Tensor | None:
    return reduce(torch.add, tensors) if tensors else None


def _place(sources: dict[tuple[int, int, int, int], ConvTerm], term: ConvTerm, again: int) -> int:
    key = (id(term.x), id(term.weight.store), term.entry, again)
    sources.setdefault(key, term)
    return list(sources).index(key)


def _map(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _entry(weight: Tensor, channel: int) -> int:
    return weight.data_ptr() + channel * weight.stride(1) * weight.element_size()


def _addresses(tensors: Sequence[Tensor | None]) -> Any:
    return (ctypes.c_void_p * GATES)(*(_address(t) for t in tensors))


class _Gates(torch.autograd.Function):
    """Inputs after the layout: S maps, S tokens, G biases, G addends, the memory."""

    @staticmethod
    def forward(ctx: Any, layout: _Layout, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        s = len(layout.weights)
        g = len(layout.offsets) // s
        maps = [_map(t) for t in tensors[:s] if t is not None]
        biases = [t if t is None else t.contiguous() for t in tensors[2 * s : 2 * s + g]]
        addends = [t if t is None else _map(t) for t in tensors[2 * s + g : 2 * s + 2 * g]]
        memory = None if tensors[-1] is None else _map(tensors[-1])
        new = _kept if layout.keep else _new
        outputs = [new(maps[0], layout.channels) for _ in range(2 if layout.kind == MEMORY else 1)]
        saved = [new(maps[0], layout.channels) for _ in range(_SAVED[layout.kind] if layout.keep else 0)]
        op = _op(layout, maps, memory)
        op.bias, op.addend, op.saved = _addresses(biases), _addresses(addends), _addresses(saved)
        op.out, op.delta = _address(outputs[0]), _address(outputs[1] if len(outputs) > 1 else None)
        _run("fc_forward", op)
        if layout.keep:
            ctx.save_for_backward(*maps, *saved, memory)
            ctx.layout, ctx.counts = layout, (s, g, len(saved))
            ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    @once
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        layout, (s, g, kept), needed = ctx.layout, ctx.counts, ctx.needs_input_grad[1:]
        *kept_maps, memory = ctx.saved_tensors
        maps, saved = kept_maps[:s], kept_maps[s : s + kept]
        # Of the weights only where this pass comes to their tokens: a saliency map does not.
        learned = [is_needed(node) for node, _ in ctx.next_functions[s : 2 * s]]
        dmaps = [torch.zeros_like(m) if want else None for m, want in zip(maps, needed[:s], strict=True)]
        tokens = [maps[0].new_zeros(1) if want else None for want in needed[s : 2 * s]]
        dbiases = [maps[0].new_zeros(layout.channels) if want else None for want in needed[2 * s : 2 * s + g]]
        daddends = [_new(maps[0], layout.channels) if want else None for want in needed[2 * s + g : 2 * s + 2 * g]]
        dmemory = torch.empty_like(memory) if needed[-1] else None
        douts = [None if d is None else _map(d) for d in gradients]
        op = _op(layout, maps, memory)
        for i, (weight, want) in enumerate(zip(layout.weights, learned, strict=True)):
            weight.store.check()
            op.source[i].dx = _address(dmaps[i])
            op.source[i].dweight = _entry(weight.store.sum(), layout.entries[i]) if want else None
        op.saved, op.dbias, op.daddend = _addresses(saved), _addresses(dbiases), _addresses(daddends)
        op.dout, op.ddelta = _address(douts[0]), _address(douts[1] if len(douts) > 1 else None)
        op.dmemory = _address(dmemory)
        _run("fc_backward", op)
        return (None, *dmaps, *tokens, *dbiases, *daddends, dmemory)


def _kept(like: Tensor, channels: int) -> Tensor:
    return take_map(like.shape[0], channels, *like.shape[2:])


def _new(like: Tensor, channels: int) -> Tensor:
    batch, _, height, width = like.shape
    return torch.empty(
        batch, channels, height, width, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def _op(layout: _Layout, maps: Sequence[Tensor], memory: Tensor | None) -> NativeOp:
    batch, _, height, width = maps[0].shape
    count = len(maps)
    op = NativeOp(
        kind=layout.kind,
        taps=layout.weights[0].taps,
        gates=len(layout.offsets) // count,
        sources=count,
        threads=torch.get_num_threads(),
        alone=layout.alone,
        forget_bias=layout.forget_bias,
        batch=batch,
        height=height,
        width=width,
        channels=layout.channels,
        source=(NativeSource * count)(),
        offset=(ctypes.c_int32 * len(layout.offsets))(*layout.offsets),
        memory=_address(memory),
    )
    for i, (x, weight) in enumerate(zip(maps, layout.weights, strict=True)):
        data = weight.store.data
        op.source[i].x, op.source[i].channels = x.data_ptr(), x.shape[1]
        op.source[i].weight, op.source[i].stride = _entry(data, layout.entries[i]), data.shape[1]
    return op


def _run(name: str, op: NativeOp) -> None:
    if getattr(load_library().handle, name)(ctypes.byref(op)) != 0:
        raise MemoryError("no memory for the scratch of the fast kernels")
