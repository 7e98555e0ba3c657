"""Which frames is a training fed, and how fast does it learn? Its sampling and learning rate, as its recipe has them.

Beside the recipe's own probabilities stand the other curves of its kind, with the same ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.analysis.trace import Counts, Floats, Names
from framecast.plotting import panels
from framecast.recipe.learning_rate import LearningRate
from framecast.recipe.sampling import ReverseScheduledSampling, Sampling, ScheduledSampling, sampling_end

POINTS = 401
"""At most so many iterations are looked at."""
_ROWS = 16
"""Sequences that are drawn."""


class Schedules(NamedTuple):
    """A training's schedules at I iterations, evenly spaced, first and last included."""

    iteration: Counts
    """(I,), from 1."""
    encoder: Floats
    """(I,), probability that a step within the context is fed the true frame."""
    decoder: Floats
    """(I,), the same within the horizon."""
    rate: Floats
    """(I,), learning rate."""
    curve: Names
    """(6,), "scheduled: linear" and so on."""
    curve_encoder: Floats
    """(6, I)."""
    curve_decoder: Floats
    """(6, I)."""
    moment: Counts
    """(5,), iterations whose draws are given: four until sampling ends, and the last."""
    fed: NDArray[np.bool_]
    """(5, B, T-1), which steps are fed the true frame, for each sequence of the batch, at most 16."""
    context: Counts
    """J of the training."""
    end: Counts
    """The iteration from which on the probabilities no longer change; 0 where there is none."""


def tabulate_schedules(
    sampling: Sampling,
    learning_rate: LearningRate,
    *,
    lr: float,
    steps: int,
    seed: int,
    batch_size: int,
    context: int,
    frames: int,
) -> Schedules:
    """Tabulate what a training does at each iteration. Its draws are those of the training itself.

    Args:
        sampling: the recipe's.
        learning_rate: the recipe's.
        lr: base learning rate.
        steps: iterations of the training.
        seed: of the run.
        batch_size: sequences of an iteration, over all processes.
        context: J.
        frames: T, frames of a sequence.
    """
    iterations = np.unique(np.linspace(1, steps, min(POINTS, steps)).round().astype(np.int64))
    own = _probabilities(sampling, iterations, steps)
    kinds = _kinds(sampling)
    curves = [_probabilities(kind, iterations, steps) for kind in kinds.values()]
    end = sampling_end(sampling, steps) or 0
    evenly = np.linspace(1, end, 4) if end else np.linspace(1, steps, 5)
    moments = np.unique(np.append(evenly, steps).round().astype(np.int64))
    draw = {"seed": seed, "batch": batch_size, "context": context, "frames": frames}
    fed = [sampling.known(int(moment), steps, **draw).numpy()[:_ROWS] for moment in moments]
    rate = [lr * learning_rate.factor(int(iteration), steps) for iteration in iterations]
    return Schedules(
        iterations,
        own[:, 0],
        own[:, 1],
        np.array(rate),
        np.array(list(kinds), dtype=np.str_),
        np.stack([curve[:, 0] for curve in curves]),
        np.stack([curve[:, 1] for curve in curves]),
        moments,
        np.stack(fed),
        np.array(context),
        np.array(end),
    )


def _probabilities(sampling: Sampling, iterations: Counts, steps: int) -> Floats:
    return np.array([sampling.probabilities(int(iteration), steps) for iteration in iterations], dtype=np.float64)


def _kinds(sampling: Sampling) -> dict[str, Sampling]:
    """All curves of both kinds, with the ends that the recipe gives its own."""
    forward: dict[str, Any] = {}
    backward: dict[str, Any] = {}
    if isinstance(sampling, ScheduledSampling):
        forward = {"floor": sampling.floor, "stop": sampling.stop}
    if isinstance(sampling, ReverseScheduledSampling):
        backward = {"start": sampling.start, "step_1": sampling.step_1, "step_2": sampling.step_2}
    kinds: dict[str, Sampling] = {}
    for curve in ("linear", "exponential", "inverse_sigmoid"):
        kinds[f"scheduled: {curve.replace('_', ' ')}"] = ScheduledSampling(curve=curve, **forward)
    for curve in ("linear", "exponential", "sigmoid"):
        kinds[f"reverse: {curve}"] = ReverseScheduledSampling(curve=curve, **backward)
    return kinds


def summarise(found: Schedules) -> dict[str, float]:
    """When sampling comes to its end, how much truth the horizon still has then, and the ends of the learning rate."""
    return {
        "iteration from which on sampling no longer changes": float(found.end) or float("nan"),
        "probability of truth in the horizon, last iteration": float(found.decoder[-1]),
        "largest learning rate": float(found.rate.max()),
        "last learning rate": float(found.rate[-1]),
    }


def draw(folder: Path, found: Mapping[str, Schedules], context: int) -> None:
    """Draw, for each run, its schedules, and below which frames five of its iterations were fed; no use of `context`."""
    for name, one in found.items():
        prefix = f"{name}-" if len(found) > 1 else ""
        own = [
            panels.PanelLine("context", one.iteration, one.encoder, 0),
            panels.PanelLine("horizon", one.iteration, one.decoder, 1),
        ]
        top: list[panels.Drawing] = [
            panels.Panel("true frames: this training", "iteration", "probability", own, limits=(0, 1)),
            panels.Panel("learning rate", "iteration", "rate", [panels.PanelLine("", one.iteration, one.rate, 2)]),
        ]
        families: list[panels.Drawing] = [_family(one, kind) for kind in ("scheduled", "reverse")]
        masks: list[panels.Drawing] = [
            panels.Mask(
                f"iteration {moment}", "step", "sequence", fed, int(one.context), ("true frame", "own prediction")
            )
            for moment, fed in zip(one.moment, one.fed, strict=True)
        ]
        panels.draw_panels(
            folder / f"{prefix}schedules.png", [top + families, masks], f"{name}. Dotted line: the last given frame"
        )


def _family(one: Schedules, kind: str) -> panels.Panel:
    lines = []
    for place, row in enumerate(np.flatnonzero([str(curve).startswith(kind) for curve in one.curve])):
        label = str(one.curve[row]).split(": ")[1]
        colour = {"sigmoid": 2}.get(label, place + 3)
        lines.append(panels.PanelLine(label, one.iteration, one.curve_decoder[row], colour))
        if kind == "reverse":
            lines.append(panels.PanelLine("", one.iteration, one.curve_encoder[row], colour, "--"))
    title = f"{kind} sampling" + (" (dashed: context)" if kind == "reverse" else "")
    return panels.Panel(title, "iteration", "probability", lines, limits=(0, 1))
