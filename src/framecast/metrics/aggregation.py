"""Scores of a whole data set: statistics of its batches added up in constant memory, then closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.devices import choose_float64_device, to_device
from framecast.errors import InputError, UsageError
from framecast.formatting import describe_object, format_number, make_html, make_html_table
from framecast.metrics.base import Metric
from framecast.metrics.reductions import count_observed

REDUCED = 4096
"""Sequences whose statistics are summed over the processes at a time."""


class Scores:
    """Scores by lead time over all batches that were given to `update`.

    Statistics are computed where the prediction lies; only their sums are kept. Splitting the data over batches or
    processes in another way gives the same sums, up to the rounding of float64. With `keep`, the statistics of each
    sequence are kept too, from which `resample` gives intervals; sums are then formed in the order of the sequences, so
    that dividing them among processes changes no bit.

    Args:
        metrics: to score by; names must differ.
        horizon: K, number of lead times.
        device: of the sums, and so of the tensors that `reduce` hands over; default the CPU. On devices that have no
            float64 (mps) the CPU takes over.
        keep: number of sequences of all processes together, to keep the statistics of each, K x (2 + all S) numbers per
            sequence; 0 for sums only.

    Attributes:
        members: M, the most members of a prediction that was given to `update` here; 1 for single forecasts.

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
        device = choose_float64_device(device or "cpu")
        self._sums = torch.zeros(shape, dtype=torch.float64, device=device)
        self._kept, self._next = keep, 0
        self._parts: list[tuple[Tensor, Tensor]] = []  # positions and statistics of the sequences that were scored here
        self.members = 1

    @classmethod
    def from_rows(cls, metrics: Sequence[Metric], horizon: int, rows: Float64[Tensor, "N K S"]) -> Scores:
        """Make scores of statistics that were kept, a row for each sequence, or for several that are drawn together.

        Args:
            metrics: in the order of the columns.
            horizon: K.
            rows: (N, K, 2 + all S), as `Scores.rows`, N >= 1.

        Raises:
            UsageError: statistics of other metrics or lead times.
        """
        scores = cls(metrics, horizon, rows.device, keep=len(rows))
        if rows.shape != (expected := (len(rows), *scores._sums.shape)):
            raise UsageError("kept statistics", got=tuple(rows.shape), expected=expected)
        scores._set_rows(rows)
        return scores

    def __repr__(self) -> str:
        means = [(name, format_number(value)) for name, value in self.mean().items()]
        return describe_object("Scores", [*means, ("sequences", str(self.samples)), ("lead times", str(self.horizon))])

    def _repr_html_(self) -> str:
        leads = [str(lead + 1) for lead in range(self.horizon)]
        rows = [[name, *map(format_number, values)] for name, values in self.by_lead().items()]
        return make_html("Scores by lead time", [("sequences", str(self.samples))], make_html_table(["", *leads], rows))

    @property
    def rows(self) -> Float64[Tensor, "N K S"] | None:
        """(keep, K, 2 + all S), the columns of `sums` for each sequence, 0 where not scored here; None without `keep`.

        They take memory for all sequences of all processes from the first time on that they are asked for.
        """
        if not self._kept:
            return None
        if len(self._parts) != 1 or len(self._parts[0][0]) != self._kept:
            self._set_rows(self._spread(0, self._kept))
        return self._parts[0][1]

    def _spread(self, first: int, last: int) -> Tensor:
        """Spread the statistics that were kept over the rows from `first` up to `last`."""
        with torch.inference_mode(mode=False):  # a tensor made in that mode could not be added to outside of it
            rows = torch.zeros(last - first, *self._sums.shape, dtype=torch.float64, device=self._sums.device)
            for positions, statistics in self._parts:
                inside = (first <= positions) & (positions < last)
                rows.index_add_(0, positions[inside] - first, statistics[inside])
        return rows

    def _set_rows(self, rows: Tensor) -> None:
        self._parts, self._next = [(torch.arange(len(rows), device=rows.device), rows)], len(rows)

    @property
    def sums(self) -> Float64[Tensor, "K S"]:
        """(K, 2 + all S): number of sequences, of observed pixels, then the sums of each metric in turn."""
        rows = self.rows
        return self._sums if rows is None else rows.sum(dim=0)

    @property
    def samples(self) -> int:
        """Number of scored sequences."""
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
            prediction: (B, K, C, H, W), or with members (B, M, K, C, H, W), scaled so that the value range is [0, 1];
                not clipped.
            truth: (B, K, C, H, W), scaled likewise, not clipped; missing pixels may hold NaN.
            valid: (B, K, C, H, W) bool, True where observed; None where nothing is missing.
            positions: row of each sequence among all `keep`, 0 first; by default the next ones.

        Raises:
            InputError: if shapes or dtypes do not fit together, or the frames are too small for a metric.
            UsageError: a position outside of `keep`.
        """
        members = prediction if prediction.ndim == 6 else prediction[:, None]
        self._check_shapes(members, truth, valid)
        device = choose_float64_device(prediction.device)
        members, truth = members.detach().to(device), truth.detach().to(device)
        self.members = max(self.members, members.shape[1])
        prediction = members[:, 0] if members.shape[1] == 1 else members.mean(1)
        valid = None if valid is None else valid.to(device)
        count = torch.full((len(prediction), self.horizon, 1), 1.0, dtype=torch.float64, device=device)
        parts = [count, count_observed(truth, valid)[..., None]]
        by_key: dict[str, Tensor] = {}
        clipped = truth.clamp(0, 1)
        for metric in self.metrics:
            key = metric.shared or metric.name
            if key not in by_key:
                forecast = members if metric.of_members else prediction
                by_key[key] = metric.statistics(forecast, truth if metric.beyond_range else clipped, valid)
            part = by_key[key]
            if part.shape != (len(prediction), self.horizon, metric.size):
                expected = f"(B, K, S) = {(len(prediction), self.horizon, metric.size)}"
                raise UsageError(f"statistics of metric {metric.name}", got=tuple(part.shape), expected=expected)
            parts.append(part)
        self._add_rows(torch.cat(parts, dim=-1), positions)

    def select(self, names: Sequence[str]) -> Scores:
        """Copy the statistics of some metrics only.

        Args:
            names: of metrics.
        """
        chosen = [metric for metric in self.metrics if metric.name in names]
        selected = Scores(chosen, self.horizon, self._sums.device, keep=self._kept)
        ends = [2]
        for metric in self.metrics:
            ends.append(ends[-1] + metric.size)
        columns = [0, 1]
        for metric, first, last in zip(self.metrics, ends, ends[1:], strict=False):
            columns += list(range(first, last)) if metric in chosen else []
        selected._sums = self._sums[:, columns]
        selected._parts = [(positions, rows[..., columns]) for positions, rows in self._parts]
        selected._next, selected.members = self._next, self.members
        return selected

    def merge(self, other: Scores) -> None:
        """Add the sums, or rows, of other Scores of equal metrics and horizon.

        Raises:
            UsageError: if metrics, horizon or the number of rows differ.
        """
        mine, others = (self.names, self.horizon, self._kept), (other.names, other.horizon, other._kept)
        if mine != others:
            raise UsageError("scores to merge", got=f"metrics, horizon, kept {others}", expected=mine)
        device = self._sums.device
        self._parts += [(positions.to(device), rows.to(device)) for positions, rows in other._parts]
        self._sums = self._sums + other._sums.to(self._sums.device)
        self.members = max(self.members, other.members)

    def reduce(self, all_reduce: Callable[[Tensor], Tensor]) -> None:
        """Add up the sums, or the kept rows, of all processes, once, after the last update.

        Args:
            all_reduce: sums (does not average) a tensor over the processes, as
                `lambda sums: fabric.all_reduce(sums, reduce_op="sum")` does.
        """
        device = self._sums.device
        if not self._kept:
            self._sums = all_reduce(self._sums).to(device)
            return
        # a sequence is in one process and zero in the others, so this sum is exact
        ends = range(0, self._kept, REDUCED)
        self._set_rows(
            torch.cat([all_reduce(self._spread(at, min(at + REDUCED, self._kept))).to(device) for at in ends])
        )

    def by_lead(self) -> dict[str, list[float]]:
        """Score of each metric at lead times 1..K; NaN where undefined (0/0)."""
        return {metric.name: metric.close(sums).tolist() for metric, sums in self.by_metric()}

    def mean(self) -> dict[str, float]:
        """Mean of each metric over lead times, of its closed values: of K roots for rmse, of K ratios for csi.

        Lead times where a metric is undefined (0/0) are left out; where it is undefined at all of them, the mean is NaN.
        So it is if a prediction held NaN on an observed pixel: that is not undefined but wrong.
        """
        return {metric.name: float(lead_mean(metric.close(sums), sums)) for metric, sums in self.by_metric()}

    def counts(self) -> dict[str, dict[str, list[float]]]:
        """Sums by lead time of the named parts, such as hits, of each metric that has them."""
        return {
            metric.name: {part: sums[:, i].tolist() for i, part in enumerate(metric.parts)}
            for metric, sums in self.by_metric()
            if metric.parts
        }

    def by_sequence(self) -> Iterator[tuple[Metric, Tensor]]:
        """Each metric with its statistics of single sequences, (keep, K, S) on the CPU.

        Raises:
            UsageError: made without `keep`.
        """
        rows = self.rows
        if rows is None:
            raise UsageError("statistics of each sequence", got="sums only", expected="scores made with keep=")
        return self._split_metrics(rows)

    def by_metric(self) -> Iterator[tuple[Metric, Tensor]]:
        """Each metric with its sums over all sequences, (K, S) on the CPU."""
        return self._split_metrics(self.sums)

    def _split_metrics(self, columns: Tensor) -> Iterator[tuple[Metric, Tensor]]:
        parts = columns[..., 2:].cpu().split([metric.size for metric in self.metrics], dim=-1)
        return zip(self.metrics, parts, strict=True)

    def _add_rows(self, statistics: Tensor, positions: Sequence[int] | None) -> None:
        first, self._next = self._next, self._next + len(statistics)
        if not self._kept:
            # A new tensor, not in place: the sums may have been made under inference_mode and be added to outside.
            self._sums = self._sums + statistics.sum(dim=0).to(self._sums.device)
            return
        index = list(range(first, self._next)) if positions is None else list(positions)
        if len(index) != len(statistics) or not all(0 <= i < self._kept for i in index):
            expected = f"{len(statistics)} positions from 0 to {self._kept - 1}"
            raise UsageError("sequences to keep", got=f"positions {index}", expected=expected)
        device = self._sums.device
        self._parts.append((to_device(torch.tensor(index), device), statistics.to(device)))

    def _check_shapes(self, prediction: Tensor, truth: Tensor, valid: Tensor | None) -> None:
        shape = (*prediction.shape[:1], *prediction.shape[2:])
        if len(shape) != 5 or shape[1] != self.horizon or not prediction.shape[1]:
            expected = f"(B, {self.horizon}, C, H, W), or with members (B, M, {self.horizon}, C, H, W)"
            raise InputError("shape of the prediction", got=shape, expected=expected)
        if tuple(truth.shape) != shape:
            raise InputError("shape of the truth", got=tuple(truth.shape), expected=f"{shape}, as the prediction")
        for what, values in (("prediction", prediction), ("truth", truth)):
            if not values.is_floating_point():
                raise InputError(f"dtype of the {what}", got=values.dtype, expected="floats on the scaled range")
        if valid is not None and (tuple(valid.shape) != shape or valid.dtype != torch.bool):
            raise InputError("valid", got=f"{valid.dtype} {tuple(valid.shape)}", expected=f"torch.bool {shape}")


def lead_mean(values: Float64[Tensor, "*draws K"], sums: Float64[Tensor, "*draws K S"]) -> Float64[Tensor, "*draws"]:
    """Mean of closed scores over the lead times where they are defined; NaN where a sum is NaN, or none is defined."""
    undefined = values.isnan() & ~sums.isnan().any(dim=-1)
    return torch.where(undefined, 0.0, values).sum(dim=-1) / (~undefined).sum(dim=-1)
