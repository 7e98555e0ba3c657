"""Metrics by name, and the sets of metrics that papers and codebases published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from framecast.errors import FramecastError, UsageError
from framecast.metrics.base import Metric
from framecast.metrics.categorical import CSI, FAR, HSS, POD, FrequencyBias
from framecast.metrics.ensemble.selection import (
    ENSEMBLE_NAMES,
    ENSEMBLE_PROTOCOL,
    fits,
    make_ensemble_metrics,
    split_name,
)
from framecast.metrics.fss import FSS
from framecast.metrics.pointwise import FMAE, MAE, MSE, PSNR, RMSE, SSE
from framecast.metrics.rapsd import RAPSD
from framecast.metrics.sharpness import Sharpness, SharpnessDifference
from framecast.metrics.ssim import SSIM, UNIFORM_WINDOW
from framecast.types import FrameSpec

METRICS: dict[str, Callable[[], Metric]] = {
    "mse": MSE,
    "mse_unclipped": lambda: MSE(clip=False),
    "sse": SSE,
    "sse_unclipped": lambda: SSE(clip=False),
    "mae": MAE,
    "fmae": FMAE,
    "rmse": RMSE,
    "psnr": PSNR,
    "psnr_uint8": lambda: PSNR(uint8=True),
    "ssim": SSIM,
    "ssim_uint8": lambda: SSIM("uint8"),
    "ssim_range2": lambda: SSIM("range2"),
    "ssim_gaussian": lambda: SSIM("gaussian"),
    "sharpness": Sharpness,
    "sharpness_diff": SharpnessDifference,
}
"""Metrics that need nothing but frames."""

DBZ = "dBZ"
"""Unit whose values below the range mean no rain, by however much: -32 dBZ and 0 dBZ are the same weather. So errors
in dBZ are clipped to the range."""
SPEC_METRICS: dict[str, Callable[[FrameSpec], Metric]] = {
    "mse_raw": lambda spec: MSE((spec.high - spec.low, spec.units), clip=spec.units == DBZ),
    "mae_raw": lambda spec: MAE((spec.high - spec.low, spec.units), clip=spec.units == DBZ),
    "rmse_raw": lambda spec: RMSE((spec.high - spec.low, spec.units), clip=spec.units == DBZ),
    "rapsd": lambda spec: RAPSD(spec.height, spec.width),
}
"""Metrics that are made from the spec of the frames."""

EVENT_METRICS: dict[str, Callable[[float, float, float], Metric]] = {
    "csi": CSI,
    "pod": POD,
    "far": FAR,
    "hss": HSS,
    "bias": FrequencyBias,
}
"""Metrics that are made once for each threshold, from (threshold, low, high)."""

SCALE_METRICS: dict[str, Callable[[float, float, float, int], Metric]] = {
    "fss": lambda threshold, low, high, scale: FSS(threshold, low, high, scale=scale),
}
"""Metrics that are made once for each threshold and scale, from (threshold, low, high, scale in pixels)."""

SCALES = (4, 16)
"""Default scales of fss, pixels."""

PROTOCOLS: dict[str, tuple[str, ...]] = {
    "framecast": ("sse", "mse", "mae", "psnr", "ssim", "sharpness", "csi", "pod", "far"),
    "grid": ("mse", "rmse_raw", "mae_raw", "rapsd", "csi", "pod", "far", "hss", "bias", "fss"),
    "predrnn-pytorch": ("sse", "psnr_uint8", "ssim_uint8"),
    "openstl": ("sse_unclipped", "fmae", "psnr", "ssim_range2"),
    "ensemble": ("mse", "mae", *ENSEMBLE_PROTOCOL),
    "mim": ("sse", "fmae", "psnr_uint8", "ssim_range2", "sharpness"),
}
"""Sets of metrics that are reported together. "framecast" is the default for pictures, "grid" for physical units,
"ensemble" for forecasts with members; these three take only what the data allow: events where there are thresholds, ssim,
sharpness and spectra where the frames are large enough."""
USUAL_MEMBERS = 20
"""Members that ensembles are scored with, where nobody says how many."""

_ADAPTIVE = ("framecast", "grid", "ensemble")
_OF_ONE_UNIT = {*EVENT_METRICS, *SCALE_METRICS, "mse_raw", "mae_raw", "rmse_raw"}
"""Metrics in raw units, which channels of several units do not share."""
_SMALLEST_FRAME = {"ssim": UNIFORM_WINDOW, "sharpness": 2, "rapsd": 3}


def select_metrics(
    names: str | Iterable[str],
    *,
    spec: FrameSpec,
    thresholds: Sequence[float] = (),
    scales: Sequence[int] = SCALES,
    members: int = USUAL_MEMBERS,
) -> list[Metric]:
    """Make metrics by name.

    Args:
        names: metrics ("ssim"), metrics of events ("csi": one for each threshold) and protocols ("openstl"), in the
            order in which they are to be reported; a metric that is named twice is made once.
        spec: the frames to be scored; gives the value range that thresholds are scaled with.
        thresholds: of events, in the units of `spec`.
        scales: of fss and pfss, pixels.
        members: M, which decides the bins of rank histograms and the classes of probabilities.

    Raises:
        UsageError: an unknown name, events without a threshold, fss without a scale, a threshold outside the value range.
    """
    names = [names] if isinstance(names, str) else names
    singles = [single for name in names for single in _expand_protocol(name, spec, thresholds)]
    metrics = [
        metric
        for single in dict.fromkeys(singles)
        for metric in (
            make_ensemble_metrics(single, spec, thresholds, scales, members)
            if split_name(single)[0] in ENSEMBLE_NAMES
            else _make_metrics(single, spec, thresholds, scales)
        )
    ]
    return list({metric.name: metric for metric in metrics}.values())


def _expand_protocol(name: str, spec: FrameSpec, thresholds: Sequence[float]) -> Iterator[str]:
    for single in PROTOCOLS.get(name, (name,)):
        too_small = min(spec.height, spec.width) < _SMALLEST_FRAME.get(single, 1)
        no_events = single in (EVENT_METRICS | SCALE_METRICS) and not thresholds
        is_of_one_unit = single in _OF_ONE_UNIT and bool(spec.ranges)
        is_unfit = split_name(single)[0] in ENSEMBLE_NAMES and not fits(single, spec, thresholds)
        if name in _ADAPTIVE and (too_small or no_events or is_of_one_unit or is_unfit):
            continue
        yield single


def _make_metrics(name: str, spec: FrameSpec, thresholds: Sequence[float], scales: Sequence[int]) -> list[Metric]:
    if name in METRICS:
        return [METRICS[name]()]
    if spec.ranges and name in _OF_ONE_UNIT:
        fix = "score each channel alone, or in shares of its range: mse, mae, ssim"
        raise UsageError(f"metric {name}", got="channels of several units", expected="one unit", fix=fix)
    if name in SPEC_METRICS:
        return [SPEC_METRICS[name](spec)]
    if name not in EVENT_METRICS | SCALE_METRICS:
        raise _unknown(name)
    if not thresholds:
        raise UsageError(
            f"metric {name}",
            got="no threshold",
            expected="at least one",
            fix="in raw units" if spec.units == "1" else f"in {spec.units}",
        )
    if name in EVENT_METRICS:
        return [EVENT_METRICS[name](threshold, spec.low, spec.high) for threshold in thresholds]
    if not scales:
        raise UsageError(f"metric {name}", got="no scale", expected="at least one", fix="in pixels")
    return [SCALE_METRICS[name](threshold, spec.low, spec.high, scale) for threshold in thresholds for scale in scales]


def _unknown(name: str) -> FramecastError:
    known = [*METRICS, *SPEC_METRICS, *EVENT_METRICS, *SCALE_METRICS, *ENSEMBLE_NAMES, *PROTOCOLS]
    return UsageError.unknown("unknown metric", name, known)
