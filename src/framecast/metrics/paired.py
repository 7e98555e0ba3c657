"""Trainings that differ in their seed as one entry, and differences between entries on the same sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from framecast.metrics.aggregation import Scores
from framecast.metrics.bootstrap import Block, Resampled, resample
from framecast.metrics.summary import Estimate, estimate

Entries = Mapping[str, Sequence[Scores]]
"""Scores of each training of an entry, all of the same metrics on the same sequences, made with `keep`."""


class Paired:
    """Scores of entries, each the mean over its trainings, resampled together.

    Every draw takes the same sequences for all, so a difference does not scatter with how hard they are. Intervals are
    over sequences: how far trainings of one entry lie apart is `spread`.

    Args:
        entries: by name.
        block: which sequences are drawn together, see `resample`.
        seed: of the draws.

    Raises:
        UsageError: nothing was kept.
    """

    def __init__(self, entries: Entries, *, block: Block = 1, seed: int = 0) -> None:
        self.entries = entries
        self._drawn = {
            name: [resample(one, block=block, seed=seed) for one in members] for name, members in entries.items()
        }

    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """{entry: {metric: mean over its trainings}}."""
        return {
            name: {metric: estimate(*self._of(name, metric)) for metric in members[0].names}
            for name, members in self.entries.items()
        }

    def differences(self, reference: str) -> dict[str, dict[str, Estimate]]:
        """{other entry: {metric: its score less that of `reference`}}, with intervals of the paired draws."""
        return {
            name: {
                metric: _difference(self._of(name, metric), self._of(reference, metric)) for metric in members[0].names
            }
            for name, members in self.entries.items()
            if name != reference
        }

    def spread(self) -> dict[str, dict[str, tuple[float, float]]]:
        """{entry: {metric: smallest and largest mean of its trainings}}."""
        found = {}
        for name, members in self.entries.items():
            means = [one.mean() for one in members]
            found[name] = {
                metric: (min(one[metric] for one in means), max(one[metric] for one in means)) for metric in means[0]
            }
        return found

    def _of(self, name: str, metric: str) -> _Score:
        """Means over the trainings of an entry."""
        members, drawn = self.entries[name], self._drawn[name]
        return _Score(
            torch.tensor([one.by_lead()[metric] for one in members], dtype=torch.float64).mean(0),
            torch.tensor([one.mean()[metric] for one in members], dtype=torch.float64).mean(0),
            Resampled(
                torch.stack([one[metric].by_lead for one in drawn]).mean(0),
                torch.stack([one[metric].mean for one in drawn]).mean(0),
            ),
        )


class _Score(NamedTuple):
    by_lead: Tensor
    mean: Tensor
    resampled: Resampled


def _difference(ours: _Score, theirs: _Score) -> Estimate:
    resampled = (a - b for a, b in zip(ours.resampled, theirs.resampled, strict=True))
    return estimate(ours.by_lead - theirs.by_lead, ours.mean - theirs.mean, Resampled(*resampled))
