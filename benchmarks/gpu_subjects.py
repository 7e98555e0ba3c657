"""What benchmarks/gpu.py measures: ways to compute, the gate that each must pass, and what is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from framecast import kernels
from framecast.data import Batch, open_data, training_batches
from framecast.devices import Launch
from framecast.kernels.deferred_wgrad import Deferred
from framecast.kernels.reference import Direct
from framecast.nn import cuda_graphs
from framecast.recipe.losses import count_observed
from framecast.recipe.recipe import Recipe
from framecast.training.start import new_fabric
from framecast.training.trainer import TrainingState

MODELS = ("convlstm", "predrnn", "predrnn_v2", "predrnn_pp", "mim")
TOLERANCE = {"fp32": 1e-3, "tf32": 3e-2, "bf16": 0.2}
"""Distance of loss and gradients from float64 on the CPU, relative to their norm, at which nothing is timed."""


class Way(NamedTuple):
    """One way to compute."""

    name: str
    arithmetic: str
    """fp32, tf32 or bf16 (autocast)."""
    deferred: bool = False
    fused: bool = False
    """Compiled gates also where launches are not recorded."""
    graphs: bool = False

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within it, everything computes in this way."""
        kernels.set_precision("highest" if self.arithmetic == "fp32" else "high")
        kernels.set_backend(Deferred() if self.deferred else Direct())
        cuda_graphs.set_graphs("on" if self.graphs else "off")  # an error, rather than a row that did not record
        try:
            with kernels.fusing() if self.fused else nullcontext():
                yield
        finally:
            kernels.set_backend(None)
            cuda_graphs.set_graphs("auto")


WAYS = (
    Way("direct fp32", "fp32"),
    Way("direct tf32", "tf32"),
    Way("direct bf16", "bf16"),
    Way("deferred fp32", "fp32", deferred=True),
    Way("deferred bf16", "bf16", deferred=True),
    Way("deferred bf16, compiled gates", "bf16", deferred=True, fused=True),
    Way("deferred fp32, graphs", "fp32", deferred=True, graphs=True),
    Way("deferred tf32, graphs", "tf32", deferred=True, graphs=True),
    Way("deferred bf16, graphs", "bf16", deferred=True, graphs=True),
)


def recipe(model: str, way: Way | None, *, tiny: bool) -> Recipe:
    """The standard setting (64x64, patch 4, 10 -> 10 frames, 4 layers of 128, 5x5, batch 8), or a tiny one."""
    layers = [4, 4] if tiny else [128] * 4
    train = {
        "steps": 1000,
        "batch_size": 2 if tiny else 8,
        "dtype": "bf16" if way and way.arithmetic == "bf16" else "fp32",
    }
    return Recipe.model_validate(
        {
            "model": {"name": model, "hidden": layers, "kernel_size": 3 if tiny else 5},
            "patch": 8 if tiny else 4,
            "context": 3 if tiny else 10,
            "horizon": 3 if tiny else 10,
            "loss": {"decoupling": 0.01 if model == "predrnn_v2" else 0.0},
            "train": train,
            "data": {"moving_mnist": {"size": 32 if tiny else 64, "digits": 1 if tiny else 2}},
        }
    )


class Subject(NamedTuple):
    """Something to be timed."""

    model: str
    way: Way
    what: str
    """"train", or "predict" with a batch size."""
    batch: int
    call: Callable[[], object]


def trainer(said: Recipe, device: str) -> tuple[TrainingState, list[Batch]]:
    """A fresh trainer and one batch for it."""
    dataset = open_data(said.data, context=said.context, horizon=said.horizon, seed=0)
    batch = next(training_batches(dataset, seed=0, batch_size=said.train.batch_size))
    return TrainingState(said, dataset, new_fabric(said, Launch(device))), batch


def subjects(model: str, device: str, *, tiny: bool) -> Iterator[Subject]:
    """Training step and forecasts of one network, in all ways. Each call is made within `Way.active` by the caller."""
    for way in WAYS:
        said = recipe(model, way, tiny=tiny)
        trained, batch = trainer(said, device)
        yield Subject(model, way, "train", said.train.batch_size, lambda t=trained, b=batch: t.iterate(b))
        for size in (1, 2) if tiny else (1, 8, 32):
            frames = batch[0].frames[:, : said.context].repeat(-(-size // len(batch[0].frames)), 1, 1, 1, 1)[:size]
            frames = frames.to(device)

            def predict(t: TrainingState = trained, frames: Tensor = frames, said: Recipe = said) -> object:
                with t.fabric.autocast():
                    return t.forecaster.predict(frames, said.horizon)

            yield Subject(model, way, f"predict {size}", size, predict)


def errors(model: str, device: str) -> dict[str, float]:
    """Distance of loss and gradients in every way from those in float64 on the CPU, at a small size."""
    exact = _loss_and_gradients(recipe(model, None, tiny=True), "cpu", Way("exact", "fp32"), double=True)
    found = {}
    for way in WAYS:
        got = _loss_and_gradients(recipe(model, way, tiny=True), device, way)
        found[way.name] = max(float((a - b).norm() / b.norm()) for a, b in zip(got, exact, strict=True))
    return found


def too_far(found: dict[str, float]) -> list[str]:
    """The ways that must not be timed."""
    return [way.name for way in WAYS if not found[way.name] <= TOLERANCE[way.arithmetic]]


def _loss_and_gradients(said: Recipe, device: str, way: Way, *, double: bool = False) -> list[Tensor]:
    with ExitStack() as stack:
        stack.enter_context(way.active())
        trained, (batch,) = trainer(said, device)
        if double:
            trained.forecaster.double()
        known = torch.ones(len(batch.frames), said.context + said.horizon - 1, dtype=torch.bool)
        known[:, said.context + 1 :: 2] = False
        inputs = trained.inputs(batch, known, float(count_observed(batch.frames, batch.valid)))
        loss = trained.gradients.add(inputs, 1.0, more=False)
        gradients = [p.grad.flatten() for p in trained.parameters if p.grad is not None]
        return [loss.double().cpu()[None], torch.cat(gradients).double().cpu()]
