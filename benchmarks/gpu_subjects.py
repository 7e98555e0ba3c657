"""What benchmarks/gpu.py measures: ways to compute, the gate that each must pass, and what is timed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from framecast import kernels
from framecast.data import Batch, open_data, training_batches
from framecast.devices import Launch
from framecast.recipe.losses import count_observed
from framecast.recipe.recipe import Recipe
from framecast.training.start import new_fabric
from framecast.training.state import TrainingState
from framecast.transforms.patches import patchify

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.plain import build

MODELS = ("convlstm", "predrnn", "predrnn_v2", "predrnn_pp", "mim")
"""Those that the plain form has."""
TOLERANCE = {"fp32": 1e-3, "tf32": 3e-2, "bf16": 0.2}
"""Distance of loss and gradients from float64 on the CPU, relative to their norm, at which nothing is timed."""


class Way(NamedTuple):
    """One way to compute."""

    name: str
    arithmetic: str
    """fp32, tf32 or bf16 (autocast)."""
    compiled: bool = False
    """Training only: forecasts are not compiled."""
    plain: bool = False
    """The direct form of benchmarks/plain.py, which has a time loop of its own."""

    def activate(self) -> None:
        """Let everything that follows compute in this precision."""
        kernels.set_precision("highest" if self.arithmetic == "fp32" else "high")


WAYS = (
    Way("plain fp32", "fp32", plain=True),
    Way("plain tf32", "tf32", plain=True),
    Way("plain bf16", "bf16", plain=True),
    Way("eager fp32", "fp32"),
    Way("eager tf32", "tf32"),
    Way("eager bf16", "bf16"),
    Way("compiled fp32", "fp32", compiled=True),
    Way("compiled tf32", "tf32", compiled=True),
    Way("compiled bf16", "bf16", compiled=True),
)


def recipe(model: str, way: Way, *, tiny: bool) -> Recipe:
    """The standard setting (64x64, patch 4, 10 -> 10 frames, 4 layers of 128, 5x5, batch 8), or a tiny one."""
    sizes = {"hidden": [4, 4] if tiny else [128] * 4, "kernel_size": 3 if tiny else 5}
    as_published = {"bias": False, "forget_bias": 0.0} if model == "convlstm" else {}
    if model == "mim":
        as_published = {"variant": "openstl"}
    batch, dtype = 2 if tiny else 8, "bf16" if way.arithmetic == "bf16" else "fp32"
    return Recipe.model_validate(
        {
            "model": {"name": model, **sizes, **as_published},
            "patch": 8 if tiny else 4,
            "context": 3 if tiny else 10,
            "horizon": 3 if tiny else 10,
            "loss": {"decoupling": 0.01 if model == "predrnn_v2" else 0.0},
            "train": {"steps": 1000, "batch_size": batch, "dtype": dtype, "compile": way.compiled},
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


class Training:
    """A network in one way to compute, with Adam and a batch of moving digits.

    Args:
        recipe: sizes, dtype, and whether to compile.
        way: whose network computes.
        device: where.
        double: float64, for the gate.
    """

    def __init__(self, recipe: Recipe, way: Way, device: str, *, double: bool = False) -> None:
        self.recipe, self.way, self.device = recipe, way, device
        dataset = open_data(recipe.data, context=recipe.context, horizon=recipe.horizon, seed=0)
        self.batches = next(training_batches(dataset, seed=0, batch_size=recipe.train.batch_size))
        self.state = TrainingState(recipe, dataset, new_fabric(recipe, Launch(device)))
        if double:
            self.state.forecaster.double()
        if way.plain:
            forecaster = self.state.forecaster
            height, width = forecaster.cells(forecaster.spec.height, forecaster.spec.width)
            self.plain = build(recipe.model, recipe.patch**2, (height, width), decoupling=recipe.loss.decoupling)
            self.plain.take_weights(forecaster.network)
            self.plain.to(device)
            self.adam = torch.optim.Adam(self.plain.parameters(), recipe.train.lr, fused=True)

    @property
    def batch(self) -> Batch:
        """Its only micro-batch."""
        return self.batches[0]

    def train(self) -> None:
        """One iteration, batches sent to the device and the loss read by the host."""
        if not self.way.plain:
            self.state.iterate(self.batches)
            return
        loss = self.gradients()[0]
        self.adam.step()
        self.adam.zero_grad()
        loss.item()

    def predict(self, size: int) -> Tensor:
        """A forecast of so many sequences, in network units by the plain form, else in raw ones."""
        context, horizon = self.recipe.context, self.recipe.horizon
        frames = self.batch.frames[:, :context].repeat(-(-size // len(self.batch.frames)), 1, 1, 1, 1)[:size]
        with torch.inference_mode(), self.state.fabric.autocast():
            if not self.way.plain:
                return torch.as_tensor(self.state.forecaster.predict(frames.to(self.device), horizon))
            patches = self._patches(torch.cat([frames, frames.new_zeros(size, horizon, *frames.shape[2:])], 1))
            mask = torch.zeros_like(patches[:, 1:horizon])
            predicted: Tensor = self.plain(patches, mask)[0]
            return predicted[:, context - 1 :]

    def gradients(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss with every second free step fed the true frame, and gradients by framecast's names."""
        batch, steps = self.batch, self.recipe.context + self.recipe.horizon - 1
        known = torch.ones(len(batch.frames), steps, dtype=torch.bool)
        known[:, self.recipe.context + 1 :: 2] = False
        if not self.way.plain:
            inputs = self.state.inputs(batch, known, float(count_observed(batch.frames, batch.valid)))
            loss = self.state.add_gradients(inputs, 1.0)
            named = self.state.forecaster.network.named_parameters()
            return loss, {name: p.grad.flatten() for name, p in named if p.grad is not None}
        patches = self._patches(batch.frames)
        mask = known[:, self.recipe.context :, None, None, None].to(patches).expand(-1, -1, *patches.shape[2:])
        with self.state.fabric.autocast():
            loss = self.plain(patches, mask)[1]
        loss.backward()
        return loss.detach(), self.plain.gradients()

    def _patches(self, frames: Tensor) -> Tensor:
        weight = next(self.plain.parameters())
        scaled = self.state.forecaster.normalizer.normalize(frames.to(weight))
        return patchify(scaled, self.recipe.patch)


def subjects(model: str, device: str, *, tiny: bool) -> Iterator[Subject]:
    """Training step and forecasts of one network, in all ways; the caller activates the way before each call."""
    for way in WAYS:
        way.activate()
        training = Training(recipe(model, way, tiny=tiny), way, device)
        yield Subject(model, way, "train", training.recipe.train.batch_size, training.train)
        if not way.compiled:
            for size in (1, 2) if tiny else (1, 8, 32):
                yield Subject(model, way, f"predict {size}", size, partial(training.predict, size))


def errors(model: str, device: str) -> dict[str, float]:
    """Distance of loss and gradients in every way from those in float64 on the CPU, at a small size."""
    exact = Training(recipe(model, WAYS[3], tiny=True), WAYS[3], "cpu", double=True).gradients()
    distances = {}
    for way in WAYS:
        way.activate()
        got = Training(recipe(model, way, tiny=True), way, device).gradients()
        pairs = [(got[0], exact[0]), (_joined(got[1], exact[1]), _joined(exact[1], got[1]))]
        distances[way.name] = max(float((a.double().cpu() - b).norm() / b.norm()) for a, b in pairs)
    return distances


def too_far(distances: dict[str, float]) -> list[str]:
    """The ways that must not be timed."""
    return [way.name for way in WAYS if not distances[way.name] <= TOLERANCE[way.arithmetic]]


def _joined(gradients: dict[str, Tensor], others: dict[str, Tensor]) -> Tensor:
    """All that both have, in one vector: compiled training has zeros where the loss does not reach."""
    return torch.cat([gradients[name] for name in sorted(gradients.keys() & others.keys())])
