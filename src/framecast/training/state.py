"""State of a training: weights, optimiser, average and scores, and one iteration that advances it.

Iterations count from 1. All randomness is a pure function of the seed and of the iteration, so that resuming, the
number of workers, and how a batch is shared among processes and micro-batches cannot change what is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from framecast.data import Batch, DataSet
from framecast.devices import has_float64, restore_optimizer, to_device
from framecast.errors import NonFiniteLoss
from framecast.evaluation.evaluate import evaluate
from framecast.forecasting.model_folder import write_model
from framecast.nn.rollout import draw_noise
from framecast.recipe.loss_term import Moment
from framecast.recipe.losses import count_observed
from framecast.recipe.recipe import Recipe
from framecast.runs.folder import RunFolder
from framecast.training.build import add_motion, freeze, make_optimizer, new_forecaster
from framecast.training.compilation import compile_step, explain_compiler
from framecast.training.ema import WeightAverage
from framecast.training.objective import Inputs, Objective, gradient_norm, trainable
from framecast.training.processes.ordered_sum import sum_in_order
from framecast.training.validation_metrics import select_validation_metrics

_REVERSAL_STREAM = 0x7EAF
"""Key that keeps the draw of reversals apart from other random numbers of a seed."""


class TrainingState:
    """State of a training, which `iterate` advances.

    Args:
        recipe: network and training.
        dataset: data to train and validate on.
        fabric: device and processes; launched.

    Attributes:
        model: content of the model.json that was saved last; None before the first.
    """

    def __init__(self, recipe: Recipe, dataset: DataSet, fabric: Fabric) -> None:
        self.recipe, self.dataset, self.fabric = recipe, dataset, fabric
        self.step, self.worse = 0, 0
        self.best: float | None = None
        self.metrics = select_validation_metrics(recipe, dataset)
        self.model: dict[str, Any] | None = None
        self._odd = dataset.vectors.reversed_in_time
        if recipe.train.time_reversal != "off":
            dataset.vectors.check("train.time_reversal")
        with torch.random.fork_rng(devices=[]):  # the caller's generator stays where it was
            torch.manual_seed(recipe.seed)
            self.forecaster = new_forecaster(recipe, dataset)
        self.dataset = dataset = add_motion(dataset, self.forecaster, recipe)
        objective = Objective(self.forecaster, recipe.loss)
        freeze(self.forecaster.network, recipe.train.freeze)
        self.parameters = trainable(objective)
        config = recipe.train
        self.objective, self.optimizer = fabric.setup(objective, make_optimizer(config, objective, fabric.device))
        self._sum = sum_in_order(self.objective)
        self._rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        if config.compile:
            compile_step(self.forecaster.network, fabric.device)
            for parameter in self.parameters:  # gradients are added: the next replay overwrites a graph's outputs
                parameter.grad = torch.zeros_like(parameter)
        self.average = WeightAverage(self.parameters, config.ema) if config.ema else None

    def begin_with(self, weights: dict[str, Tensor]) -> None:
        """Begin with the weights of another model, fitted numbers of its base included."""
        self.forecaster.network.load_state_dict(weights)
        if self.average is not None:
            self.average = WeightAverage(self.parameters, self.average.decay)

    def iterate(self, batches: list[Batch]) -> dict[str, Any]:
        """Do one iteration on the micro-batches of this process: one update, or two with time_reversal "step".

        Returns:
            fields for the event log; the loss is None where no pixel of the batch was observed: nothing is learnt then.

        Raises:
            NonFiniteLoss: the loss or a gradient is not finite; the weights are unchanged by this update.
        """
        config, step = self.recipe.train, self.step + 1
        factor = config.lr_schedule.factor(step, config.steps)
        for group, base_rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = base_rate * factor
        rate = config.lr * factor
        if config.time_reversal == "augment":
            batches = [self._reverse_some(batch, m) for m, batch in enumerate(batches)]
        passes = [batches, [b.reversed(self._odd) for b in batches]] if config.time_reversal == "step" else [batches]
        results = [result for direction in passes if (result := self._update(direction, step)) is not None]
        self.step = step
        encoder, decoder = self.recipe.sampling.probabilities(step, config.steps)
        loss, norm = (sum(v) / len(results) for v in zip(*results, strict=True)) if results else (None, None)
        return {"step": step, "loss": loss, "gradient_norm": norm, "lr": rate, "truth": [encoder, decoder]}

    def _update(self, batches: list[Batch], step: int) -> tuple[float, float] | None:
        """Update the weights; return loss and norm of the gradient, or None where no pixel was observed."""
        fabric, config = self.fabric, self.recipe.train
        context, horizon = config.lengths(step, self.recipe.context, self.recipe.horizon)
        batches = [batch.around(self.recipe.context, context, horizon) for batch in batches]
        run_in = self.forecaster.count_run_in(context)
        known = self.recipe.sampling.known(
            step,
            config.steps,
            seed=self.recipe.seed,
            batch=config.batch_size,
            context=run_in,
            frames=run_in + horizon,
        )
        pixels = float(sum(self._count_pixels(batch, context) for batch in batches))
        if self.dataset.has_missing:
            (pixels,) = self.over_processes([pixels], "sum")
        else:  # every process has as many: no communication
            pixels *= fabric.world_size
        if pixels == 0:
            return None
        losses, share = [], 1 / (len(batches) * fabric.world_size)
        for m, batch in enumerate(batches):
            inputs = self.inputs(batch, known[self._rows(m, len(batch.frames))], pixels)
            losses.append(self.add_gradients(inputs, share, context=context))
        fabric.strategy.precision.unscale_gradients(self.optimizer.optimizer)
        # The only place where the host waits for the device.
        *parts, norm = torch.stack([*losses, gradient_norm(self.parameters)]).tolist()
        # In fp16 an infinite gradient is usual: the scaler skips the update and lowers its factor.
        is_broken = not math.isfinite(norm) and config.dtype != "fp16"
        mean, broken = self.over_processes([sum(parts), float(is_broken)], "sum")
        if not math.isfinite(mean) or broken:
            self._clear_gradients()
            what = "loss" if not math.isfinite(mean) else "gradient"
            raise NonFiniteLoss(
                f"{what} is not finite at step {step} ({_name_sequences(batches, step)}); nothing of this step was saved",
                fix="lower train.lr, set train.clip=1, or look at these sequences",
            )
        if config.clip and config.clip < norm < math.inf:
            torch._foreach_mul_([p.grad for p in self.parameters if p.grad is not None], config.clip / norm)
        self.optimizer.step()
        self._clear_gradients()
        if self.average is not None:
            self.average.update()
        return mean, norm

    def add_gradients(self, inputs: Inputs, share: float, *, context: int | None = None) -> Tensor:
        """Add the gradients of a micro-batch, of all processes, to those that the parameters have.

        Args:
            inputs: on the device of fabric.
            share: number of these sequences over that of the whole batch.
            context: J of these sequences; that of the recipe by default.

        Returns:
            the share in the loss, a scalar on the device.
        """
        *batch, motion, pace, noise = inputs
        if self._sum is not None:
            self._sum.begin(self.parameters, keeps_buffers=self.recipe.train.compile)
        moment = Moment(self.step + 1, self.recipe.train.steps, self.recipe.seed)
        with explain_compiler() if self.recipe.train.compile else nullcontext():
            loss: Tensor = self.objective(*batch, share, motion, pace, noise, context, moment)
            self.fabric.backward(loss)
        return loss.detach()

    def _clear_gradients(self) -> None:
        # With train.compile the buffers stay, see the constructor.
        self.optimizer.zero_grad(set_to_none=not self.recipe.train.compile)

    def _count_pixels(self, batch: Batch, context: int) -> int:
        """Count the observed pixels of the predicted frames, as the loss does; covariates do not count."""
        predicts_context = self.recipe.loss.context and self.forecaster.network.feeds_back
        first = context - (self.forecaster.count_run_in(context) if predicts_context else 1)
        cut = self.dataset.spec.channels
        valid = None if batch.valid is None else batch.valid[:, first:, :cut]
        return count_observed(batch.frames[:, first:, :cut], valid)

    def inputs(self, batch: Batch, known: Tensor, pixels: float) -> Inputs:
        """Move a micro-batch to the device; `known` is (B, T-1), `pixels` are those of the whole batch."""
        device, noise = self.fabric.device, self._draw_noise(batch)
        count = torch.tensor(pixels, dtype=torch.float32)
        frames, known, count = (to_device(part, device) for part in (batch.frames, known, count))
        given = (batch.valid, batch.motion, batch.pace)
        valid, motion, pace = (None if part is None else to_device(part, device) for part in given)
        return frames, valid, known, count, motion, pace, noise

    def _draw_noise(self, batch: Batch) -> Tensor | None:
        """Draw the noise of one member, a function of seed, iteration and sequence; None for a network without noise."""
        network, weight = self.forecaster.network, self.parameters[0]
        shape = network.drive_shape(*self.forecaster.cells(*batch.frames.shape[-2:]))
        if shape is None:
            return None
        seeds = [(self.recipe.seed, self.step + 1, index) for index in batch.indices]
        _, horizon = self.recipe.train.lengths(self.step + 1, self.recipe.context, self.recipe.horizon)
        return draw_noise(shape, seeds, range(horizon), 1, weight)

    def _rows(self, micro: int, size: int) -> slice:
        """Rows, in the whole batch, of a micro-batch of this process."""
        start = (micro * self.fabric.world_size + self.fabric.global_rank) * size
        return slice(start, start + size)

    def over_processes(self, values: Sequence[float], operation: Literal["sum", "max"]) -> list[float]:
        """Reduce numbers over all processes, each to its sum or maximum; all processes call this together."""
        if self.fabric.world_size == 1:
            return list(values)
        exact = torch.float64 if has_float64(self.fabric.device) else torch.float32
        numbers = torch.tensor(values, dtype=exact, device=self.fabric.device)
        reduced: Tensor = self.fabric.all_reduce(numbers, reduce_op=operation)  # type: ignore[assignment]
        return [float(number) for number in reduced.tolist()]

    def _reverse_some(self, batch: Batch, micro: int) -> Batch:
        """Reverse each sequence in time with probability 1/2, a pure function of seed, iteration and row."""
        generator = np.random.default_rng([_REVERSAL_STREAM, self.recipe.seed, self.step + 1])
        chosen = generator.random(self.recipe.train.batch_size) < 0.5
        rows = torch.from_numpy(chosen[self._rows(micro, len(batch.frames))])[:, None, None, None, None]
        back = batch.reversed(self._odd)
        valid = None if batch.valid is None or back.valid is None else torch.where(rows, back.valid, batch.valid)
        return Batch(torch.where(rows, back.frames, batch.frames), valid, batch.indices)

    def validate(self, should_stop: Callable[[], bool] | None = None) -> dict[str, float]:
        """Score the validation split, with the averaged weights if there are any; means over lead times by metric.

        Args:
            should_stop: asked before each batch, by all processes together.

        Raises:
            EvaluationStopped: `should_stop` said so.
            NonFiniteLoss: a weight is not finite: its forecasts would be refused.
        """
        self.check_weights()
        recipe, fabric = self.recipe, self.fabric
        # Not compiled: graphs that are replayed overwrite the state that a forecast goes on with.
        eager = torch.compiler.set_stance("force_eager") if recipe.train.compile else nullcontext()
        with self._averaged(), eager:
            scores = evaluate(
                self.forecaster,
                self.dataset,
                "val",
                self.metrics,
                context=recipe.context,
                horizon=recipe.horizon,
                batch_size=max(1, recipe.train.batch_size // (recipe.train.accumulate * fabric.world_size)),
                limit=recipe.validate_.sequences,
                device=fabric.device,
                rank=fabric.global_rank,
                world_size=fabric.world_size,
                all_reduce=lambda sums: fabric.all_reduce(sums, reduce_op="sum"),  # type: ignore[arg-type,return-value]
                should_stop=should_stop,
            )
        return scores.mean()

    def is_better(self, score: float) -> bool:
        """Whether a validation score is better than the best so far; NaN never is."""
        if self.best is None:
            return not math.isnan(score)
        return score < self.best if self.metrics[0].better == "less" else score > self.best

    def _averaged(self) -> AbstractContextManager[None]:
        return self.average.applied() if self.average is not None else nullcontext()

    def save_model(self, folder: RunFolder, scores: dict[str, float]) -> None:
        """Save the model, with the averaged weights if there are any, and its validation scores.

        All processes take part in the check of the weights; the first one writes.

        Raises:
            NonFiniteLoss: a weight is not finite.
        """
        self.check_weights()
        if self.fabric.is_global_zero:
            with self._averaged():
                self.model = write_model(folder.model, self.forecaster, {"step": self.step, "validation": scores})

    @torch.no_grad()
    def check_weights(self) -> None:
        """Check the weights of all processes, which call this together, before anything is saved.

        Raises:
            NonFiniteLoss: a weight is not finite, in any of them.
        """
        norms = [torch.linalg.vector_norm(parameter) for parameter in self.parameters]
        is_broken = not torch.isfinite(torch.stack(norms)).all()
        if self.over_processes([float(is_broken)], "max")[0]:
            fix = "lower train.lr, or set train.clip=1; resume goes on from the last checkpoint"
            raise NonFiniteLoss(f"weights are not finite after step {self.step}; they were not saved", fix=fix)

    def state(self) -> dict[str, Any]:
        """Return all that resuming needs, but the recipe."""
        return {
            "step": self.step,
            "samples": self.step * self.recipe.train.batch_size,
            "network": self.forecaster.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),
            "average": self.average.state() if self.average is not None else None,
            "best": self.best,
            "worse": self.worse,
            "processes": self.fabric.world_size,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state that `state` returned."""
        self.step, self.best, self.worse = state["step"], state["best"], state["worse"]
        self.forecaster.network.load_state_dict(state["network"])
        restore_optimizer(self.optimizer.optimizer, state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.restore(state["average"])


def _name_sequences(batches: list[Batch], step: int) -> str:
    indices = [index for batch in batches for index in batch.indices]
    return f"step {step}, sequences {', '.join(map(str, indices[:16]))}"
