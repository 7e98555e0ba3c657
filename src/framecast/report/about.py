"""Section of a report: recipe, data, hashes, cost and versions of a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from framecast.calendars import format_step
from framecast.formatting import format_duration, format_number, format_options
from framecast.report.blocks import Block, Facts, Folded, Section
from framecast.runs.record import Record, describe_network


def make_about_section(record: Record) -> Section:
    """Section with the recipe, data, hashes, cost and versions of a run."""
    facts = [*_list_recipe(record), *_list_data(record), *_list_cost(record), *_list_versions(record)]
    blocks: list[Block] = [Facts(facts), Folded("The whole recipe", text=record.recipe.yaml())]
    notes = "\n".join(record.data.get("notes", ()))
    blocks += [Folded("Notes on the data", text=notes)] if notes else []
    return Section("about", "What was run", blocks)


def list_selection_notes(records: Iterable[Record], split: str) -> list[str]:
    """A warning where scores are of the split that decided which model of a run is the best; else nothing.

    Args:
        records: runs that were scored.
        split: name of the split that they were scored on.
    """
    flattered = split == "val" and any(record.validations for record in records)
    return ["The best model of a run was chosen on this split, so its scores flatter it"] if flattered else []


def _list_recipe(record: Record) -> list[tuple[str, str]]:
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
    return [*rows, ("Best model", _describe_best(record))]


def _describe_best(record: Record) -> str:
    about = record.model.get("about", {})
    if not about:
        return "none yet"
    name = record.recipe.validate_.metric
    scores: dict[str, Any] = about.get("validation", {})
    value = next((value for metric, value in scores.items() if metric.split("@")[0] == name), None)
    score = "without a validation" if value is None else f"validation {name} {format_number(value)}"
    return f"of iteration {about['step']}, {score}"


def _list_data(record: Record) -> list[tuple[str, str]]:
    spec, windows = record.data["spec"], record.data["windows"]
    step = f", every {format_step(spec['step_minutes'], spec.get('step_months'))}" if spec.get("step_minutes") else ""
    unit = "" if spec["units"] == "1" else f" {spec['units']}"
    size = f"{spec['channels']} x {spec['height']} x {spec['width']}, {spec['low']:g} to {spec['high']:g}{unit}{step}"
    counts = ", ".join(f"{windows[split]} {split}" for split in ("train", "val", "test"))
    return [
        ("Data", record.source),
        ("Frames", size),
        ("Windows", counts),
        ("Hash of the data", record.data["fingerprint"]),
        ("Hash of the split", record.data["split"]),
        ("Hash of the recipe", record.recipe.digest[:16]),
        ("Hash of the weights", str(record.model.get("sha256", "no model yet"))[:16]),
    ]


def _list_cost(record: Record) -> list[tuple[str, str]]:
    cost = record.cost()
    rows = [
        ("Parameters", f"{cost.parameters:,}"),
        ("Multiply-adds", f"{cost.multiply_adds / 1e9:.3g} G forward for each sequence"),
    ]
    if record.timing:
        waited = sum(event["share_waited"] for event in record.timing) / len(record.timing)
        each = record.seconds / max(1, record.iterations)
        total = format_duration(record.seconds)
        rows.append(("Time", f"{total} in iterations, {each:.3g} s each, {100 * waited:.1f} % of it waiting for data"))
    return rows


def _list_versions(record: Record) -> list[tuple[str, str]]:
    if not record.starts:
        return []
    last, times = record.starts[-1], len(record.starts)
    resumed = f"; gone on with {times - 1} time{'s' if times > 2 else ''}" if times > 1 else ""
    return [
        ("Trained with", f"framecast {last['framecast']}, torch {last['torch']}, Python {last['python']}{resumed}"),
        ("On", f"{last['device']}; processes {last['processes']}, threads of each {last['threads']}"),
    ]
