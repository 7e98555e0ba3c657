"""Forecasts of batches of tensors in which whole frames are absent: each row's gaps are filled before it is forecast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from framecast.errors import InputError
from framecast.forecasting.filling.context_source import FrameWindow
from framecast.forecasting.predictor import PastFrames


class FilledPrediction(NamedTuple):
    """Predicted frames, and what was filled for them."""

    predicted: Tensor
    """(B, K, targets, H, W), of members (B, M, K, targets, H, W), raw units."""
    notes: tuple[str, ...]


def predict_filled(
    predictor: Any, past: PastFrames, horizon: int, covariates: Any, options: Mapping[str, Any], max_filled: int
) -> FilledPrediction:
    """Predict from a batch whose frames may be absent, which is: missing as a whole.

    Args:
        predictor: its `predict_batch` predicts.
        past: frames, mask, times and grid.
        horizon: K.
        covariates: of context and forecast, or None.
        options: further keywords of `predict_batch`.
        max_filled: absent frames to fill in each row, those after its newest among them; 0 to take them as they are.

    Raises:
        InputError: absent frames of a model with covariates, or along a motion that is given; more absent frames after
            the newest than may be filled; a row without any frame.
    """
    present = None if past.valid is None else past.valid.flatten(2).any(-1).cpu().numpy()
    if not max_filled or present is None or present.all():
        return FilledPrediction(predictor.predict_batch(past.frames, horizon, past.valid, covariates, **options), ())
    if past.spec.past or covariates is not None or options.get("motion") is not None:
        expected = "none beside covariates, channels of the past or motion"
        raise InputError("max_filled", got="absent frames", expected=expected, fix="give frames without gaps")
    rows = [_predict_row(predictor, past, row, seen, horizon, options, max_filled) for row, seen in enumerate(present)]
    notes = dict.fromkeys(note for _, row_notes in rows for note in row_notes)
    return FilledPrediction(torch.cat([predicted for predicted, _ in rows]), tuple(notes))


def _predict_row(
    predictor: Any,
    past: PastFrames,
    number: int,
    seen: Any,
    horizon: int,
    options: Mapping[str, Any],
    max_filled: int,
) -> tuple[Tensor, tuple[str, ...]]:
    """Predict one row, (1, [M,] K, targets, H, W): what is absent after its newest frame is forecast and left out."""
    from framecast.forecasting.filling.fill import fill_absent  # it needs the whole of forecasting

    if not seen.any():
        raise InputError("frames", got="a sequence without a valid pixel", expected="at least one frame of each")
    newest = int(np.flatnonzero(seen)[-1])
    late = len(seen) - 1 - newest
    if late > max_filled:
        fix = "give newer frames, or a larger max_filled"
        raise InputError("frames", got=f"{late} absent frames at the end", expected=f"at most {max_filled}", fix=fix)
    values, mask = past.frames[number, : newest + 1], cast(Tensor, past.valid)[number, : newest + 1]
    frames = torch.where(mask, values.float(), torch.nan).cpu().numpy()
    spec = past.spec.model_copy(update={"height": frames.shape[-2], "width": frames.shape[-1]})
    times = None if past.times is None else past.times[number, : newest + 1]
    slots = [frame if is_there else None for frame, is_there in zip(frames, seen, strict=False)]
    window = FrameWindow(slots, spec, times, past.grid)
    whole = fill_absent(predictor, window, max_filled=max_filled - late, context=newest + 1)
    read = whole.source.read(whole.source.latest[0], 0, whole.source.lengths[0])
    valid = None if read.valid is None else torch.from_numpy(read.valid)[None]
    given = torch.from_numpy(np.nan_to_num(read.frames))[None].to(past.frames.device)
    predicted = predictor.predict_batch(given, horizon + late, valid, None, **options)
    return predicted[..., late:, :, :, :], whole.notes
