"""Work: what a request asks of the model, alone or beside others in one batch. A batch changes no bit of a forecast."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framecast.errors import InputError
from framecast.forecast import Forecast
from framecast.forecasting.baselines import make_baseline
from framecast.forecasting.filling.forecast_file import forecast_opened, open_file
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predictor import PastFrames
from framecast.forecasting.validation import as_frames, as_tensor
from framecast.formatting import format_bytes
from framecast.serving.bodies import ArrayBody, FileBody
from framecast.serving.limits import Refusal, RequestMemory, ServiceLimits
from framecast.serving.model import ServedModel

DIMS = {3: "thw", 4: "tchw", 5: "ntchw"}
"""Axes of an array, by their number."""


@dataclass(frozen=True, eq=False)
class ArrayWork:
    """Forecast of frames that came as an array; those of one key can be computed together."""

    body: ArrayBody
    horizon: str | None
    limits: ServiceLimits
    memory: RequestMemory

    @property
    def key(self) -> Hashable:
        """Shape, dtype, horizon, and which arrays there are."""
        body = self.body
        return body.frames.shape, body.frames.dtype.str, body.valid is None, body.covariates is None, self.horizon

    @property
    def sequences(self) -> int:
        """Number of sequences."""
        return len(self.body.frames) if self.body.frames.ndim == 5 else 1

    def prepare(self, served: ServedModel) -> ArrayTask:
        """Bring the frames into (B, J, C, H, W), and check what they ask for.

        Raises:
            InputError: other axes or channels.
            UsageError: no such horizon.
            Refusal: too much for the service.
        """
        body = self.body
        frames, valid = as_frames(body.frames, body.valid)
        axes, channels = frames.ndim, _find_channels(served, frames)
        if axes not in DIMS or (axes > 3 and frames.shape[-3] != channels) or (axes == 3 and channels != 1):
            expected = f"(B, J, C, H, W) or (J, C, H, W) with C = {channels}{' or (J, H, W)' if channels == 1 else ''}"
            raise InputError("frames", got=f"shape {tuple(frames.shape)}", expected=expected)
        covariates = None if body.covariates is None else as_tensor(body.covariates, "covariates")
        if axes == 3:
            frames, valid = frames[:, None], None if valid is None else valid[:, None]
        if axes < 5:
            frames, valid = frames[None], None if valid is None else valid[None]
            covariates = covariates if covariates is None or covariates.ndim == 5 else covariates[None]
        horizon = served.count_horizon(self.horizon)
        sizes = (frames.shape[1], horizon, *frames.shape[2:])
        each = check_sizes(served, sizes, self.limits)
        self.memory.take(12 * len(frames) * horizon * int(np.prod(frames.shape[2:])))
        return ArrayTask(frames, valid, covariates, horizon, DIMS[axes], each)


@dataclass(frozen=True, eq=False)
class ArrayTask:
    """Frames of a request as a batch of their own."""

    frames: Tensor
    """(B, J, C, H, W)"""
    valid: Tensor | None
    covariates: Tensor | None
    horizon: int
    dims: str
    bytes_each: int
    """Bytes that a sequence takes while it is computed."""

    def forecast(self, served: ServedModel) -> Forecast:
        """Forecast these frames alone."""
        return self.split(served, [self], _predict(served, [self]))[0]

    def split(self, served: ServedModel, tasks: Sequence[ArrayTask], predicted: Tensor) -> list[Forecast]:
        """Split what was predicted for tasks of one shape."""
        spec = served.make_predictor(*self.frames.shape[2:]).spec
        spec = spec.model_copy(update={"height": self.frames.shape[-2], "width": self.frames.shape[-1]})
        origin = served.make_predictor(*self.frames.shape[2:]).origin
        parts = predicted.split([len(task.frames) for task in tasks])
        return [
            replace(PastFrames(task.frames, spec, task.valid).make_forecast(part, origin), dims=task.dims)
            for task, part in zip(tasks, parts, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class FileWork:
    """Forecast of frames that came as a file; each is computed alone."""

    body: FileBody
    horizon: str | None
    limits: ServiceLimits
    memory: RequestMemory
    key: Hashable = field(default_factory=object)
    sequences: int = 1

    def forecast(self, served: ServedModel) -> Forecast:
        """Forecast what follows the newest frames of the file.

        Raises:
            InputError: a file that cannot be read, or frames that do not fit the model.
            UsageError: no such horizon.
            Refusal: too much for the service.
        """
        predictor = served.make_predictor(1, 1, 1)
        fields = {"unpack_limit": self.limits.memory // 4}
        opened = open_file(predictor, str(self.body.path), fields)
        if isinstance(served.model, str):
            opened = opened._replace(predictor=make_baseline(served.model, opened.source.spec))
        spec, source = opened.source.spec, opened.source
        horizon = served.count_horizon(self.horizon, spec.step_minutes)
        context = max(source.lengths[number] for number in source.latest)
        context = min(context, getattr(opened.predictor, "context", None) or context)
        sizes = (context, horizon, spec.channels, spec.height, spec.width)
        check_sizes(served, sizes, self.limits)
        self.memory.take(12 * len(source.latest) * (context + horizon) * spec.channels * spec.height * spec.width)
        return forecast_opened(opened, horizon)


Work = ArrayWork | FileWork


def check_sizes(served: ServedModel, sizes: tuple[int, int, int, int, int], limits: ServiceLimits) -> int:
    """Check the sizes of a forecast: context, horizon, channels, height, width; return its bytes while computed.

    Raises:
        Refusal: more than the limits allow.
    """
    context, horizon = sizes[:2]
    for name, count, most in (("frames", context, limits.frames), ("horizon", horizon, limits.horizon)):
        if count > most:
            raise Refusal(413, f"{name}: got {count}, expected at most {most}")
    need = served.estimate_bytes(*sizes)
    if need > limits.memory:
        rows, columns = sizes[-2:]
        got = f"{rows}x{columns} pixels, whose forecast takes about {format_bytes(need)}"
        raise Refusal(413, f"frames: got {got}, expected at most {format_bytes(limits.memory)}; cut or shrink them")
    return need


class BatchRunner:
    """Computes works of one key, together where that changes no bit.

    Whether it does is found out once for each shape and size of a batch, by computing it both ways: sums may be ordered
    in another way for another size, and a forecast must not depend on who else asks.
    """

    def __init__(self) -> None:
        self._equal: dict[Hashable, bool] = {}

    def run(self, served: ServedModel, works: Sequence[Work]) -> list[Forecast | Exception]:
        """Forecast each work, or say why it cannot be; no work's fault is another's."""
        tasks: list[ArrayTask | Exception] = []
        results: list[Forecast | Exception] = []
        for work in works:
            if isinstance(work, FileWork):
                results.append(attempt(work.forecast, served))
            else:
                tasks.append(attempt(work.prepare, served))
        good = [task for task in tasks if isinstance(task, ArrayTask)]
        most = max(1, works[0].limits.memory // max((task.bytes_each * len(task.frames) for task in good), default=1))
        done = iter([result for piece in _cut(good, most) for result in self._run_tasks(served, works[0].key, piece)])
        results += [task if isinstance(task, Exception) else next(done) for task in tasks]
        return results

    def _run_tasks(self, served: ServedModel, key: Hashable, tasks: list[ArrayTask]) -> list[Forecast | Exception]:
        case = (id(served), key, len(tasks))
        if len(tasks) == 1 or self._equal.get(case) is False:
            return [attempt(task.forecast, served) for task in tasks]
        together: list[Forecast] | Exception
        together = attempt(lambda model: tasks[0].split(model, tasks, _predict(model, tasks)), served)
        if isinstance(together, list) and self._equal.get(case):
            return list(together)
        alone = [attempt(task.forecast, served) for task in tasks]
        if isinstance(together, list):
            self._equal[case] = all(_equals(one, other) for one, other in zip(together, alone, strict=True))
        return alone


def _cut(tasks: list[ArrayTask], most: int) -> Iterator[list[ArrayTask]]:
    """Cut tasks into batches of 1, 2, 4, ... up to `most`, so that there are few sizes to be compared."""
    at = 0
    while at < len(tasks):
        size = 1 << (min(most, len(tasks) - at).bit_length() - 1)
        yield tasks[at : at + size]
        at += size


def attempt(compute: Any, served: ServedModel) -> Any:
    """Compute, or return the exception."""
    try:
        return compute(served)
    except Exception as error:  # noqa: BLE001  the thread outlives any request, which gets the error
        return error


def _predict(served: ServedModel, tasks: Sequence[ArrayTask]) -> Tensor:
    """Predict (B, K, targets, H, W) of the sequences of all tasks."""
    frames = torch.cat([task.frames for task in tasks])
    masks = [task.valid for task in tasks if task.valid is not None]
    valid = torch.cat(masks) if masks else None
    known = [task.covariates for task in tasks if task.covariates is not None]
    predictor = served.make_predictor(*frames.shape[2:])
    predicted: Tensor = predictor.predict_batch(frames, tasks[0].horizon, valid, torch.cat(known) if known else None)
    return predicted


def _find_channels(served: ServedModel, frames: Tensor) -> int:
    """Find the channels that frames must have: those of the network; for a baseline those that they have."""
    if isinstance(served.model, Forecaster):
        return served.model.spec.channels
    return int(frames.shape[-3]) if frames.ndim > 3 else 1


def _equals(one: Forecast, other: Any) -> bool:
    return isinstance(other, Forecast) and np.array_equal(one.values, other.values, equal_nan=True)
