"""Which frames is a training fed, and how fast does it learn? Its sampling and learning rate, as its recipe has them.

With the recipe's probabilities go those of the other curves of its kind, with the same ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.analysis.trace import Counts, Floats, Names
from framecast.errors import UsageError
from framecast.plotting import panels
from framecast.recipe.learning_rate import LearningRate
from framecast.recipe.scheduled_sampling import ReverseScheduledSampling, Sampling, ScheduledSampling, sampling_end

POINTS = 401
"""Number of iterations that are tabulated, at most."""
_ROWS = 16
"""Number of sequences that are drawn, at most."""


class Schedules(NamedTuple):
    """A training's schedules at I iterations, evenly spaced, first and last included."""

    iteration: Counts
    """(I,), from 1."""
    encoder: Floats
    """(I,), probability that a step within the context is fed the true frame."""
    decoder: Floats
    """(I,), probability that a step within the horizon is fed the true frame."""
    rate: Floats
    """(I,), learning rate."""
    curve: Names
    """(6,), "scheduled: linear" and so on."""
    curve_encoder: Floats
    """(6, I), probability within the context, by each curve."""
    curve_decoder: Floats
    """(6, I), probability within the horizon, by each curve."""
    moment: Counts
    """(5,), iterations whose draws are given: four until sampling ends, and the last."""
    fed: NDArray[np.bool_]
    """(5, B, T-1), which steps are fed the true frame, for each sequence of the batch, at most 16."""
    context: Counts
    """(), J of the training."""
    end: Counts
    """(), the iteration from which on the probabilities no longer change; 0 where there is none."""


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
    """Tabulate sampling and learning rate by iteration, with the masks that the training itself draws.

    Args:
        sampling: the recipe's sampling of true frames.
        learning_rate: the recipe's schedule.
        lr: base learning rate.
        steps: iterations of the training.
        seed: seed of the run.
        batch_size: sequences of an iteration, over all processes.
        context: J.
        frames: T, frames of a sequence.

    Raises:
        UsageError: a training without iterations.
    """
    if steps < 1:
        raise UsageError(
            "schedules", got="no iteration", expected="a run that trains: a base without a network is fitted"
        )
    iterations = np.unique(np.linspace(1, steps, min(POINTS, steps)).round().astype(np.int64))
    probabilities = _tabulate_probabilities(sampling, iterations, steps)
    kinds = _list_curves(sampling)
    curves = [_tabulate_probabilities(kind, iterations, steps) for kind in kinds.values()]
    end = sampling_end(sampling, steps) or 0
    evenly = np.linspace(1, end, 4) if end else np.linspace(1, steps, 5)
    moments = np.unique(np.append(evenly, steps).round().astype(np.int64))
    draw = {"seed": seed, "batch": batch_size, "context": context, "frames": frames}
    fed = [sampling.known(int(moment), steps, **draw).numpy()[:_ROWS] for moment in moments]
    rate = [lr * learning_rate.factor(int(iteration), steps) for iteration in iterations]
    return Schedules(
        iterations,
        probabilities[:, 0],
        probabilities[:, 1],
        np.array(rate),
        np.array(list(kinds), dtype=np.str_),
        np.stack([curve[:, 0] for curve in curves]),
        np.stack([curve[:, 1] for curve in curves]),
        moments,
        np.stack(fed),
        np.array(context),
        np.array(end),
    )


def _tabulate_probabilities(sampling: Sampling, iterations: Counts, steps: int) -> Floats:
    """(I, 2), within the context and within the horizon."""
    return np.array([sampling.probabilities(int(iteration), steps) for iteration in iterations], dtype=np.float64)


def _list_curves(sampling: Sampling) -> dict[str, Sampling]:
    """All curves of both kinds; those of the recipe's kind have the recipe's ends."""
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


def summarise(schedules: Schedules) -> dict[str, float]:
    """End of sampling, probability of true frames in the horizon then, largest and last learning rate."""
    return {
        "iteration from which on sampling no longer changes": float(schedules.end) or float("nan"),
        "probability of truth in the horizon, last iteration": float(schedules.decoder[-1]),
        "largest learning rate": float(schedules.rate.max()),
        "last learning rate": float(schedules.rate[-1]),
    }


def draw(folder: Path, runs: Mapping[str, Schedules], context: int) -> None:
    """Draw, for each run, its schedules, and below which frames five of its iterations were fed; no use of `context`."""
    for name, schedules in runs.items():
        prefix = f"{name}-" if len(runs) > 1 else ""
        iteration = schedules.iteration
        lines = [
            panels.PanelLine("context", iteration, schedules.encoder, 0),
            panels.PanelLine("horizon", iteration, schedules.decoder, 1),
        ]
        top: list[panels.Drawing] = [
            panels.Panel("true frames: this training", "iteration", "probability", lines, limits=(0, 1)),
            panels.Panel("learning rate", "iteration", "rate", [panels.PanelLine("", iteration, schedules.rate, 2)]),
            *(_plot_curves(schedules, kind) for kind in ("scheduled", "reverse")),
        ]
        masks: list[panels.Drawing] = [
            panels.Mask(
                f"iteration {moment}", "step", "sequence", fed, int(schedules.context), ("true frame", "own prediction")
            )
            for moment, fed in zip(schedules.moment, schedules.fed, strict=True)
        ]
        panels.draw_panels(
            folder / f"{prefix}schedules.png", [top, masks], f"{name}. Dotted line: the last given frame"
        )


def _plot_curves(schedules: Schedules, kind: str) -> panels.Panel:
    lines = []
    for number, row in enumerate(np.flatnonzero([str(curve).startswith(kind) for curve in schedules.curve])):
        label = str(schedules.curve[row]).split(": ")[1]
        colour = {"sigmoid": 2}.get(label, number + 3)
        lines.append(panels.PanelLine(label, schedules.iteration, schedules.curve_decoder[row], colour))
        if kind == "reverse":
            lines.append(panels.PanelLine("", schedules.iteration, schedules.curve_encoder[row], colour, "--"))
    title = f"{kind} sampling" + (" (dashed: context)" if kind == "reverse" else "")
    return panels.Panel(title, "iteration", "probability", lines, limits=(0, 1))
