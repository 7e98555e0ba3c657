"""The loss of a micro-batch and its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from framecast import kernels
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.kernels import rollout_scope
from framecast.nn import cuda_graphs
from framecast.nn.rollout import rollout
from framecast.recipe.losses import LossConfig, reconstruction_loss
from framecast.transforms.channels import divide_channels
from framecast.transforms.patches import unpatchify
from framecast.types import Frames, Known, Valid

Inputs = tuple[Frames, Valid | None, Known, Tensor]
"""Frames, mask, which steps are fed true frames, number of observed pixels: see `Objective.forward`."""


class GradientAccumulator:
    """Adds gradients to those that the parameters have.

    The recorded part ends with the gradients: the host reads the loss before any weight changes.

    Args:
        objective: an `Objective`, set up by fabric.
        parameters: what gets gradients.
        fabric: where.
        say: takes a line about what is not recorded.
    """

    def __init__(
        self, objective: Any, parameters: list[nn.Parameter], fabric: Fabric, say: Callable[[str], None]
    ) -> None:
        self.objective, self.parameters, self.fabric, self.say = objective, parameters, fabric, say
        self.recordings = cuda_graphs.Recordings("the training step", say)
        self._said = False

    def add(self, inputs: Inputs, share: float, *, more: bool) -> Tensor:
        """Add the gradients of a micro-batch.

        Args:
            inputs: on fabric's device.
            share: of these sequences among those of the whole batch.
            more: whether more micro-batches of this iteration follow.

        Returns:
            the loss, a number on the device.
        """
        recording = self._recording(inputs, share)
        if recording is None:
            with self.fabric.no_backward_sync(self.objective, enabled=more):
                loss = self.objective(*inputs, share)
                self.fabric.backward(loss * self.fabric.world_size)
            return loss.detach()
        loss, *found = recording(inputs)
        assert loss is not None
        for parameter, gradient in zip(self.parameters, found, strict=True):
            if gradient is None:
                continue
            if parameter.grad is not None:
                parameter.grad.add_(gradient)
            else:
                parameter.grad = gradient.clone() if more else gradient
        return loss.clone()

    def _recording(self, inputs: Inputs, share: float) -> cuda_graphs.Recording | None:
        device = inputs[0].device
        if not cuda_graphs.usable(device):
            return None
        if (refusal := refused(self.fabric)) is not None:
            if not self._said:
                self.say(f"CUDA graphs: the training step is launched step by step, because {refusal}")
            self._said = True
            return None

        def loss_and_gradients(tensors: Inputs) -> list[Tensor | None]:
            # Past fabric's wrapper, which wants its own backward; there is no other process and no scaler here.
            with kernels.fusing(), torch.enable_grad(), self.fabric.autocast():
                loss = self.objective.module(*tensors, share)
            with kernels.fusing():  # what is computed again in the backward pass
                return [loss.detach(), *torch.autograd.grad(loss, self.parameters, allow_unused=True)]

        key = (cuda_graphs.shapes(inputs), share, cuda_graphs.where(device, self.parameters))
        return self.recordings.get(key, loss_and_gradients, inputs)


def refused(fabric: Fabric) -> str | None:
    """Why a training step cannot be recorded on a GPU; None if it can."""
    if fabric.world_size > 1:
        return "processes wait for one another within it"
    if getattr(fabric.strategy.precision, "scaler", None) is not None:
        return "fp16 changes the scale of the loss from step to step"
    return None


class Objective(nn.Module):
    """Frames in raw units to the batch's share of the loss.

    Args:
        forecaster: what is trained.
        loss: how wrong is measured.

    Raises:
        UsageError: a decoupling weight for a network that has nothing to decouple.
    """

    def __init__(self, forecaster: Forecaster, loss: LossConfig) -> None:
        super().__init__()
        self.forecaster, self.loss = forecaster, loss
        regularizer = forecaster.network.regularizer
        if loss.decoupling and regularizer is None:
            fix = "set it to 0 or train predrnn_v2"
            raise UsageError("loss.decoupling", got=loss.decoupling, expected="0 for this network", fix=fix)
        if regularizer is not None:
            # Weights that no loss reaches must not wait for a gradient.
            regularizer.requires_grad_(loss.decoupling > 0)

    def forward(self, frames: Frames, valid: Valid | None, known: Known, pixels: Tensor, share: float) -> Tensor:
        """The share of these sequences in the loss of the whole batch.

        Args:
            frames: (B, T, C + E, H, W), raw units, covariates last.
            valid: (B, T, C + E, H, W), False where missing.
            known: (B, T-1), which steps are fed true frames.
            pixels: observed pixels of the whole batch.
            share: of these sequences among those of the whole batch.
        """
        forecaster = self.forecaster
        frames, valid, covariates = divide_channels(frames, valid, forecaster.spec)
        (height, width), steps = frames.shape[-2:], frames.shape[1] - 1
        patches = forecaster.encode(frames, valid)
        beside = None if covariates is None else covariates[:, 1:]
        extra = forecaster.extra(frames, valid, steps, beside, known=known)
        result = rollout(forecaster.network, patches, steps, known, extra=extra, aux=self.loss.decoupling > 0)
        prediction = unpatchify(result.frames, forecaster.patch)[..., :height, :width]
        loss = reconstruction_loss(self.loss, prediction, forecaster.normalize(frames), valid, pixels)
        if self.loss.decoupling:
            assert forecaster.network.regularizer is not None
            with rollout_scope():  # its weight serves all steps, too
                loss = loss + share * self.loss.decoupling * forecaster.network.regularizer(result.aux)
        return loss


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


@torch.no_grad()
def gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    """The L2 norm of all gradients together."""
    return torch.linalg.vector_norm(
        torch.stack(torch._foreach_norm([p.grad for p in parameters if p.grad is not None]))
    )
