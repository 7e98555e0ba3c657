"""Forecast: predicted frames by member and lead time, with mask, valid times, grid, units and provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from framecast.calendars import count_steps, format_times, to_calendar
from framecast.errors import UsageError
from framecast.formatting import describe_object, make_html
from framecast.types import FrameSpec, Grid

FINGERPRINT_DIGITS = 16
UNNAMED = "of one's own"
"""Name of a model that is in no registry and names itself nothing."""


class ModelOrigin(NamedTuple):
    """Identity of a model: name of the network or baseline, and the weights where they were loaded from a folder."""

    name: str
    sha256: str = ""
    """Digest of the file of weights; empty for weights that are in no folder, and for baselines."""
    step: str = ""
    """Training iterations behind the weights."""
    source: str = ""
    """Code base that trained the weights, where they were converted."""
    converted_from: str = ""
    """Checkpoint that was converted."""
    motion: str = ""
    """How a baseline that moves frames estimates their motion."""


@dataclass(frozen=True, eq=False)
class Provenance:
    """The model and the input frames behind a forecast."""

    model: ModelOrigin
    inputs: Float[Tensor, "N J C H W"]
    """The frames of all sequences that were forecast together, raw units."""

    @cached_property
    def input_fingerprint(self) -> str:
        """16 hex digits of the sha256 of the input frames; computed at the first access."""
        # lazily: an evaluation makes many forecasts and needs no fingerprint
        return hashlib.sha256(np.ascontiguousarray(_on_host(self.inputs)).data).hexdigest()[:FINGERPRINT_DIGITS]

    def as_dict(self) -> dict[str, str]:
        """Metadata for files: framecast's version, the fields of the model that are not empty, the fingerprint."""
        name, sha256, step, source, converted_from, motion = self.model
        fields = {
            "model": name,
            "model_sha256": sha256,
            "step": step,
            "source": source,
            "converted_from": converted_from,
            "motion": motion,
        }
        return {
            "framecast_version": version("framecast"),
            **{key: text for key, text in fields.items() if text},
            "input_fingerprint": self.input_fingerprint,
        }


@dataclass(frozen=True, eq=False)
class Forecast:
    """Prediction of the K frames that follow each of N sequences; the result of a `Predictor`, the input of a writer.

    Example:
        >>> import framecast, numpy as np
        >>> spec = framecast.FrameSpec(channels=1, height=4, width=5, units="mm/h")
        >>> past = framecast.PastFrames.from_arrays(np.ones((2, 3, 1, 4, 5), np.float32), spec)
        >>> forecast = framecast.Persistence(spec).forecast(past, horizon=6)
        >>> forecast.values.shape    # sequences, members, lead times, channels, rows, columns
        (2, 1, 6, 1, 4, 5)
        >>> forecast.provenance.model.name
        'persistence'
    """

    frames: Float[Tensor, "N M K C H W"]
    """M members of K frames of the targets, raw units, on any device; M = 1 for a deterministic predictor. NaN exactly
    where `mask` is False, as far as the predictor itself gives numbers."""
    mask: Bool[Tensor, "N C H W"]
    """False where a pixel was missing in all frames of the context, so that its future cannot be known."""
    context: Float[Tensor, "N J C H W"]
    """Targets of the input frames, raw units; NaN where missing."""
    spec: FrameSpec
    """Units, step and value range of the targets."""
    provenance: Provenance
    grid: Grid = field(default_factory=Grid)
    """Coordinates of the pixels and names of the channels."""
    context_times: NDArray[Any] | None = None
    """(N, J), time of each input frame, UTC; None where unknown. Stored for each, as months do not lie one step apart."""
    dims: str = "ntchw"
    """Axes of the input file, letters of n t c h w; written arrays take this order too."""
    notes: tuple[str, ...] = ()
    """Assumptions of the forecast, one line each."""
    computation: dict[str, Any] = field(default_factory=dict)
    """Plan of the computation (tiles, memory) and the rms difference of tiles at their seams, raw units; plain values."""
    computation_text: str = ""
    """`computation` as one sentence."""

    def __repr__(self) -> str:
        return describe_object("Forecast", self._list_facts())

    def _repr_html_(self) -> str:
        return make_html("Forecast", self._list_facts())

    def _list_facts(self) -> list[tuple[str, str]]:
        """List model, sizes, units, times and notes, each with its name."""
        count, members, horizon, channels, height, width = self.frames.shape
        spec, (times, last) = self.spec, (self.times, self.reference_times)
        many = [(name, str(size)) for name, size in (("sequences", count), ("members", members)) if size > 1]
        known: list[tuple[str, str]] = []
        if times is not None and last is not None:
            ends = format_times(to_calendar(np.array([last[0], times[0, -1]]), self.grid)).tolist()
            known = [("after", ends[0]), ("up to", ends[1])]
        return [
            ("model", self.provenance.model.name),
            *many,
            ("frames", f"{horizon} of {channels} x {height} x {width}"),
            *([] if spec.units == "1" else [("units", spec.units)]),
            ("context", str(self.context.shape[1])),
            *known,
        ]

    @property
    def members(self) -> int:
        """Number of members, M."""
        return self.frames.shape[1]

    @property
    def values(self) -> NDArray[np.float32]:
        """Predicted frames as an array (N, M, K, C, H, W); no copy where they are float32 on the CPU."""
        return _on_host(self.frames)

    @property
    def past_values(self) -> NDArray[np.float32]:
        """Input frames as an array (N, J, C, H, W), NaN where missing."""
        return _on_host(self.context)

    @property
    def reference_times(self) -> NDArray[Any] | None:
        """Time of the last input frame of each sequence, (N,), milliseconds, UTC; None where unknown."""
        return None if self.times is None or self.context_times is None else self.context_times[:, -1]

    @property
    def times(self) -> NDArray[Any] | None:
        """Valid time of each predicted frame, (N, K), milliseconds, UTC; None where times or their step are unknown."""
        if self.context_times is None or self.spec.step_minutes is None:
            return None
        return count_times(self.context_times, self.frames.shape[2], self.spec, self.grid)

    def only(self, sequence: int) -> Forecast:
        """Select one sequence, N = 1; the provenance remains that of all N.

        Raises:
            UsageError: no sequence has this number.
        """
        _check_number("sequence", sequence, len(self.frames))
        rows = slice(sequence, sequence + 1)
        times = None if self.context_times is None else self.context_times[rows]
        parts = {name: getattr(self, name)[rows] for name in ("frames", "mask", "context")}
        return replace(self, **parts, context_times=times)

    def member(self, number: int) -> Forecast:
        """Select one member, M = 1.

        Raises:
            UsageError: no member has this number.
        """
        _check_number("member", number, self.members)
        return replace(self, frames=self.frames[:, number : number + 1])

    def mean(self) -> Forecast:
        """Average the members, M = 1."""
        return self if self.members == 1 else replace(self, frames=self.frames.mean(1, keepdim=True))

    def clipped(self) -> Forecast:
        """Clip values to the model's value range; NaN stays.

        The range comes from training: given by the user; else the usual span of the units (0 to 70 dBZ, 0 to 255 for
        bytes); else the extremes of the training data. Channels of different units have one range each.
        """
        low, high = self.frames.new_tensor(self.spec.target_ranges).T[:, :, None, None]
        return replace(self, frames=self.frames.clip(low, high))


def count_times(context_times: NDArray[Any], horizon: int, spec: FrameSpec, grid: Grid) -> NDArray[Any]:
    """Count the times of the frames to be predicted on from those of the input.

    Args:
        context_times: (N, J), datetime64, UTC.
        horizon: K.
        spec: frames with a step that is known.
        grid: of the data; names the calendar.

    Returns:
        (N, K), datetime64[ms].
    """
    assert spec.step_minutes is not None
    counts = np.arange(1, horizon + 1)
    return np.stack([count_steps(times, counts, spec.step_minutes, spec.step_months, grid) for times in context_times])


def join_sequences(forecasts: Sequence[Forecast]) -> Forecast:
    """Join forecasts of batches along the sequences.

    Args:
        forecasts: one or more, in order; equal in spec, grid, lead times and members.
    """
    first = forecasts[0]
    frames, mask, context = (
        torch.cat([getattr(forecast, name) for forecast in forecasts]) for name in ("frames", "mask", "context")
    )
    dated = [forecast.context_times for forecast in forecasts if forecast.context_times is not None]
    times = np.concatenate(dated) if len(dated) == len(forecasts) else None
    provenance = Provenance(first.provenance.model, context)
    return replace(first, frames=frames, mask=mask, context=context, provenance=provenance, context_times=times)


def _check_number(what: str, number: int, count: int) -> None:
    if not 0 <= number < count:
        raise UsageError(what, got=number, expected=f"0 to {count - 1}", fix="count from 0")


def _on_host(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy()
