"""The loss of a micro-batch and its gradients: launched one by one, or recorded as a CUDA graph and replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from framecast import graphs, kernels
from framecast.types import Frames, Known, Valid

Inputs = tuple[Frames, Valid | None, Known, Tensor]
"""Frames, mask, which steps are fed true frames, number of observed pixels: see `Objective.forward`."""


class Gradients:
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
        self.recordings = graphs.Recordings("the training step", say)
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

    def _recording(self, inputs: Inputs, share: float) -> graphs.Recording | None:
        device = inputs[0].device
        if not graphs.usable(device):
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

        key = (graphs.shapes(inputs), share, graphs.where(device, self.parameters))
        return self.recordings.get(key, loss_and_gradients, inputs)


def refused(fabric: Fabric) -> str | None:
    """Why a training step cannot be recorded on a GPU; None if it can."""
    if fabric.world_size > 1:
        return "processes wait for one another within it"
    if getattr(fabric.strategy.precision, "scaler", None) is not None:
        return "fp16 changes the scale of the loss from step to step"
    return None
