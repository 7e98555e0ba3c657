"""Convolutions whose weight gradient waits: one large convolution for each weight instead of one for each time step.

The backward pass of a rollout asks every convolution of every step for the gradient of its input, which the step before
waits for, and for that of its weight, which nobody waits for. Here the second is put off. Each use leaves its pair
(x, dy) behind, and once all uses are through, a single convolution over all pairs gives the gradient: fewer launches,
and a product large enough to fill a GPU.

How autograd knows when all uses are through: the weight goes into a node that gives out a token, and each convolution
takes the token as one of its inputs. Autograd runs a node after all that came of it; so the token's node runs last,
and gives the weight the collected gradient. The token has no value, its gradient is none: neither costs a launch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from framecast.kernels import fused_gates
from framecast.kernels.autograd import is_needed, once
from framecast.kernels.backend import Activation, Backend
from framecast.kernels.reference import Direct

LIMIT_BYTES = 256 * 2**20
"""What the pairs of one weight may hold before they are worked off: at 128 channels, batch 8 and a map of 16 x 16 more
than a whole rollout of 20 frames leaves behind."""


class _Account:
    """What one backward pass has left behind: pairs, and the gradients of those that were worked off already."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self.bytes = 0
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None


class _Uses:
    """The uses of one weight, with one bias or none, in one rollout.

    Backward passes over the same graph may follow one another, and some never ask for the weight (a saliency map does
    not). Each has an account of its own, under the number that autograd gives it.

    Args:
        weight: as the convolutions use it, without its history.
        limit: bytes of pairs at which they are worked off.
        wants: whether weight and bias want a gradient.
    """

    def __init__(self, weight: Tensor, limit: int, wants: tuple[bool, bool]) -> None:
        self.weight, self.limit, self.wants = weight, limit, wants
        self.accounts: dict[int, _Account] = {}

    def add(self, x: Tensor, dy: Tensor) -> None:
        """Leave a pair behind, without the history of x, which leads back here."""
        x, dy = x.detach(), dy.detach()
        account = self.accounts.setdefault(_backward_pass(), _Account())
        account.pairs.append((x, dy))
        account.bytes += x.numel() * x.element_size() + dy.numel() * dy.element_size()
        if account.bytes >= self.limit:
            self._work_off(account)

    def collect(self) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of weight and bias in this backward pass; None where there is nothing."""
        account = self.accounts.pop(_backward_pass(), None)
        if account is None:
            return None, None
        self._work_off(account)
        return account.weight, account.bias

    def _work_off(self, account: _Account) -> None:
        by_size: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for x, dy in account.pairs:
            by_size.setdefault(x.shape[2:], []).append((x, dy))
        account.pairs, account.bytes = [], 0
        for pairs in by_size.values():
            x, dy = (torch.cat(side) if len(pairs) > 1 else side[0] for side in zip(*pairs, strict=True))
            if self.wants[0]:
                account.weight = _sum(account.weight, _gradients(dy, x, self.weight, "weight"))
            if self.wants[1]:
                account.bias = _sum(account.bias, dy.sum((0, 2, 3), dtype=_exact(dy.dtype)))


class _Collect(torch.autograd.Function):
    """Weight and bias to the token of their uses."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, uses: _Uses) -> Tensor:
        ctx.uses = uses
        ctx.dtypes = weight.dtype, None if bias is None else bias.dtype
        ctx.set_materialize_grads(False)
        return weight.new_empty(())

    @staticmethod
    @once
    def backward(ctx: Any, _: Any) -> Any:
        gradients = ctx.uses.collect()
        return *(g if g is None else g.to(dtype) for g, dtype in zip(gradients, ctx.dtypes, strict=True)), None


class _Convolve(torch.autograd.Function):
    """Convolution that computes the gradient of x, and leaves the rest to the token's node."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, token: Tensor, weight: Tensor, bias: Tensor | None, uses: _Uses) -> Tensor:
        ctx.uses = uses
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    @once
    def backward(ctx: Any, dy: Tensor | None) -> Any:
        if dy is None:
            return None, None, None, None, None
        x, weight = ctx.saved_tensors
        dx = _gradients(dy, x, weight, "x") if ctx.needs_input_grad[0] else None
        if is_needed(ctx.next_functions[1][0]):
            ctx.uses.add(x, dy)
        return dx, None, None, None, None


class _Tied(NamedTuple):
    uses: _Uses
    token: Tensor


class Prepared:
    """A weight ready for use: in the dtype of the arithmetic, and with a token for each bias that it meets.

    Nothing that autograd keeps may lead back here: the token would keep its own graph alive.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype, layout: torch.memory_format, limit: int) -> None:
        self.weight, self.layout, self.limit = weight, layout, limit
        self.ready = weight.detach().to(dtype).contiguous(memory_format=layout)
        self._tied: dict[Tensor | None, _Tied] = {}

    def tied(self, bias: Tensor | None) -> _Tied:
        """The uses of this weight with this bias."""
        if bias not in self._tied:
            wants = self.weight.requires_grad, bias is not None and bias.requires_grad
            uses = _Uses(self.ready, self.limit, wants)
            self._tied[bias] = _Tied(uses, _Collect.apply(self.weight, bias, uses))
        return self._tied[bias]


class Deferred(Backend):
    """Direct convolutions with weight gradients that wait, and gates that are fused while `fused.fusing` is open.

    Values are those of `Direct`; gradients of weights differ by rounding, as they are summed in another order (and under
    autocast in float32, where torch sums them in half precision). Second derivatives are refused.

    Args:
        limit: bytes that the pairs of one weight may hold before they are worked off.
        channels_last: whether convolutions get channels last, which tensor cores compute on; None: where they are in
            use, that is for half precision and for TF32 on CUDA.
    """

    def __init__(self, limit: int = LIMIT_BYTES, channels_last: bool | None = None) -> None:
        self.limit, self.channels_last = limit, channels_last
        self._unfused = Direct()

    def _gates(self) -> Any:
        return fused_gates if fused_gates.wanted() else self._unfused

    def takes(self, x: Tensor, weight: Tensor | None) -> bool:
        """Floats, but not while torch traces (compile, export) or transforms (vmap, grad) a function."""
        traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
        return x.is_floating_point() and not traced

    def prepare(self, weight: Tensor) -> Prepared:
        """Cast, lay out, and tie to a token."""
        dtype = _arithmetic(weight)
        last = on_tensor_cores(weight.device, dtype) if self.channels_last is None else self.channels_last
        return Prepared(weight, dtype, torch.channels_last if last else torch.contiguous_format, self.limit)

    def conv(self, maps: tuple[Tensor, ...], prepared: Prepared, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Cross-correlate with zero padding kernel_size // 2."""
        x = maps[0] if len(maps) == 1 else torch.cat(maps, 1)
        ready = prepared.ready
        if ready.dtype != prepared.weight.dtype:  # autocast
            x = x.to(ready.dtype)
        if prepared.layout == torch.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        offset = None if bias is None else bias.detach().to(ready.dtype)
        if not torch.is_grad_enabled():
            return F.conv2d(x, ready, offset, padding=kernel_size // 2)
        uses, token = prepared.tied(bias)
        result: Tensor = _Convolve.apply(x, token, ready, offset, uses)
        return result

    def memory_update(
        self, i: Tensor, f: Tensor, g: Tensor, memory: Tensor, forget_bias: float
    ) -> tuple[Tensor, Tensor]:
        """Gate the old memory and add the new."""
        return self._gates().memory_update(i, f, g, memory, forget_bias)

    def output_update(self, o: Tensor, memory: Tensor, activation: Activation) -> Tensor:
        """Gate what leaves the cell."""
        return self._gates().output_update(o, memory, activation)

    def increment(self, i: Tensor, g: Tensor) -> Tensor:
        """Gate what is new."""
        return self._gates().increment(i, g)

    def highway_update(self, p: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """Mix the old with the new."""
        return self._gates().highway_update(p, u, z)


def on_tensor_cores(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether convolutions there may use them: half precision, and float32 where TF32 is allowed."""
    half = dtype in (torch.bfloat16, torch.float16)
    return device.type == "cuda" and (half or (dtype == torch.float32 and torch.backends.cudnn.allow_tf32))


def _arithmetic(weight: Tensor) -> torch.dtype:
    """The dtype that autocast, if it is on, gives to convolutions with this weight."""
    kind = weight.device.type
    if weight.dtype != torch.float64 and torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return weight.dtype


def _gradients(dy: Tensor, x: Tensor, weight: Tensor, of: str) -> Tensor:
    pad = weight.shape[-1] // 2
    wanted = [of == "x", of == "weight", False]
    dx, dw, _ = torch.ops.aten.convolution_backward(
        dy, x, weight, None, [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, wanted
    )
    return dx if of == "x" else dw


def _sum(total: Tensor | None, part: Tensor) -> Tensor:
    part = part.to(_exact(part.dtype))
    return part if total is None else total + part


def _exact(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _backward_pass() -> int:
    """The number of the backward pass that this thread is in, as torch.utils.checkpoint asks for it."""
    return torch._C._current_graph_task_id()
