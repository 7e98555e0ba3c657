"""Start of a watcher: what a user names becomes a place, a reader, a cadence, a model and an output."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from framecast.data import DataConfig
from framecast.data.durations import MINUTES, in_frames
from framecast.ensembles.tables_files import find_file
from framecast.errors import UsageError
from framecast.forecasting.baselines import make_baseline
from framecast.forecasting.filling.fill import MAX_FILLED
from framecast.forecasting.forecaster import Forecaster
from framecast.json_files import read_json, write_json
from framecast.live.ladder import Dressing, Ladder
from framecast.live.presets import Preset, list_presets
from framecast.live.publish import STATE, Publisher, check_formats
from framecast.live.reader import FrameReader
from framecast.live.slots import Cadence
from framecast.live.sources import CopiedFiles, Folder, open_place
from framecast.live.verification import Verification
from framecast.live.watcher import Watcher
from framecast.recipe.data_as_trained import make_config_as_trained
from framecast.recipe.recipe import Recipe
from framecast.types import FrameSpec

USUAL_CONTEXT = 10
"""Slots of the window of a model that names none."""


@dataclass(frozen=True)
class WatchOptions:
    """Choices of a user.

    Args:
        place: folder, address, or name of a preset.
        out: folder of the output.
        horizon: K, frames or a time.
        context: slots of the window, frames or a time; None for the model's.
        max_filled: absent frames with which the model forecasts, at most.
        formats: of each forecast.
        keep: time after which forecasts are removed, as in 2d; None for never.
        settle: seconds for which a file must not change before it is read.
        retry: seconds for which a file that cannot be read is tried again.
        tolerance: share of a step by which a frame may come early or late.
        match: regular expression of the names in a remote folder.
        fields: fields of a DataConfig, how the files are read.
        storage: options of the file system of fsspec.
        verify: whether forecasts are scored.
        keywords: of `forecast_source`: device, room.
        dressing: of members of the model's forecasts; None for single ones.
        covariates: file or folder of covariates of the times to be predicted; None for none.
    """

    place: str
    out: Path
    horizon: int | str
    context: int | str | None = None
    max_filled: int = MAX_FILLED
    formats: Sequence[str] = ("nc", "strip")
    keep: str | None = None
    settle: float = 2.0
    retry: float = 120.0
    tolerance: float = 0.4
    match: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    storage: dict[str, Any] = field(default_factory=dict)
    verify: bool = True
    keywords: dict[str, Any] = field(default_factory=dict)
    dressing: Dressing | None = None
    covariates: Path | None = None


def open_watcher(model: Forecaster | str, name: str, recipe: Recipe, options: WatchOptions, **clocks: Any) -> Watcher:
    """Open the watcher that a user describes; the caller holds the lock of its output.

    Args:
        model: a network, or the name of a baseline.
        name: name of the model for people.
        recipe: of its training; the default one for a baseline.
        options: choices of the user.
        clocks: `now` and `clock` of the Watcher.

    Raises:
        InputError: no such folder, or no error tables to make members from.
        UsageError: options that cannot be used.
    """
    preset = _find_preset(options.place)
    place = options.place if preset is None else preset.address
    spec = model.spec if isinstance(model, Forecaster) else None
    fields = {**({} if preset is None or not preset.times else {"times": preset.times}), **options.fields}
    reader = FrameReader(fields, recipe, spec)
    step = options.fields.get("step_minutes") or (None if preset is None else preset.step_minutes)
    step = step or (None if spec is None else spec.step_minutes)
    cadence = Cadence(float(step or _recall_step(place, reader, options.out / STATE)), options.tolerance)
    copies = CopiedFiles(options.out / STATE / "files", "" if preset is None else preset.suffix)
    match = options.match or ("" if preset is None else preset.match)
    ladder = replace(_make_ladder(model, name, cadence, options), covariates=_find_covariates(spec, recipe, options))
    publisher = Publisher(options.out, check_formats(options.formats), _parse_time(options.keep))
    return Watcher(
        open_place(place, cadence, copies, match, options.storage),
        reader,
        cadence,
        ladder,
        options.out,
        publisher,
        Verification(options.out, cadence, name) if options.verify else None,
        settle=options.settle,
        retry=options.retry,
        **clocks,
    )


def _find_covariates(spec: FrameSpec | None, recipe: Recipe, options: WatchOptions) -> DataConfig | None:
    """Find how the file of covariates is read; None for none.

    Raises:
        UsageError: there is none, or the model has no use for it.
    """
    path = options.covariates
    if path is None:
        return None
    if spec is None or not any(not channel.calendar for channel in spec.covariates):
        expected = "nothing: this model has no covariates that a file holds"
        raise UsageError("--covariates", got=str(path), expected=expected, fix="leave it out")
    if not path.exists():
        raise UsageError("--covariates", got=f"{path}, which is not there", expected="a file or a folder")
    return make_config_as_trained(recipe, {**options.fields, "source": str(path)}, spec)


def _find_preset(place: str) -> Preset | None:
    """Find the preset that a place names; None where it is a folder or an address.

    Raises:
        UsageError: a preset whose files take a key.
    """
    presets = list_presets()
    if Path(place).exists() or place not in presets:
        return None
    if not presets[place].address:
        raise UsageError(place, got="a preset without an address", expected="a folder", fix=presets[place].about)
    return presets[place]


def _recall_step(place: str, reader: FrameReader, state: Path) -> float:
    """Recall the cadence of the first start, else find it in a folder: a later one may see other files.

    Raises:
        UsageError: nothing tells it.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        return float(read_json(state / "cadence.json")["step_minutes"])
    step = _find_step(place, reader)
    if step is None:
        fix = "say the minutes between frames with --step-minutes"
        raise UsageError("--step-minutes", got="none", expected="the cadence, which nothing tells", fix=fix)
    write_json(state / "cadence.json", {"step_minutes": step})
    return step


def _find_step(place: str, reader: FrameReader) -> float | None:
    """Find the cadence in the names of the files that lie in a folder: the commonest distance of three or more."""
    if not Path(place).is_dir():
        return None
    named = [reader.find_time(entry.name) for entry in Folder(Path(place)).list_files(0.0, 0)]
    steps = np.diff(np.unique(np.array([time for time in named if time is not None], "datetime64[ms]")))
    if len(steps) < 2:
        return None
    values, counts = np.unique(steps, return_counts=True)
    return float(values[counts.argmax()] / np.timedelta64(60_000, "ms"))


def _make_ladder(model: Forecaster | str, name: str, cadence: Cadence, options: WatchOptions) -> Ladder:
    """Make the ladder, lengths counted in slots."""
    step = cadence.step_minutes
    usual = _find_context(model, step)
    context = usual if options.context is None else in_frames(options.context, step, "--context")
    horizon = in_frames(options.horizon, step, "--horizon")
    for option, frames in (("--context", context), ("--horizon", horizon)):
        if frames < 1:
            raise UsageError(option, got=frames, expected="at least 1, a whole number of frames")
    if options.dressing is not None:
        find_file(options.dressing.errors)  # what has none is an error now, not at the first frame
    return Ladder(model, name, horizon, context, options.max_filled, options.keywords, options.dressing)


def _find_context(model: Forecaster | str, step: float) -> int:
    """Find the slots of the window: those of the training, of a baseline its own."""
    if isinstance(model, str):
        probe = FrameSpec(channels=1, height=1, width=1, step_minutes=step)
        return make_baseline(model, probe).context or USUAL_CONTEXT
    return model.context or USUAL_CONTEXT


def _parse_time(text: str | None) -> np.timedelta64 | None:
    """Parse a time as in 2d or 36h."""
    if text is None:
        return None
    if text.strip().isdecimal():
        raise UsageError("--keep", got=text, expected="a time as in 36h, 2d")
    seconds = in_frames(text, MINUTES["s"], "--keep")
    return np.timedelta64(seconds, "s")
