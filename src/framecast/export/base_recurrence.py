"""Bases as a recurrence without branches: what a base remembers is zeros at first, and each step gives one lead time.

The formulas are those of the bases themselves; here stand only their state, in tensors of one size, and the lead time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from framecast.bases import BaseEncoder, BaseFields, Fitted
from framecast.bases.base import Base, RunningMean, all_known
from framecast.bases.constant import HISTORY, ContextMean, History, LastFrame, list_differences, smooth_trends
from framecast.bases.extrapolation import AdvectedFrame, Track, find_growth
from framecast.bases.seasonal import LastPeriod, Season
from framecast.errors import UsageError
from framecast.export.state_layout import Multiple, StateTensor
from framecast.forecasting.forecaster import Forecaster
from framecast.motion import TRACKED_FRAMES, step_back
from framecast.nn.base_head import BaseStep

MEMORY = ("frames", "seen", "mean", "observed", "count", "lead")
"""Names of what each base remembers: last frames, their masks, their mean, numbers of frames and of steps ahead."""
MOVING = ("motion", "displacement", "increment", "growth")
"""Names of what a base remembers that moves frames."""


class BaseRecurrence:
    """Recurrence of a base and its encoding.

    Args:
        encoder: of the base.
        pace: time between frames, steps of the training.
    """

    def __init__(self, encoder: BaseEncoder, pace: float) -> None:
        self.encoder, self.pace, base = encoder, pace, encoder.base
        self.fitted = base if isinstance(base, Fitted) else None
        self.base: Base = base.inner if isinstance(base, Fitted) else base
        self.tracks = base.tracks
        self.kept = max(self.base.period, HISTORY) + 1 if isinstance(self.base, LastPeriod) else HISTORY + 1
        assert TRACKED_FRAMES == HISTORY + 1

    def describe(self, height: Multiple, width: Multiple) -> list[StateTensor]:
        """Describe the state, for frames of some height and width."""
        frame = (self.encoder.channels, height, width)
        frames, number = (self.kept, *frame), (1, 1, 1)
        sizes = [frames, frames, frame, frame, number, number]
        named = list(zip(MEMORY, sizes, strict=True))
        if self.tracks:
            vectors = (2, height, width)
            named += zip(MOVING, (vectors, vectors, vectors, (self.base.changes, *frame)), strict=True)
        return [StateTensor(f"base_{name}", size) for name, size in named]

    def advance(
        self, frame: Tensor, seen: Tensor, known: Tensor, motion: Tensor | None, state: Sequence[Tensor]
    ) -> tuple[BaseStep, list[Tensor]]:
        """Observe a frame, if there is one, and forecast the next step.

        Args:
            frame: (B, C, H, W), network units, missing pixels filled.
            seen: (B, C, H, W), False where missing.
            known: (B,), whether there is a frame.
            motion: (B, 2, H, W), at the frame, for a base that moves frames.
            state: after the step before.
        """
        given = known[:, None, None, None]
        frames = torch.where(given[:, None], torch.cat([state[0][:, 1:], frame[:, None]], 1), state[0])
        masks = torch.where(given[:, None], torch.cat([state[1][:, 1:], seen[:, None].float()], 1), state[1])
        count, lead = state[4] + given, torch.where(given, 1.0, state[5] + 1)
        updated = RunningMean.update(RunningMean(state[2], state[3]), frame, seen)
        first = torch.where(state[4] > 0, updated.mean, frame)
        mean = RunningMean(torch.where(given, first, state[2]), torch.where(given, updated.observed, state[3]))
        after = [frames, masks, *mean, count, lead]
        images, observed = frames.unbind(1), tuple(mask > 0 for mask in masks.unbind(1))
        if isinstance(self.base, AdvectedFrame):
            assert motion is not None
            moving = self._move_on(Track(images, observed, motion, mean), given, state[len(after) :])
            fields, after = moving[0], [*after, *moving[1]]
        elif isinstance(self.base, LastPeriod):
            fields = self._repeat_period(Season(images, observed, mean), count, lead)
        else:
            fields = next(self.base.look_ahead(History(images, observed, mean)))
        constant = fields.changes.shape[1] - 3  # the last three are rates
        changes = torch.cat([fields.changes[:, :constant], fields.changes[:, constant:] * lead[:, None]], 1)
        pace = frame.new_full((frame.shape[0],), self.pace)
        fields, time = self._correct(fields._replace(changes=changes), lead.flatten() * pace), lead.flatten()
        return self.encoder.encode(fields, time, pace), after

    def _correct(self, fields: BaseFields, time: Tensor) -> BaseFields:
        """Correct the fields by a fitted base, if it is one."""
        return fields if self.fitted is None else self.fitted.correct(fields, time)

    def _move_on(self, track: Track, given: Tensor, before: Sequence[Tensor]) -> tuple[BaseFields, list[Tensor]]:
        """Move the last frame one step further."""
        assert isinstance(self.base, AdvectedFrame)
        assert track.motion is not None
        motion = torch.where(given, track.motion, before[0])
        start = torch.where(given, 0, before[1]), torch.where(given, motion, before[2])
        path, displacement, increment = step_back(motion, *start)
        paths, further = [path], (displacement, increment)
        for _ in track.frames[2:]:
            earlier, *after = step_back(motion, *further)
            paths.append(earlier)
            further = after[0], after[1]
        growth = torch.where(given[:, None], find_growth(track, paths), before[3])
        last = track.frames[-1]
        seen = track.seen[-1].all(1, keepdim=True).to(last.dtype)
        fields = self.base.move(last, seen, track.mean.mean, growth, path, 1)
        return fields, [motion, displacement, increment, growth]

    def _repeat_period(self, season: Season, count: Tensor, lead: Tensor) -> BaseFields:
        """Look up the values one period before what is predicted; all sequences have as many frames."""
        assert isinstance(self.base, LastPeriod)
        period, last = self.base.period, season.frames[-1]
        frames, seen = torch.stack(season.frames, 1), torch.stack(season.seen, 1)
        number, step = count[0].flatten().long(), lead[0].flatten().long()

        def look_up(back: Tensor) -> tuple[Tensor, Tensor]:
            return frames.index_select(1, self.kept - back)[:, 0], seen.index_select(1, self.kept - back)[:, 0]

        def change_since(back: Tensor) -> Tensor:
            earlier, mask = look_up(back)
            return torch.where(season.seen[-1] & mask, last - earlier, 0)

        back = period - (step - 1) % period
        back = torch.where(back <= number, back, 1)
        since = torch.where(number >= period, number.clamp_max(period + 1), 1)
        trends = smooth_trends(list_differences(season.frames[-HISTORY - 1 :], season.seen[-HISTORY - 1 :]), last)
        values, mask = look_up(back)
        earlier = torch.where(mask, values, last)
        changes = torch.cat([torch.stack([change_since(back), change_since(since)], 1), trends], 1)
        return BaseFields(earlier, all_known(last), season.mean.mean, changes, earlier)


def make_recurrence(forecaster: Forecaster) -> BaseRecurrence | None:
    """Make the recurrence of a forecaster's base; None without one.

    Raises:
        UsageError: a base of another kind.
    """
    if forecaster.base is None:
        return None
    recurrence = BaseRecurrence(forecaster.base, forecaster.pace)
    if type(recurrence.base) not in (LastFrame, ContextMean, LastPeriod, AdvectedFrame):
        raise UsageError("export", got=f"the base {forecaster.base_config.kind}", expected="one of framecast's own")
    return recurrence
