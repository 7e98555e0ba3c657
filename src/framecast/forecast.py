"""A forecast as a value: frames by member and lead time, what of them can be known, times, place, units, provenance."""

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

from framecast.types import FrameSpec, Grid

FINGERPRINT_DIGITS = 16
UNNAMED = "of one's own"
"""Model that is not framecast's, and has no name."""


class ModelOrigin(NamedTuple):
    """Which model: the name of a network or a baseline, and the weights where they were loaded from a folder."""

    name: str
    sha256: str = ""
    """Of the file of weights; empty for weights that are in no folder, and for baselines."""
    step: str = ""
    """After how many iterations of training."""
    source: str = ""
    """Which code trained it, where weights were converted."""
    converted_from: str = ""
    """The checkpoint that was converted."""


@dataclass(frozen=True, eq=False)
class Provenance:
    """Which model and which input made a forecast."""

    model: ModelOrigin
    inputs: Float[Tensor, "N J C H W"]
    """The frames of all sequences that were forecast together, raw units."""

    @cached_property
    def input_fingerprint(self) -> str:
        """16 hex digits of a sha256 over the input frames; computed when it is first asked for."""
        return hashlib.sha256(np.ascontiguousarray(_on_host(self.inputs)).data).hexdigest()[:FINGERPRINT_DIGITS]

    def as_dict(self) -> dict[str, str]:
        """Name to text, for those who write it: framecast's version, what is known of the model, the fingerprint."""
        name, sha256, step, source, converted_from = self.model
        known = {
            "model": name,
            "model_sha256": sha256,
            "step": step,
            "source": source,
            "converted_from": converted_from,
        }
        return {
            "framecast_version": version("framecast"),
            **{key: text for key, text in known.items() if text},
            "input_fingerprint": self.input_fingerprint,
        }


@dataclass(frozen=True, eq=False)
class Forecast:
    """What is predicted to follow each of N sequences: what every `Predictor` gives and every writer takes.

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
    """M members of K frames of the targets, raw units, on any device; M = 1 of a deterministic predictor. NaN exactly
    where `mask` is False, as far as the predictor itself gives numbers."""
    mask: Bool[Tensor, "N C H W"]
    """False where no frame of the context was observed, so that nobody can know."""
    context: Float[Tensor, "N J C H W"]
    """The targets of the frames that were used, raw units; NaN where missing."""
    spec: FrameSpec
    """Units, step and value range of the targets."""
    provenance: Provenance
    grid: Grid = field(default_factory=Grid)
    """Where the pixels lie and what the channels are."""
    context_times: NDArray[Any] | None = None
    """(N, J), time of each frame that was used, UTC; None where unknown. Months, say, do not lie one step apart."""
    dims: str = "ntchw"
    """Axes of the input file, letters of n t c h w; arrays that are written have the same."""
    notes: tuple[str, ...] = ()
    """What was assumed, one line each."""
    computation: dict[str, Any] = field(default_factory=dict)
    """How it was computed, in tiles or not, and how far they disagree at their seams, raw units; plain values."""
    computation_text: str = ""
    """How it was computed, in words."""

    @property
    def members(self) -> int:
        """M."""
        return self.frames.shape[1]

    @property
    def values(self) -> NDArray[np.float32]:
        """The frames as an array (N, M, K, C, H, W); no copy where they are float32 on the CPU."""
        return _on_host(self.frames)

    @property
    def past_values(self) -> NDArray[np.float32]:
        """The frames that were used as an array (N, J, C, H, W), NaN where missing."""
        return _on_host(self.context)

    @property
    def reference_times(self) -> NDArray[Any] | None:
        """(N,), time of the last frame that was used, milliseconds, UTC; None where unknown."""
        return None if self.times is None or self.context_times is None else self.context_times[:, -1]

    @property
    def times(self) -> NDArray[Any] | None:
        """(N, K), valid time of each predicted frame, milliseconds, UTC; None where times or their step are unknown."""
        if self.context_times is None or self.spec.step_minutes is None:
            return None
        step = self.spec.step_minutes * 60_000
        first = self.context_times[:, -1:].astype("datetime64[ms]") + np.timedelta64(round(step), "ms")
        return first + np.rint(np.arange(self.frames.shape[2]) * step).astype("timedelta64[ms]")

    def only(self, sequence: int) -> Forecast:
        """The forecast of one sequence, N = 1; its provenance stays that of all."""
        one = slice(sequence, sequence + 1)
        times = None if self.context_times is None else self.context_times[one]
        parts = {name: getattr(self, name)[one] for name in ("frames", "mask", "context")}
        return replace(self, **parts, context_times=times)

    def member(self, number: int) -> Forecast:
        """One member, M = 1."""
        return replace(self, frames=self.frames[:, number : number + 1])

    def mean(self) -> Forecast:
        """The mean of the members, M = 1."""
        return self if self.members == 1 else replace(self, frames=self.frames.mean(1, keepdim=True))

    def clipped(self) -> Forecast:
        """Values beyond the model's value range become its ends; NaN stays.

        The range is what the user said in training; else what the units are taken to span (0 to 70 dBZ, 0 to 255 of
        bytes); else what was found in the data then. Channels of different units have ranges of their own.
        """
        ranges = self.spec.ranges or [(self.spec.low, self.spec.high)]
        low, high = self.frames.new_tensor(ranges).T[:, :, None, None]
        return replace(self, frames=self.frames.clip(low, high))


def join_sequences(forecasts: Sequence[Forecast]) -> Forecast:
    """One forecast of the sequences of several, which a predictor made batch by batch; at least one.

    Args:
        forecasts: of sequences that are alike in all but their values and times, in order.
    """
    first = forecasts[0]
    frames, mask, context = (
        torch.cat([getattr(one, name) for one in forecasts]) for name in ("frames", "mask", "context")
    )
    dated = [one.context_times for one in forecasts if one.context_times is not None]
    times = np.concatenate(dated) if len(dated) == len(forecasts) else None
    provenance = Provenance(first.provenance.model, context)
    return replace(first, frames=frames, mask=mask, context=context, provenance=provenance, context_times=times)


def _on_host(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy()
