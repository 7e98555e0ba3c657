"""Months of a hindcast: totals of the tasks of each, kept once all are done, so that yesterday needs no full pass."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from framecast.archives.plan import HindcastTask
from framecast.archives.tasks import read_marker
from framecast.archives.totals import Totals, add_totals, pack_totals, unpack_totals
from framecast.json_files import read_json, write_json
from framecast.metrics import Metric


def group_by_month(tasks: Sequence[HindcastTask]) -> dict[str, list[HindcastTask]]:
    """Group tasks by their month, in order."""
    return {month: list(members) for month, members in groupby(tasks, lambda task: task.month)}


def is_closed(folder: Path, tasks: Sequence[HindcastTask]) -> bool:
    """Whether the totals of a month are kept, of just these tasks."""
    return _read_month(folder, tasks) is not None


def total_month(folder: Path, tasks: Sequence[HindcastTask], horizon: int, metrics: Sequence[Metric]) -> Totals | None:
    """Total the scores of a month: from its file, else from the markers of its tasks, in their order.

    Args:
        folder: of the markers.
        tasks: of the month.
        horizon: K.
        metrics: of the scores.

    Returns:
        None where a task is not done.
    """
    kept = _read_month(folder, tasks)
    if kept is not None:
        return unpack_totals(kept["totals"], horizon, metrics)
    totals: Totals = {}
    for task in tasks:
        marker = read_marker(folder, task)
        if marker is None:
            return None
        add_totals(totals, unpack_totals(marker["totals"], horizon, metrics))
    content = {"month": tasks[0].month, "tasks": _digest_tasks(tasks), "totals": pack_totals(totals)}
    write_json(_find_file(folder, tasks), content)
    return totals


def _read_month(folder: Path, tasks: Sequence[HindcastTask]) -> Mapping[str, Any] | None:
    try:
        kept = read_json(_find_file(folder, tasks))
    except (OSError, ValueError):
        return None
    return kept if kept.get("tasks") == _digest_tasks(tasks) else None


def _find_file(folder: Path, tasks: Sequence[HindcastTask]) -> Path:
    return folder / "months" / f"{tasks[0].month}.json"


def _digest_tasks(tasks: Sequence[HindcastTask]) -> str:
    """Digest the forecasts of a month and their division into tasks."""
    return hashlib.sha256("\n".join(",".join(task.reference_times) for task in tasks).encode()).hexdigest()
