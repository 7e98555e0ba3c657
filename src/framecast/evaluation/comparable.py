"""Check that runs may be compared: on the same data, split, context and horizon, read in the same way."""

from __future__ import annotations

from typing import Any

from framecast.errors import UsageError
from framecast.runs.record import Record


def check_same(records: dict[str, Record]) -> None:
    """Check that the scores of runs may stand in one table.

    Raises:
        UsageError: data, split, context, horizon or the reading of frames differ.
    """
    (first, reference), *others = records.items()
    for name, other in others:
        pairs = {
            "hash of the data": (reference.data["fingerprint"], other.data["fingerprint"]),
            "context and horizon": _format_windows(reference, other),
            "hash of the split": (reference.data["split"], other.data["split"]),
            **_pair_settings(reference, other),
        }
        for what, (ours, theirs) in pairs.items():
            if ours != theirs:
                fix = f"train them on the same data with the same settings{_describe_differences(reference, other)}"
                raise UsageError(f"{what} of {name}", got=theirs, expected=f"{ours}, as of {first}", fix=fix)


def _describe_differences(reference: Record, other: Record) -> str:
    """Describe in words the settings of the data that differ."""
    ours, theirs = (record.recipe.data.model_dump(mode="json") for record in (reference, other))
    differences = [f"data.{key}: {theirs[key]} and {ours[key]}" for key in ours if ours[key] != theirs[key]]
    return f" ({'; '.join(differences)})" if differences else ""


def _pair_settings(reference: Record, other: Record) -> dict[str, tuple[Any, Any]]:
    """Pair the settings of two runs that turn the values of a file into frames, by name."""
    ours, theirs = reference.data["spec"], other.data["spec"]
    frames = {f"{key} of the frames": (ours.get(key), theirs.get(key)) for key in sorted(ours.keys() | theirs.keys())}
    fields = ("variable", "colour", "shrink", "missing", "scale", "z_r")
    read = {f"data.{key}": (getattr(reference.recipe.data, key), getattr(other.recipe.data, key)) for key in fields}
    return frames | read


def _format_windows(*records: Record) -> tuple[str, ...]:
    return tuple(f"{record.recipe.context} + {record.recipe.horizon}" for record in records)
