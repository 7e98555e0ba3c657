"""The fast back end of CPUs: Winograd convolutions in native code, gate arithmetic fused with their last transform.

Chosen by `set_precision("high")` for float32 maps and kernels of 3 x 3 and 5 x 5; everything else is left to `Direct`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from framecast.kernels.backend import Activation, Backend
from framecast.kernels.direct import Direct
from framecast.kernels.library import GATES, Op, Source, library
from framecast.kernels.pending import Pending, Term, computed
from framecast.kernels.weights import Weight, held

SUM, MEMORY, OUTPUT, OUTPUT_TANH, INCREMENT, HIGHWAY = range(6)
"""`kind` of native/op.h."""
_SAVED = {SUM: 0, MEMORY: 3, OUTPUT: 2, OUTPUT_TANH: 2, INCREMENT: 2, HIGHWAY: 2}
"""How many activated gates the backward pass needs."""
TAPS = (3, 5)


_direct = Direct()


class Winograd(Backend):
    """Fast convolutions; gate updates are fused where all gates are sums of these, else `Direct`'s."""

    def takes(self, x: Tensor, weight: Tensor | None) -> bool:
        """Plain float32 tensors on a CPU, outside compilers and autocast, where the library is."""
        return (
            type(x) in (Tensor, torch.nn.Parameter, Pending)
            and x.dtype == torch.float32
            and x.device.type == "cpu"
            and (weight is None or (weight.shape[-1] in TAPS and weight.dtype == torch.float32))
            and not torch.compiler.is_compiling()
            and not torch.is_autocast_enabled("cpu")
            and library().handle is not None
        )

    def prepare(self, weight: Tensor) -> Weight:
        """See `weights`."""
        return held(weight)

    def conv(self, x: Tensor, prepared: Weight, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Note what to compute."""
        biases = () if bias is None else (bias,)
        return Pending.of((Term(computed(x), prepared, 0),), len(prepared.store.data), biases, (), _carry_out)

    def memory_update(
        self, i: Tensor, f: Tensor, g: Tensor, memory: Tensor, forget_bias: float
    ) -> tuple[Tensor, Tensor]:
        """Fused."""
        if not _fusible(i, f, g):
            return _direct.memory_update(computed(i), computed(f), computed(g), memory, forget_bias)
        out, delta = _apply(MEMORY, (i, f, g), memory, forget_bias)
        return out, delta

    def output_update(self, o: Tensor, memory: Tensor, activation: Activation) -> Tensor:
        """Fused."""
        if not _fusible(o):
            return _direct.output_update(computed(o), memory, activation)
        return _apply(OUTPUT if activation == "sigmoid" else OUTPUT_TANH, (o,), memory)[0]

    def increment(self, i: Tensor, g: Tensor) -> Tensor:
        """Fused."""
        return _apply(INCREMENT, (i, g))[0] if _fusible(i, g) else _direct.increment(computed(i), computed(g))

    def highway_update(self, p: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """Fused."""
        return _apply(HIGHWAY, (p, u), z)[0] if _fusible(p, u) else _direct.highway_update(computed(p), computed(u), z)


def _fusible(*gates: Tensor) -> bool:
    first = gates[0]
    return all(isinstance(g, Pending) and g.shape == first.shape and g.taps == first.taps for g in gates)  # type: ignore[attr-defined]


def _carry_out(note: Pending) -> Tensor:
    return _apply(SUM, (note,))[0]


class _Layout(NamedTuple):
    """How the tensors of an operation are meant."""

    kind: int
    forget_bias: float
    channels: int
    weights: tuple[Weight, ...]
    offsets: tuple[int, ...]
    keep: bool


def _apply(kind: int, gates: Sequence[Any], memory: Tensor | None = None, forget_bias: float = 0.0) -> Any:
    """Carry the notes of all gates out, and the arithmetic that follows."""
    sources: dict[tuple[int, int, int], Term] = {}
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
    tensors = [
        *(term.x for term in terms),
        *(term.weight.token for term in terms),
        *(sum(gate.biases) if gate.biases else None for gate in gates),
        *(sum(gate.addends) if gate.addends else None for gate in gates),
        computed(memory),
    ]
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    weights = tuple(term.weight for term in terms)
    return _Gates.apply(_Layout(kind, forget_bias, gates[0].shape[1], weights, tuple(offsets), keep), *tensors)


def _place(sources: dict[tuple[int, int, int], Term], term: Term, again: int) -> int:
    key = (id(term.x), id(term.weight.store), again)
    sources.setdefault(key, term)
    return list(sources).index(key)


def _map(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


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
        outputs = [_new(maps[0], layout.channels) for _ in range(2 if layout.kind == MEMORY else 1)]
        saved = [_new(maps[0], layout.channels) for _ in range(_SAVED[layout.kind] if layout.keep else 0)]
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
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        layout, (s, g, kept), wanted = ctx.layout, ctx.counts, ctx.needs_input_grad[1:]
        *kept_maps, memory = ctx.saved_tensors
        maps, saved = kept_maps[:s], kept_maps[s : s + kept]
        dmaps = [torch.zeros_like(m) if want else None for m, want in zip(maps, wanted[:s], strict=True)]
        tokens = [torch.zeros(1) if want else None for want in wanted[s : 2 * s]]
        dbiases = [torch.zeros(layout.channels) if want else None for want in wanted[2 * s : 2 * s + g]]
        daddends = [_new(maps[0], layout.channels) if w else None for w in wanted[2 * s + g : 2 * s + 2 * g]]
        dmemory = torch.empty_like(memory) if wanted[-1] else None
        douts = [None if d is None else _map(d) for d in gradients]
        op = _op(layout, maps, memory)
        for i, (weight, want) in enumerate(zip(layout.weights, wanted[s : 2 * s], strict=True)):
            weight.store.check()
            op.source[i].dx = _address(dmaps[i])
            op.source[i].dweight = _address(weight.store.sum()) if want else None
        op.saved, op.dbias, op.daddend = _addresses(saved), _addresses(dbiases), _addresses(daddends)
        op.dout, op.ddelta = _address(douts[0]), _address(douts[1] if len(douts) > 1 else None)
        op.dmemory = _address(dmemory)
        _run("fc_backward", op)
        return (None, *dmaps, *tokens, *dbiases, *daddends, dmemory)


def _new(like: Tensor, channels: int) -> Tensor:
    batch, _, height, width = like.shape
    return torch.empty(batch, channels, height, width, memory_format=torch.channels_last)


def _op(layout: _Layout, maps: Sequence[Tensor], memory: Tensor | None) -> Op:
    batch, _, height, width = maps[0].shape
    count = len(maps)
    op = Op(
        kind=layout.kind,
        taps=layout.weights[0].taps,
        gates=len(layout.offsets) // count,
        sources=count,
        threads=torch.get_num_threads(),
        forget_bias=layout.forget_bias,
        batch=batch,
        height=height,
        width=width,
        channels=layout.channels,
        source=(Source * count)(),
        offset=(ctypes.c_int32 * len(layout.offsets))(*layout.offsets),
        memory=_address(memory),
    )
    for i, (x, weight) in enumerate(zip(maps, layout.weights, strict=True)):
        op.source[i].x, op.source[i].channels = x.data_ptr(), x.shape[1]
        op.source[i].weight = weight.store.data.data_ptr()
    return op


def _run(name: str, op: Op) -> None:
    if getattr(library().handle, name)(ctypes.byref(op)) != 0:
        raise MemoryError("no memory for the scratch of the fast kernels")
