"""Muon: the updates of kernels are made orthogonal; all other weights are trained by Adam.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/, with the scale of https://arxiv.org/abs/2502.16982.
`torch.optim.Muon` takes matrices only, and an Adam must stand beside it: here both are one optimiser, as the rest of a
training wants it, and a kernel (out, in, k, k) counts as the matrix (out, in k k).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from framecast.nn.conv import GateConv

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x^3 and x^5: singular values from 0.01 to 1 end between 0.7 and 1.2 within five rounds."""
ROUNDS = 5
SCALE = 0.2
"""Root mean square of an update over that of an orthogonal matrix, so that a step is as long as one of Adam."""


class Muon(torch.optim.Optimizer):
    """Optimiser of two groups: kernels by Muon with Nesterov's momentum, the others by Adam.

    Args:
        kernels: parameters of two or more axes, the first of which is the output.
        others: all other parameters.
        rate: learning rate of the kernels.
        momentum: decay rate of the kernels' mean gradient.
        lr: learning rate of Adam.
        betas: decay rates of Adam's two moments.
        eps: Adam's addend to the denominator.
    """

    def __init__(
        self,
        kernels: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        *,
        rate: float,
        momentum: float,
        lr: float,
        betas: tuple[float, float],
        eps: float,
    ) -> None:
        groups: list[dict[str, Any]] = [
            {"params": list(kernels), "lr": rate, "momentum": momentum},
            {"params": list(others), "lr": lr, "betas": betas, "eps": eps},
        ]
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all weights that have a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            update = self._update_kernel if "momentum" in group else self._update_other
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, parameter.grad, group)
        return loss

    def _update_kernel(self, kernel: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[kernel]
        if not state:
            state["mean"] = torch.zeros_like(kernel)
        mean = state["mean"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(mean, group["momentum"]).flatten(1)
        length = SCALE * max(ahead.shape) ** 0.5
        kernel.sub_(orthogonalize(ahead).view_as(kernel), alpha=group["lr"] * length)

    def _update_other(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            # a tensor, and on the CPU: so load_state_dict leaves it where it is
            state.update(step=torch.tensor(0.0), mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        count, (first, second) = float(state["step"]), group["betas"]
        mean = state["mean"].lerp_(gradient, 1 - first)
        square = state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (square / (1 - second**count)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(mean, root, value=-group["lr"] / (1 - first**count))


def orthogonalize(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix (M, N) near 1, by Newton and Schulz's iteration; zeros stay zeros."""
    linear, cubic, quintic = NEWTON_SCHULZ
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp_min(1e-12)
    for _ in range(ROUNDS):
        square = x @ x.T
        x = linear * x + (cubic * square + quintic * square @ square) @ x
    return x.T if is_tall else x


def divide_kernels(
    network: nn.Module, heads: Iterable[nn.Module | None]
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Divide the trainable parameters into kernels, which Muon trains, and all others.

    Args:
        network: all parameters.
        heads: parts whose parameters are all others: what comes out of them has a scale of its own.

    Returns:
        weights of convolutions and linear maps outside the heads; then biases, norms, peepholes and the heads.
    """
    apart = {id(parameter) for head in heads if head is not None for parameter in head.parameters()}
    kinds = (nn.Linear, nn.modules.conv._ConvNd, GateConv)
    chosen = {id(module.weight) for module in network.modules() if isinstance(module, kinds)} - apart
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kernels = [parameter for parameter in trained if id(parameter) in chosen]
    return kernels, [parameter for parameter in trained if id(parameter) not in chosen]
