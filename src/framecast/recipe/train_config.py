"""Training and validation sections of a recipe."""

from __future__ import annotations

import itertools
import warnings
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from framecast.recipe.learning_rate import Constant, LearningRate
from framecast.types import MAX_COUNT, Count, ForeignText

FREE = (
    "workers",
    "accumulate",
    "memory",
    "log_every",
    "checkpoint_every",
    "checkpoint_minutes",
    "keep",
    "loggers",
    "project",
)
"""Keys of `train` that change no number, and so may change when a run is resumed."""


Beta = Annotated[float, Field(ge=0, lt=1)]
"""Decay rate of a moment."""


class RecipeSection(BaseModel):
    """Section of a recipe: frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MuonConfig(RecipeSection):
    """Muon for the kernels of the cells; `lr`, `betas` and `eps` of the training are then of all other weights.

    Args:
        lr: learning rate of the kernels.
        momentum: decay rate of the mean gradient.
    """

    lr: Annotated[float, Field(gt=0)] = 0.02
    momentum: Beta = 0.95


class Stage(RecipeSection):
    """Beginning of a training, on a part of each window around its origin: shorter sequences, more iterations.

    Args:
        until: share of the iterations after which the stage ends.
        context: frames in, at most those of the recipe.
        horizon: frames out, at most those of the recipe.
    """

    until: Annotated[float, Field(gt=0, lt=1)]
    context: Count
    horizon: Count


class StartConfig(RecipeSection):
    """Model whose weights a training begins with.

    Args:
        model: folder of the run or model, or the name of a trained model of the package.
        sha256: of its weights; filled in when the training begins.
    """

    model: str
    sha256: str | None = None


class TrainConfig(RecipeSection):
    """Optimiser, arithmetic, memory and checkpoints of a training.

    Args:
        steps: iterations, 0 for a base alone; with time_reversal "step" each makes two updates, as in the official code.
        batch_size: sequences per iteration over all processes and micro-batches.
        accumulate: micro-batches per iteration and process, for less memory.
        lr: base learning rate of Adam.
        lr_schedule: factor of the learning rate over the iterations.
        betas: decay rates of Adam's two moments.
        eps: Adam's addend to the denominator.
        muon: Muon for the kernels of the cells in place of Adam; null for Adam alone.
        growth: stages with fewer frames in and out, before those of the recipe; none by default.
        freeze: names of parameters that stay as they are, or the beginnings of names, as cells.0 or head.
        clip: largest norm of the gradient; null for none, as published.
        ema: decay of a running average of the weights, which is then validated and saved; null for none.
        time_reversal: "off"; "step", a second update on the same batch backward in time (official); "augment", each
            sequence backward with probability 1/2.
        dtype: arithmetic of the forward pass: fp32, bf16 or fp16 (autocast; weights stay fp32).
        precision: rounding of fp32: "highest"; "high", fast kernels or TF32; "auto", "high" on a CPU, "highest" on a GPU.
        memory: "fast"; "low" keeps states only and computes gates again in the backward pass: less memory, same bits.
        compile: whether `torch.compile` makes kernels of the network's step in time (on CUDA replayed as graphs): fewer
            launches, after minutes of compiling. Sums are rounded otherwise, so a run is resumed with the value that it
            began with. Only torch's own convolutions are compiled: on a CPU the fast kernels then stand aside.
        workers: processes that prepare batches; they change no number.
        log_every: iterations between lines of events.jsonl.
        checkpoint_every: iterations between checkpoints.
        checkpoint_minutes: minutes after which a checkpoint is saved anyway, so that slow iterations are not lost.
        keep: number of checkpoints to keep; older ones of this run are removed.
        loggers: what is told of the training beside the files of the run: tensorboard, wandb, mlflow, trackio, or the
            logger of an installed package; null for TensorBoard where it is installed, an empty list for none.
        project: name of what the run belongs to at Weights & Biases and trackio, of the experiment at MLflow.
    """

    steps: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 10_000
    batch_size: Count = 8
    accumulate: Count = 1
    lr: Annotated[float, Field(gt=0)] = 3e-4
    lr_schedule: LearningRate = Constant()
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Annotated[float, Field(gt=0)] = 1e-8
    muon: MuonConfig | None = None
    growth: tuple[Stage, ...] = ()
    freeze: tuple[str, ...] = ()
    clip: Annotated[float, Field(gt=0)] | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    time_reversal: Literal["off", "step", "augment"] = "off"
    dtype: Literal["fp32", "bf16", "fp16"] = "fp32"
    precision: Literal["auto", "highest", "high"] = "auto"
    memory: Literal["fast", "low"] = "fast"
    compile: bool = False
    workers: Annotated[int, Field(ge=0, le=1024)] = 0
    log_every: Count = 10
    checkpoint_every: Count = 500
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 2.0
    keep: Annotated[Count, Field(ge=3)] = 3
    loggers: tuple[ForeignText, ...] | None = None
    project: ForeignText | None = None

    @model_validator(mode="after")
    def _check_growth(self) -> TrainConfig:
        ends = [stage.until for stage in self.growth]
        if any(end <= before for before, end in itertools.pairwise(ends)):
            raise ValueError(f"growth: got stages until {', '.join(map(str, ends))}, expected ever later ends")
        return self

    def lengths(self, iteration: int, context: int, horizon: int) -> tuple[int, int]:
        """Find the numbers of frames in and out at an iteration.

        Args:
            iteration: 1 for the first.
            context: J of the recipe.
            horizon: K of the recipe.
        """
        for stage in self.growth:
            if iteration <= stage.until * self.steps:
                return min(stage.context, context), min(stage.horizon, horizon)
        return context, horizon

    @model_validator(mode="before")
    @classmethod
    def _drop_cuda_graphs(cls, fields: Any) -> Any:
        # every recipe of 0.1.0 has the key, which changed no number; only who insisted on it needs to know
        if not isinstance(fields, dict) or "cuda_graphs" not in fields:
            return fields
        if fields["cuda_graphs"] == "on":
            warnings.warn("train.cuda_graphs=on is ignored: train.compile=true does it now", stacklevel=2)
        return {key: value for key, value in fields.items() if key != "cuda_graphs"}


class ValidateConfig(RecipeSection):
    """Validation during training: how often, on which windows, by which score.

    Args:
        every: iterations between validations.
        sequences: windows of the validation split that are scored, spread evenly; null for all.
        metric: metric whose mean over lead times decides which model is the best; csi and other event scores with one
            threshold.
        thresholds: thresholds of event scores, raw units; the scores of all are logged.
        patience: validations without a better score after which training ends; null for no such end.
    """

    every: Count = 500
    sequences: Count | None = 64
    metric: str = "sse"
    thresholds: tuple[float, ...] = ()
    patience: Count | None = None
