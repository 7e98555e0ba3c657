"""Metrics over a whole data set, batch by batch, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.metrics.metric import Metric


class Scores:
    """Scores by lead time of everything that `update` has seen.

    Statistics are computed where the prediction lies; only their sums are kept. Splitting the data over batches or
    processes in another way gives the same sums, up to the rounding of float64.

    Args:
        metrics: what to score; names must differ.
        horizon: K, number of lead times.
        device: where the sums are kept, and so where `reduce` finds them; default the CPU. On devices that have no
            float64 (mps) the CPU takes over.

    Attributes:
        sums: (K, 1 + all S) float64: number of sequences, then the sums of each metric in turn.

    Raises:
        UsageError: without metrics, with two of one name, or with a horizon below 1.
    """

    sums: Float64[Tensor, "K S"]

    def __init__(self, metrics: Sequence[Metric], horizon: int, device: torch.device | str | None = None) -> None:
        self.metrics = list(metrics)
        self.names = [metric.name for metric in self.metrics]
        if not self.metrics or len(set(self.names)) < len(self.names):
            raise UsageError("metrics", got=self.names, expected="one or more, each with a name of its own")
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        self.horizon = horizon
        columns = 1 + sum(metric.size for metric in self.metrics)
        self.sums = torch.zeros(horizon, columns, dtype=torch.float64, device=_with_float64(device or "cpu"))

    @property
    def samples(self) -> int:
        """Number of sequences that were scored."""
        return int(self.sums[0, 0])

    def update(self, prediction: Tensor, truth: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            prediction: (B, K, C, H, W), scaled so that the value range is [0, 1]; not clipped.
            truth: (B, K, C, H, W), scaled likewise and clipped to [0, 1]; missing pixels may hold NaN.
            valid: (B, K, C, H, W) bool, True where observed; None where nothing is missing.

        Raises:
            InputError: if shapes or dtypes do not fit together, or the frames are too small for a metric.
        """
        self._check(prediction, truth, valid)
        device = _with_float64(prediction.device)
        prediction, truth = prediction.detach().to(device), truth.detach().to(device)
        valid = None if valid is None else valid.to(device)
        count = torch.full((len(prediction), self.horizon, 1), 1.0, dtype=torch.float64, device=device)
        parts = [count]
        for metric in self.metrics:
            part = metric.statistics(prediction, truth, valid)
            if part.shape != (len(prediction), self.horizon, metric.size):
                expected = f"(B, K, S) = {(len(prediction), self.horizon, metric.size)}"
                raise UsageError(f"statistics of metric {metric.name}", got=tuple(part.shape), expected=expected)
            parts.append(part)
        # A new tensor, not in place: the sums may have been made under inference_mode and be added to outside.
        self.sums = self.sums + torch.cat(parts, dim=-1).sum(dim=0).to(self.sums.device)

    def merge(self, other: Scores) -> None:
        """Add what another Scores of the same metrics and horizon has seen.

        Raises:
            UsageError: if metrics or horizon differ.
        """
        mine, others = (self.names, self.horizon), (other.names, other.horizon)
        if mine != others:
            raise UsageError("scores to merge", got=f"metrics, horizon {others}", expected=mine)
        self.sums = self.sums + other.sums.to(self.sums.device)

    def reduce(self, all_reduce: Callable[[Tensor], Tensor]) -> None:
        """Add up the sums of all processes, once, after the last update.

        Args:
            all_reduce: gives the sum (not the mean) of a tensor over the processes, as
                `lambda sums: fabric.all_reduce(sums, reduce_op="sum")` does.
        """
        self.sums = all_reduce(self.sums).to(self.sums.device)

    def by_lead(self) -> dict[str, list[float]]:
        """Each metric's score at lead times 1..K; NaN where undefined (0/0)."""
        return {metric.name: metric.close(sums).tolist() for metric, sums in self._parts()}

    def mean(self) -> dict[str, float]:
        """Each metric's mean over lead times, of the closed values: rmse is a mean of K roots, csi of K ratios.

        Lead times where a metric is undefined (0/0) are left out; if it is so at all, the mean is NaN. It is NaN
        also if a prediction held NaN on an observed pixel: that is not undefined but wrong.
        """
        return {metric.name: _defined_mean(metric.close(sums), sums) for metric, sums in self._parts()}

    def _parts(self) -> Iterator[tuple[Metric, Tensor]]:
        parts = self.sums[:, 1:].cpu().split([metric.size for metric in self.metrics], dim=-1)
        return zip(self.metrics, parts, strict=True)

    def _check(self, prediction: Tensor, truth: Tensor, valid: Tensor | None) -> None:
        shape = tuple(prediction.shape)
        if len(shape) != 5 or shape[1] != self.horizon:
            raise InputError("shape of the prediction", got=shape, expected=f"(B, {self.horizon}, C, H, W)")
        if tuple(truth.shape) != shape:
            raise InputError("shape of the truth", got=tuple(truth.shape), expected=f"{shape}, as the prediction")
        for what, values in (("prediction", prediction), ("truth", truth)):
            if not values.is_floating_point():
                raise InputError(f"dtype of the {what}", got=values.dtype, expected="floats on the scaled range")
        if valid is not None and (tuple(valid.shape) != shape or valid.dtype != torch.bool):
            raise InputError("valid", got=f"{valid.dtype} {tuple(valid.shape)}", expected=f"torch.bool {shape}")


def _with_float64(device: torch.device | str) -> torch.device:
    device = torch.device(device)
    return torch.device("cpu") if device.type == "mps" else device


def _defined_mean(values: Tensor, sums: Tensor) -> float:
    undefined = values.isnan() & ~sums.isnan().any(dim=-1)
    return float(values[~undefined].mean())
