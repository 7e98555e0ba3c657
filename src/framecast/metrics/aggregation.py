"""Metrics over a whole data set, batch by batch, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.devices import to_device
from framecast.errors import InputError, UsageError
from framecast.metrics.base import Metric
from framecast.metrics.reductions import observed_pixels


class Scores:
    """Scores by lead time of everything that `update` has seen.

    Statistics are computed where the prediction lies; only their sums are kept. Splitting the data over batches or
    processes in another way gives the same sums, up to the rounding of float64. With `keep`, the statistics of each
    sequence are kept too, from which `resample` gives intervals; sums are then formed in the order of the sequences, so
    that dividing them among processes changes no bit.

    Args:
        metrics: what to score; names must differ.
        horizon: K, number of lead times.
        device: where the sums are kept, and so where `reduce` finds them; default the CPU. On devices that have no
            float64 (mps) the CPU takes over.
        keep: number of sequences of all processes together, to keep the statistics of each: K x (2 + all S) numbers a
            sequence. 0 for sums only.

    Attributes:
        rows: (keep, K, 2 + all S) float64, the columns of `sums` for each sequence; None without `keep`.

    Raises:
        UsageError: without metrics, with two of one name, or with a horizon below 1.
    """

    def __init__(
        self, metrics: Sequence[Metric], horizon: int, device: torch.device | str | None = None, *, keep: int = 0
    ) -> None:
        self.metrics = list(metrics)
        self.names = [metric.name for metric in self.metrics]
        if not self.metrics or len(set(self.names)) < len(self.names):
            raise UsageError("metrics", got=self.names, expected="one or more, each with a name of its own")
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        self.horizon = horizon
        shape = (horizon, 2 + sum(metric.size for metric in self.metrics))
        device = _with_float64(device or "cpu")
        self._sums = torch.zeros(shape, dtype=torch.float64, device=device)
        with torch.inference_mode(mode=False):  # so that they may be added to in any mode
            self.rows = torch.zeros(keep, *shape, dtype=torch.float64, device=device) if keep else None
        self._seen = 0

    @property
    def sums(self) -> Float64[Tensor, "K S"]:
        """(K, 2 + all S): number of sequences, of observed pixels, then the sums of each metric in turn."""
        return self._sums if self.rows is None else self.rows.sum(dim=0)

    @property
    def samples(self) -> int:
        """Number of sequences that were scored."""
        return int(self.sums[0, 0])

    @property
    def pixels(self) -> list[int]:
        """Number of observed pixels at each lead time, over all sequences and channels."""
        return [int(count) for count in self.sums[:, 1].tolist()]

    def update(
        self,
        prediction: Tensor,
        truth: Tensor,
        valid: Tensor | None = None,
        positions: Sequence[int] | None = None,
    ) -> None:
        """Add a batch.

        Args:
            prediction: (B, K, C, H, W), scaled so that the value range is [0, 1]; not clipped.
            truth: (B, K, C, H, W), scaled likewise, not clipped; missing pixels may hold NaN.
            valid: (B, K, C, H, W) bool, True where observed; None where nothing is missing.
            positions: place of each sequence among all that are kept, 0 first; by default the next ones.

        Raises:
            InputError: if shapes or dtypes do not fit together, or the frames are too small for a metric.
            UsageError: a position that is not to be kept.
        """
        self._check(prediction, truth, valid)
        device = _with_float64(prediction.device)
        prediction, truth = prediction.detach().to(device), truth.detach().to(device)
        valid = None if valid is None else valid.to(device)
        count = torch.full((len(prediction), self.horizon, 1), 1.0, dtype=torch.float64, device=device)
        parts = [count, observed_pixels(truth, valid)[..., None]]
        made: dict[str, Tensor] = {}
        within = truth.clamp(0, 1)
        for metric in self.metrics:
            key = metric.shared or metric.name
            seen = truth if metric.beyond_range else within
            part = made[key] if key in made else metric.statistics(prediction, seen, valid)
            made[key] = part
            if part.shape != (len(prediction), self.horizon, metric.size):
                expected = f"(B, K, S) = {(len(prediction), self.horizon, metric.size)}"
                raise UsageError(f"statistics of metric {metric.name}", got=tuple(part.shape), expected=expected)
            parts.append(part)
        self._add(torch.cat(parts, dim=-1), positions)

    def merge(self, other: Scores) -> None:
        """Add what another Scores of the same metrics and horizon has seen.

        Raises:
            UsageError: if metrics or horizon differ.
        """
        mine, others = (self.names, self.horizon, self._kept), (other.names, other.horizon, other._kept)
        if mine != others:
            raise UsageError("scores to merge", got=f"metrics, horizon, kept {others}", expected=mine)
        if self.rows is not None and other.rows is not None:
            self.rows += other.rows.to(self.rows.device)
        self._sums = self._sums + other._sums.to(self._sums.device)

    def reduce(self, all_reduce: Callable[[Tensor], Tensor]) -> None:
        """Add up the sums, or the kept rows, of all processes, once, after the last update.

        Args:
            all_reduce: gives the sum (not the mean) of a tensor over the processes, as
                `lambda sums: fabric.all_reduce(sums, reduce_op="sum")` does.
        """
        if self.rows is None:
            self._sums = all_reduce(self._sums).to(self._sums.device)
        else:  # a sequence is in one process and zero in the others, so this sum is exact
            self.rows = all_reduce(self.rows).to(self.rows.device)

    def by_lead(self) -> dict[str, list[float]]:
        """Each metric's score at lead times 1..K; NaN where undefined (0/0)."""
        return {metric.name: metric.close(sums).tolist() for metric, sums in self._parts()}

    def mean(self) -> dict[str, float]:
        """Each metric's mean over lead times, of the closed values: rmse is a mean of K roots, csi of K ratios.

        Lead times where a metric is undefined (0/0) are left out; if it is so at all, the mean is NaN. It is NaN
        also if a prediction held NaN on an observed pixel: that is not undefined but wrong.
        """
        return {metric.name: float(lead_mean(metric.close(sums), sums)) for metric, sums in self._parts()}

    def counts(self) -> dict[str, dict[str, list[float]]]:
        """Of each metric that has named parts, such as hits, their sums by lead time."""
        return {
            metric.name: {part: sums[:, i].tolist() for i, part in enumerate(metric.parts)}
            for metric, sums in self._parts()
            if metric.parts
        }

    def by_sequence(self) -> Iterator[tuple[Metric, Tensor]]:
        """Each metric with its kept statistics, (keep, K, S), on the CPU.

        Raises:
            UsageError: nothing was kept.
        """
        if self.rows is None:
            raise UsageError("statistics of each sequence", got="sums only", expected="scores made with keep=")
        return self._split(self.rows)

    def _parts(self) -> Iterator[tuple[Metric, Tensor]]:
        return self._split(self.sums)

    def _split(self, columns: Tensor) -> Iterator[tuple[Metric, Tensor]]:
        parts = columns[..., 2:].cpu().split([metric.size for metric in self.metrics], dim=-1)
        return zip(self.metrics, parts, strict=True)

    def _add(self, statistics: Tensor, positions: Sequence[int] | None) -> None:
        first, self._seen = self._seen, self._seen + len(statistics)
        if self.rows is None:
            # A new tensor, not in place: the sums may have been made under inference_mode and be added to outside.
            self._sums = self._sums + statistics.sum(dim=0).to(self._sums.device)
            return
        places = list(range(first, self._seen)) if positions is None else list(positions)
        if len(places) != len(statistics) or not all(0 <= place < self._kept for place in places):
            expected = f"{len(statistics)} positions from 0 to {self._kept - 1}"
            raise UsageError("sequences to keep", got=f"positions {places}", expected=expected)
        index = to_device(torch.tensor(places), self.rows.device)
        self.rows.index_add_(0, index, statistics.to(self.rows.device))

    @property
    def _kept(self) -> int:
        return 0 if self.rows is None else len(self.rows)

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


def lead_mean(values: Float64[Tensor, "*draws K"], sums: Float64[Tensor, "*draws K S"]) -> Float64[Tensor, "*draws"]:
    """Mean of closed scores over the lead times where they are defined; NaN where a sum is NaN, or none is defined."""
    undefined = values.isnan() & ~sums.isnan().any(dim=-1)
    return torch.where(undefined, 0.0, values).sum(dim=-1) / (~undefined).sum(dim=-1)
