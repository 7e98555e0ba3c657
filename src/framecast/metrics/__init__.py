"""Scores of forecasts, by lead time, streamed over a data set of any size.

Conventions:

* Frames are (B, K, C, H, W), scaled linearly so that the value range [low, high] of the data is [0, 1]; scale in
  float64. The truth comes clipped to it, unless a metric wants it all (`beyond_range`), the prediction does not: each
  metric says whether it clips.
* Units: `range` is the length of the value range; a score in `range` times (high - low) is in raw units,
  as mae_raw and rmse_raw are.
* `sse` is what the literature calls MSE, a sum over the pixels of a frame; `mse` is a mean.
* Channels of different units share no score of `evaluate`: each is scored alone, on its own range (`ChannelMetric`).
* Missing pixels never matter. Where too little was observed for a frame to be scored, it is left out.
* At each lead time, scores of a frame (sse, fmae, psnr, ssim, sharpness) are averaged over frames; scores of pixels
  (mse, mae, rmse) and of events (csi, pod, far, hss, bias, fss) are formed once from sums over all pixels and
  sequences; rapsd compares the mean spectra.
* Forecasts of members are (B, M, K, C, H, W): scores of ensembles take all members, the others their mean; of a single
  forecast the CRPS is its mean absolute error.
* Undefined (0/0) is NaN and left out of the mean over lead times. A NaN in a prediction makes its scores NaN.

A metric is one class with two methods: `statistics` gives float64 numbers of each sequence that add up, `close` turns
their sums into scores. `Scores` adds them up over batches and processes; `select_metrics` makes metrics by name;
`resample` draws from the sequences again, to see how far the scores would scatter.
"""

from framecast.metrics.aggregation import Scores, lead_mean
from framecast.metrics.base import DIRECTIONS, Metric
from framecast.metrics.bootstrap import LEVEL, Resampled, bootstrap_interval, compute_skill, resample
from framecast.metrics.categorical import CSI, FAR, HSS, POD, USUAL_THRESHOLDS, FrequencyBias
from framecast.metrics.ensemble.selection import ENSEMBLE_NAMES
from framecast.metrics.fss import FSS
from framecast.metrics.paired import Paired
from framecast.metrics.per_channel import ChannelMetric
from framecast.metrics.pointwise import FMAE, MAE, MSE, PSNR, RMSE, SSE
from framecast.metrics.rapsd import RAPSD
from framecast.metrics.registry import (
    EVENT_METRICS,
    METRICS,
    PROTOCOLS,
    SCALE_METRICS,
    SCALES,
    SPEC_METRICS,
    USUAL_MEMBERS,
    select_metrics,
)
from framecast.metrics.sharpness import Sharpness, SharpnessDifference
from framecast.metrics.ssim import SSIM
from framecast.metrics.summary import Estimate, Summary, summarise

__all__ = [
    "CSI",
    "DIRECTIONS",
    "ENSEMBLE_NAMES",
    "EVENT_METRICS",
    "FAR",
    "FMAE",
    "FSS",
    "HSS",
    "LEVEL",
    "MAE",
    "METRICS",
    "MSE",
    "POD",
    "PROTOCOLS",
    "PSNR",
    "RAPSD",
    "RMSE",
    "SCALES",
    "SCALE_METRICS",
    "SPEC_METRICS",
    "SSE",
    "SSIM",
    "USUAL_MEMBERS",
    "USUAL_THRESHOLDS",
    "ChannelMetric",
    "Estimate",
    "FrequencyBias",
    "Metric",
    "Paired",
    "Resampled",
    "Scores",
    "Sharpness",
    "SharpnessDifference",
    "Summary",
    "bootstrap_interval",
    "compute_skill",
    "lead_mean",
    "resample",
    "select_metrics",
    "summarise",
]
