"""Training objective: the loss of a micro-batch, and the norm of its gradients."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.kernels import rollout_scope
from framecast.nn.base_head import BaseStep
from framecast.nn.rollout import rollout
from framecast.recipe.loss_term import BEGINNING, Moment
from framecast.recipe.losses import LossConfig, reconstruction_loss
from framecast.transforms.channels import divide_channels
from framecast.transforms.patches import unpatchify
from framecast.types import Frames, Known, Valid

Inputs = tuple[Frames, Valid | None, Known, Tensor, Tensor | None, Tensor | None, Tensor | None]
"""Arguments of `Objective.forward`: frames, mask, steps with true frames, number of pixels; motion, pace, noise."""


class Objective(nn.Module):
    """Loss of a micro-batch of frames in raw units, as its share of the loss of the whole batch.

    Args:
        forecaster: network, normalisation and patches.
        loss: configuration of the loss.

    Raises:
        UsageError: a decoupling weight for a network without a regularizer, no context for a network that predicts
            only frames after it, or a term that does not fit the frames.
    """

    def __init__(self, forecaster: Forecaster, loss: LossConfig) -> None:
        super().__init__()
        self.forecaster, self.loss = forecaster, loss
        if not forecaster.network.feeds_back and forecaster.context is None:
            raise UsageError("context", got="none", expected="the number of frames after which this network predicts")
        loss.check(forecaster.spec, forecaster.normalizer)
        regularizer = forecaster.network.regularizer
        if loss.decoupling and regularizer is None:
            fix = "set it to 0 or train predrnn_v2"
            raise UsageError("loss.decoupling", got=loss.decoupling, expected="0 for this network", fix=fix)
        if regularizer is not None:
            # Data-parallel training waits for the gradient of each parameter that requires one.
            regularizer.requires_grad_(loss.decoupling > 0)

    def forward(
        self,
        frames: Frames,
        valid: Valid | None,
        known: Known,
        pixels: Tensor,
        share: float,
        motion: Tensor | None = None,
        pace: Tensor | None = None,
        drive: Tensor | None = None,
        context: int | None = None,
        moment: Moment = BEGINNING,
    ) -> Tensor:
        """Compute the share of these sequences in the loss of the whole batch.

        Args:
            frames: (B, T, C + E, H, W), raw units, covariates last.
            valid: (B, T, C + E, H, W), False where missing.
            known: (B, T-1), which steps are fed true frames, without those before the spin-up, if the network feeds back.
            pixels: number of observed pixels of the whole batch, in the frames that are predicted.
            share: number of these sequences over that of the whole batch.
            motion: (B, J, 2, H, W), at each frame of the context, pixels per frame, or None.
            pace: (B,), frames of the source from one frame to the next; None for 1.
            drive: (B, 1, K, ...), noise of one member; None for a network that takes none.
            context: J of these sequences; that of the forecaster by default.
            moment: iteration of the training, on which the draws of terms depend.

        Returns:
            the loss, a scalar.
        """
        forecaster, network = self.forecaster, self.forecaster.network
        context = context or forecaster.context
        frames, valid, covariates = divide_channels(frames, valid, forecaster.spec)
        base = self._run_base(frames, valid, motion, pace, context)
        skipped = 0 if context is None else context - forecaster.count_run_in(context)
        context = None if context is None else context - skipped
        patches, frames = forecaster.encode(frames, valid)[:, skipped:], frames[:, skipped:]
        valid, covariates = (None if part is None else part[:, skipped:] for part in (valid, covariates))
        (height, width), steps = frames.shape[-2:], frames.shape[1] - 1
        covariates = None if covariates is None else covariates[:, 1:]  # those of the frame that a step predicts
        known = known if network.feeds_back else torch.arange(steps).expand(len(frames), -1) < (context or 0)
        extra = forecaster.extra(frames, valid, steps, covariates, known=known)
        patches, mask = (patches, known) if network.feeds_back else (patches[:, :context], None)
        aux = self.loss.decoupling > 0
        result = rollout(network, patches, steps, mask, extra=extra, drive=drive, base=base, aux=aux)
        predicted = result.frames if drive is None else result.frames[:, 0]
        prediction = unpatchify(predicted, forecaster.patch)[..., :height, :width]
        if not self.loss.context:
            assert context is not None
            prediction = prediction[:, -(frames.shape[1] - context) :]
        last = slice(-prediction.shape[1] - 1, None)  # the frame before the first predicted one has no say in the loss
        truth, valid = forecaster.normalize(frames)[:, last], None if valid is None else valid[:, last]
        loss = reconstruction_loss(self.loss, prediction, truth, valid, pixels)
        horizon, mask = None if context is None else steps + 1 - context, None if valid is None else valid[:, 1:]
        loss = loss + share * self._sum_terms(prediction, truth[:, 1:], mask, horizon, moment)
        if self.loss.decoupling:
            assert network.regularizer is not None
            with rollout_scope():  # its weight is used at all steps, and prepared once
                loss = loss + share * self.loss.decoupling * network.regularizer(result.aux)
        return loss

    def _sum_terms(
        self, prediction: Tensor, truth: Tensor, valid: Valid | None, horizon: int | None, moment: Moment
    ) -> Tensor | float:
        """Sum the further terms of the loss, weighted, and the network's penalty."""
        total: Tensor | float = 0.0
        for term in self.loss.terms:
            each = term.compute(prediction, truth, valid, self.forecaster.normalizer, horizon, moment)
            total = total + term.weight * each.mean()
        penalty = self.forecaster.network.penalty()
        return total if penalty is None else total + penalty

    def _run_base(
        self,
        frames: Frames,
        valid: Valid | None,
        motion: Tensor | None,
        pace: Tensor | None,
        context: int | None,
    ) -> Iterator[BaseStep] | None:
        """Let the base observe the context; None for a network without one."""
        past = None if valid is None else valid[:, :context]
        run = self.forecaster.run_base(
            frames[:, :context], past, motion=motion, pace=pace, within=self.forecaster.spin_up
        )
        return None if run is None else run.steps(of_context=self.forecaster.network.feeds_back)


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """List the parameters that training changes."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


@torch.no_grad()
def gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    """Compute the L2 norm of all gradients together, a scalar on their device."""
    return torch.linalg.vector_norm(
        torch.stack(torch._foreach_norm([p.grad for p in parameters if p.grad is not None]))
    )
