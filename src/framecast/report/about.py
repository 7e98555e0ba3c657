"""Section: what was run, on what, and what it cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from framecast.formatting import format_duration, format_number, format_options
from framecast.report.blocks import Block, Facts, Folded, Section
from framecast.runs.record import Record, describe_network


def about_section(record: Record) -> Section:
    """Recipe, data, hashes, cost and versions of a run."""
    blocks: list[Block] = [Facts([*_recipe(record), *_data(record), *_cost(record), *_versions(record)])]
    for summary, text in (("The whole recipe", record.recipe.yaml()), ("Notes on the data", _notes(record))):
        blocks += [Folded(summary, text=text)] if text else []
    return Section("about", "What was run", blocks)


def selection_notes(records: Iterable[Record], split: str) -> list[str]:
    """What must be known of scores on the windows that decided which model is the best."""
    flattered = split == "val" and any(record.validations for record in records)
    return ["The best model of a run was chosen on this split, so its scores flatter it"] if flattered else []


def _recipe(record: Record) -> list[tuple[str, str]]:
    recipe, train = record.recipe, record.recipe.train
    sampling = recipe.sampling.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    rate = train.lr_schedule.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    clip = f", gradients clipped at {train.clip:g}" if train.clip else ""
    rows = [
        ("Network", describe_network(record)),
        ("Forecast", f"{recipe.context} frames in, {recipe.horizon} out; patches of {recipe.patch} x {recipe.patch}"),
        ("Training", f"{record.iterations} of {train.steps} iterations of {train.batch_size} sequences, {train.dtype}"),
        ("Adam", f"learning rate {train.lr:g}, {train.lr_schedule.kind}{format_options(rate)}{clip}"),
        ("Frames fed in training", f"{recipe.sampling.kind}{format_options(sampling)}"),
        ("Seed", str(recipe.seed)),
    ]
    return [*rows, ("Best model", _best(record))]


def _best(record: Record) -> str:
    found = record.model.get("about", {})
    if not found:
        return "none yet"
    name = record.recipe.validate_.metric
    scores: dict[str, Any] = found.get("validation", {})
    value = next((value for metric, value in scores.items() if metric.split("@")[0] == name), None)
    score = "without a validation" if value is None else f"validation {name} {format_number(value)}"
    return f"of iteration {found['step']}, {score}"


def _data(record: Record) -> list[tuple[str, str]]:
    spec, windows = record.data["spec"], record.data["windows"]
    step = f", every {spec['step_minutes']:g} min" if spec.get("step_minutes") else ""
    unit = "" if spec["units"] == "1" else f" {spec['units']}"
    size = f"{spec['channels']} x {spec['height']} x {spec['width']}, {spec['low']:g} to {spec['high']:g}{unit}{step}"
    counts = ", ".join(f"{windows[split]} {split}" for split in ("train", "val", "test"))
    return [
        ("Data", record.source),
        ("Frames", size),
        ("Windows", counts),
        ("Hash of the data", record.data["fingerprint"]),
        ("Hash of the split", record.data["split"]),
        ("Hash of the recipe", _hash(record)),
        ("Hash of the weights", str(record.model.get("sha256", "no model yet"))[:16]),
    ]


def _notes(record: Record) -> str:
    return "\n".join(record.data.get("notes", ()))


def _cost(record: Record) -> list[tuple[str, str]]:
    found = record.cost()
    rows = [
        ("Parameters", f"{found.parameters:,}"),
        ("Multiply-adds", f"{found.multiply_adds / 1e9:.3g} G forward for each sequence"),
    ]
    if record.timing:
        waited = sum(event["share_waited"] for event in record.timing) / len(record.timing)
        each = record.seconds / max(1, record.iterations)
        spent = format_duration(record.seconds)
        said = f"{spent} in iterations, {each:.3g} s each, {100 * waited:.1f} % of it waiting for data"
        rows.append(("Time", said))
    return rows


def _versions(record: Record) -> list[tuple[str, str]]:
    if not record.starts:
        return []
    last, times = record.starts[-1], len(record.starts)
    resumed = f"; gone on with {times - 1} time{'s' if times > 2 else ''}" if times > 1 else ""
    return [
        ("Trained with", f"framecast {last['framecast']}, torch {last['torch']}, Python {last['python']}{resumed}"),
        ("On", f"{last['device']}; processes {last['processes']}, threads of each {last['threads']}"),
    ]


def _hash(record: Record) -> str:
    return hashlib.sha256(json.dumps(record.recipe.identity()).encode()).hexdigest()[:16]
