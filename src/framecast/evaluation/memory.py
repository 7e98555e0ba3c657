"""Memory of an evaluation: as many sequences at a time, and such tiles of a network, as keep within a limit."""

from __future__ import annotations

from dataclasses import replace

from framecast.data import DataSet
from framecast.devices import move_module
from framecast.errors import UsageError
from framecast.evaluation.suite import EvaluationOptions
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import SPARE, FrameMemory, list_batch_sizes, plan_memory, with_tiles
from framecast.formatting import format_bytes
from framecast.memory_usage import held_bytes

WINDOW = 48
"""Bytes that a value of a window takes while it is read, masked, forecast and scored in double precision; measured, see
docs/archives.md."""
MOVED = 320
"""Bytes for each pixel that extrapolation moves."""
LIBRARIES = 96 * 2**20
"""Bytes of what an evaluation loads later: metrics, charts and pictures."""


def fit_to_memory(
    forecaster: Forecaster | None, dataset: DataSet, options: EvaluationOptions, device: str
) -> tuple[Forecaster | None, DataSet, EvaluationOptions]:
    """Fit an evaluation to the limit of its options; without one only the tiles are made that the user gives.

    Args:
        forecaster: the network; None for a baseline.
        dataset: the windows.
        options: limits, and sequences at a time at most.
        device: of the network and the metrics.

    Returns:
        the network, in tiles if need be; the windows, with a note of what was chosen; the options, with as many sequences
        at a time as fit.

    Raises:
        UsageError: an impossible tile or overlap, or a limit that a single sequence passes.
    """
    spec, limit = dataset.spec, options.room.memory
    size = spec.height, spec.width
    if limit is None:
        return None if forecaster is None else with_tiles(forecaster, size, options.room), dataset, options
    values = (dataset.context + dataset.horizon) * (spec.channels + len(spec.covariates))
    frames = FrameMemory(LIBRARIES, spec.height * spec.width * (WINDOW * values + MOVED * spec.targets))
    if forecaster is not None:
        moved = move_module(forecaster, device)
        plan = plan_memory(moved, size, batch_size=options.batch_size, frames=frames, room=options.room)
        forecaster, batch, about = plan.apply(moved), plan.batch_size, str(plan)
    else:
        fixed = held_bytes(device) + SPARE + frames.total
        fitting = [
            batch for batch in list_batch_sizes(options.batch_size) if fixed + batch * frames.per_sequence <= limit
        ]
        if not fitting:
            expected = f"about {format_bytes(fixed + frames.per_sequence)} or more"
            fix = "allow more, or coarsen the frames with --shrink"
            raise UsageError("memory", got=f"a limit of {format_bytes(limit)}", expected=expected, fix=fix)
        batch = fitting[0]
        about = f"about {format_bytes(fixed + batch * frames.per_sequence)} of memory, limit {format_bytes(limit)}"
    note = f"memory: {batch} sequences at a time, {about}"
    return forecaster, replace(dataset, notes=(*dataset.notes, note)), options._replace(batch_size=batch)
