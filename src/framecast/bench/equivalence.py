"""Equivalence of the implementations: errors of outputs, gradients and losses. Nothing is timed before they are small.

Outputs and all gradients of one batch are compared with framecast's direct form in float64, and the losses of ten
training steps with those of the first implementation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from framecast.bench.implementations import (
    FramecastImplementation,
    Implementation,
    SharedTraining,
    make_implementations,
)
from framecast.bench.settings import Setting
from framecast.bench.workload import Workload, make_workload
from framecast.errors import WrongNumbers

CURVE_STEPS = 10
LIMITS = {"outputs": 1e-5, "gradients": 1e-4, "curve": 1e-6}
"""Largest error allowed. Outputs, gradients: root mean square error over that of the truth, of the worst parameter;
direct float32 is near 1e-6, TF32 near 1e-3. Curve: difference of the loss (network units squared), at the worst step."""


class Equivalence(BaseModel):
    """Errors of an implementation, in the units of `LIMITS`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contender: str
    """Name of the implementation."""
    outputs: float
    gradients: float
    worst: str
    """The parameter whose gradient has the largest error."""
    curve: float


def check_equivalence(names: Sequence[str], setting: Setting, model: str) -> list[Equivalence]:
    """Make implementations and check that they compute the same numbers.

    Args:
        names: names of framecast's implementations, or import paths; the losses of the first are the reference.
        setting: sizes.
        model: name of the network.

    Raises:
        WrongNumbers: an implementation computes other numbers.
    """
    workload = make_workload(setting, model, setting.gate_batch)
    return compare(make_implementations(names, setting, model, shared=False), workload)


def compare(implementations: Sequence[Implementation], workload: Workload) -> list[Equivalence]:
    """Compare implementations with framecast's direct form in float64; each of them trains ten steps.

    Args:
        implementations: with the same weights; the losses of the first are the reference.
        workload: the batch that they compute.

    Raises:
        WrongNumbers: an implementation computes other numbers.
    """
    training = SharedTraining(workload.setting, workload.model, torch.float64)
    exact = FramecastImplementation("exact", training, "highest", "fast")
    outputs = exact.predict(workload)
    _, gradients = exact.compute_gradients(workload._replace(frames=workload.frames.double()))
    results: list[Equivalence] = []
    reference: list[float] | None = None
    for implementation in implementations:
        name = implementation.name
        error = compute_relative_error(implementation.predict(workload), outputs)
        worst, gradient_error = _find_worst_gradient(name, implementation.compute_gradients(workload)[1], gradients)
        losses = [implementation.train_step(workload) for _ in range(CURVE_STEPS)]
        reference = reference or losses
        difference = max(abs(a - b) for a, b in zip(losses, reference, strict=True))
        result = Equivalence(contender=name, outputs=error, gradients=gradient_error, worst=worst, curve=difference)
        _check(result)
        results.append(result)
    return results


def compute_relative_error(values: Tensor, truth: Tensor) -> float:
    """Root mean square error over that of the truth; infinite where shapes differ or a value is not finite."""
    if values.shape != truth.shape:
        return math.inf
    error = float(torch.linalg.vector_norm(values.double() - truth.double()))
    size = float(torch.linalg.vector_norm(truth.double()))
    share = error / size if size else error
    return share if math.isfinite(share) else math.inf


def _find_worst_gradient(name: str, gradients: dict[str, Tensor], truth: dict[str, Tensor]) -> tuple[str, float]:
    if gradients.keys() != truth.keys():
        missing = sorted(gradients.keys() ^ truth.keys())
        raise WrongNumbers(f"gradients of {name}", got=f"not those of framecast: {', '.join(missing[:8])}")
    errors = {key: compute_relative_error(gradients[key], truth[key]) for key in truth}
    worst = max(errors, key=lambda key: errors[key])
    return worst, errors[worst]


def _check(result: Equivalence) -> None:
    for quantity, limit in LIMITS.items():
        error = getattr(result, quantity)
        if not error <= limit:
            parameter = f" at {result.worst}" if quantity == "gradients" else ""
            raise WrongNumbers(
                f"{quantity} of {result.contender}{parameter}",
                got=f"an error of {error:.2g}",
                expected=f"at most {limit:.0e}",
                fix="nothing was timed: a network that computes something else has no speed",
            )
