"""Whether all contenders compute the same thing. Nothing is timed before they do.

Outputs and all gradients of one batch are compared with framecast's direct form in float64, and the losses of ten
training steps with those of the first contender.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from framecast.bench.implementations import Implementation, OwnImplementation, SharedTraining, make_implementations
from framecast.bench.settings import Setting
from framecast.bench.workload import Workload, make_workload
from framecast.errors import WrongNumbers

CURVE_STEPS = 10
LIMITS = {"outputs": 1e-5, "gradients": 1e-4, "curve": 1e-6}
"""Outputs, gradients: root mean square error over that of the truth, of the worst parameter; direct float32 is near
1e-6, TF32 near 1e-3. Curve: difference of the loss (network units squared), at the worst step."""


class Equivalence(BaseModel):
    """How far a contender is from the truth; see `LIMITS`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contender: str
    outputs: float
    gradients: float
    worst: str
    """The parameter whose gradient is furthest off."""
    curve: float


def check_equivalence(names: Sequence[str], setting: Setting, model: str) -> list[Equivalence]:
    """Compare all contenders.

    Args:
        names: of framecast's own contenders, or import paths; the first is the one whose loss curve is the measure.
        setting: sizes.
        model: which network.

    Raises:
        WrongNumbers: one of them computes something else.
    """
    given = make_workload(setting, model, setting.gate_batch)
    return compare(make_implementations(names, setting, model, shared=False), given)


def compare(found: Sequence[Implementation], given: Workload) -> list[Equivalence]:
    """Compare contenders that have been made; each trains ten steps.

    Raises:
        WrongNumbers: one of them computes something else.
    """
    exact = OwnImplementation("exact", SharedTraining(given.setting, given.model, torch.float64), "highest", "fast")
    outputs, (_, gradients) = exact.predict(given), exact.gradients(given._replace(frames=given.frames.double()))
    results: list[Equivalence] = []
    measure: list[float] | None = None
    for contender in found:
        error = relative_error(contender.predict(given), outputs)
        worst, gradient = _worst(contender.name, contender.gradients(given)[1], gradients)
        curve = [contender.train_step(given) for _ in range(CURVE_STEPS)]
        measure = measure or curve
        apart = max(abs(a - b) for a, b in zip(curve, measure, strict=True))
        result = Equivalence(contender=contender.name, outputs=error, gradients=gradient, worst=worst, curve=apart)
        _check(result)
        results.append(result)
    return results


def relative_error(found: Tensor, truth: Tensor) -> float:
    """Root mean square error over that of the truth; infinite where anything is not finite."""
    if found.shape != truth.shape:
        return math.inf
    error = float(torch.linalg.vector_norm(found.double() - truth.double()))
    size = float(torch.linalg.vector_norm(truth.double()))
    share = error / size if size else error
    return share if math.isfinite(share) else math.inf


def _worst(name: str, found: dict[str, Tensor], truth: dict[str, Tensor]) -> tuple[str, float]:
    if found.keys() != truth.keys():
        missing = sorted(found.keys() ^ truth.keys())
        raise WrongNumbers(f"gradients of {name}", got=f"not those of framecast: {', '.join(missing[:8])}")
    errors = {key: relative_error(found[key], truth[key]) for key in truth}
    worst = max(errors, key=lambda key: errors[key])
    return worst, errors[worst]


def _check(result: Equivalence) -> None:
    for what, limit in LIMITS.items():
        error = getattr(result, what)
        if not error <= limit:
            where = f" at {result.worst}" if what == "gradients" else ""
            raise WrongNumbers(
                f"{what} of {result.contender}{where}",
                got=f"an error of {error:.2g}",
                expected=f"at most {limit:.0e}",
                fix="nothing was timed: a network that computes something else has no speed",
            )
