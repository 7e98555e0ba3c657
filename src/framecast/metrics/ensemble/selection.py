"""Scores of ensembles by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from framecast.errors import UsageError
from framecast.metrics.base import Metric
from framecast.metrics.ensemble.crps import CRPS, ThresholdWeightedCRPS
from framecast.metrics.ensemble.frames import EnergyScore, ProbabilisticFSS, VariogramScore
from framecast.metrics.ensemble.pooled import Pooled
from framecast.metrics.ensemble.probabilities import (
    Brier,
    BrierReliability,
    BrierResolution,
    BrierUncertainty,
    EconomicValue,
    FairBrier,
    ROCArea,
)
from framecast.metrics.ensemble.ranks import LEAST_RAIN, RankHistogram
from framecast.metrics.ensemble.spectrum import FINEST, MemberSpectrum
from framecast.metrics.ensemble.spread import Spread, SpreadError
from framecast.types import FrameSpec

MEMBER_METRICS: dict[str, Callable[[FrameSpec, int], Metric]] = {
    "crps": lambda spec, members: CRPS(),
    "crps_ensemble": lambda spec, members: CRPS(fair=False),
    "spread": lambda spec, members: Spread(),
    "spread_error": lambda spec, members: SpreadError(),
    "rank_outer": lambda spec, members: RankHistogram(members, LEAST_RAIN.get(spec.units), spec.low, spec.high),
    "energy": lambda spec, members: EnergyScore(),
    "variogram": lambda spec, members: VariogramScore(),
    "spectrum": lambda spec, members: MemberSpectrum(spec.height, spec.width),
}
"""Scores of members, from the spec of the frames and the number of members."""
PROBABILITY_METRICS: dict[str, Callable[..., Metric]] = {
    "brier": Brier,
    "brier_fair": FairBrier,
    "brier_reliability": BrierReliability,
    "brier_resolution": BrierResolution,
    "brier_uncertainty": BrierUncertainty,
    "roc": ROCArea,
    "value": EconomicValue,
}
"""Scores of the probability of an event, from (threshold, low, high, members=)."""
ENSEMBLE_NAMES = (*MEMBER_METRICS, *PROBABILITY_METRICS, "twcrps", "pfss")
"""Scores of ensembles; most of them also on means, as in crps/16px."""
ENSEMBLE_PROTOCOL = (
    "crps",
    "crps/16px",
    "spread_error",
    "spread_error/16px",
    "rank_outer",
    "rank_outer/16px",
    "spectrum",
    "twcrps",
    "brier_fair",
    "brier_fair/16px",
    "brier_reliability",
    "roc",
    "value",
    "pfss",
    "energy/16px",
    "variogram",
)
"""Scores that are reported together of forecasts with members."""
_NEED_EVENTS = {*PROBABILITY_METRICS, "twcrps", "pfss"}
_ALONE = ("spectrum", "pfss")
"""Scores that have scales of their own."""
_POOLED = re.compile(r"(?P<base>\w+)/(?P<side>[1-9]\d{0,3})px")


def split_name(name: str) -> tuple[str, int | None]:
    """Split a name as crps/16px into the score and the side of its squares; None for pixels."""
    match = _POOLED.fullmatch(name)
    return (match["base"], int(match["side"])) if match and match["base"] not in _ALONE else (name, None)


def fits(name: str, spec: FrameSpec, thresholds: Sequence[float]) -> bool:
    """Whether frames and thresholds allow a score of the protocol."""
    base, side = split_name(name)
    smallest = 4 * FINEST if base == "spectrum" else side or 1
    is_event = base in _NEED_EVENTS
    mixed = bool(spec.ranges) and (is_event or base == "rank_outer")
    return min(spec.height, spec.width) >= smallest and (bool(thresholds) or not is_event) and not mixed


def make_ensemble_metrics(
    name: str, spec: FrameSpec, thresholds: Sequence[float], scales: Sequence[int], members: int
) -> list[Metric]:
    """Make the scores of a name, one for each threshold and scale.

    Args:
        name: as in `ENSEMBLE_NAMES`, or crps/16px.
        spec: frames.
        thresholds: of events, raw units.
        scales: of pfss, pixels.
        members: M.

    Raises:
        UsageError: no threshold or scale where one is needed, or squares larger than the frame.
    """
    base, side = split_name(name)
    if side is not None and side > min(spec.height, spec.width):
        got = f"frames of {spec.height} x {spec.width} pixels"
        raise UsageError(f"metric {name}", got=got, expected=f"{side} x {side} or more")
    if base in _NEED_EVENTS and not thresholds:
        raise UsageError(f"metric {name}", got="no threshold", expected="at least one", fix=f"in {spec.units!r}")
    metrics = list(_make(base, spec, thresholds, scales, members))
    return metrics if side is None else [Pooled(metric, side) for metric in metrics]


def _make(
    base: str, spec: FrameSpec, thresholds: Sequence[float], scales: Sequence[int], members: int
) -> Iterator[Metric]:
    if base in MEMBER_METRICS:
        yield MEMBER_METRICS[base](spec, members)
    for threshold in thresholds if base in _NEED_EVENTS else ():
        event = threshold, spec.low, spec.high
        if base in PROBABILITY_METRICS:
            yield PROBABILITY_METRICS[base](*event, members=members)
        elif base == "twcrps":
            yield ThresholdWeightedCRPS(*event)
        else:
            yield from (ProbabilisticFSS(*event, scale=scale) for scale in scales)
