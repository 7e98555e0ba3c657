"""Absent frames of a context: filled as a rollout fills steps that are not known, whatever the frames come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError
from framecast.forecasting.baselines import Extrapolation, Persistence, Seasonal
from framecast.forecasting.filling.context_source import FrameWindow
from framecast.forecasting.filling.fill import fill_absent
from framecast.forecasting.filling.forecast_file import forecast_file
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import MemoryLimits
from framecast.forecasting.predict import forecast_source
from framecast.models import ConvLSTM, PredRNN
from framecast.nn.rollout import rollout
from framecast.transforms.normalize import Range
from framecast.types import Channel, FrameSpec

SPEC = FrameSpec(channels=1, height=16, width=16, low=0, high=1, step_minutes=5)
START = np.datetime64("2016-09-28T15:00:00", "ms")
TIMES = START + np.arange(10) * np.timedelta64(5, "m")


def forecaster(model=ConvLSTM, **said: object) -> Forecaster:
    torch.manual_seed(0)
    spec = said.pop("spec", SPEC)
    return Forecaster(model(hidden=(3,), kernel_size=3), spec, Range(low=0, high=1), 2, context=6, **said).eval()


def frames(count: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1, 16, 16)).astype(np.float32)


def window(values: np.ndarray, *absent: int, spec: FrameSpec = SPEC) -> FrameWindow:
    return FrameWindow([None if n in absent else f for n, f in enumerate(values)], spec, TIMES[: len(values)])


def forecast_filled(predictor, source, horizon: int, **said: object) -> np.ndarray:
    whole = fill_absent(predictor, source, **said)
    return forecast_source(predictor, whole.source, horizon).values[0, 0]


@pytest.mark.parametrize("model", [ConvLSTM, PredRNN])
@pytest.mark.parametrize("absent", [(4,), (2, 3), (1, 3, 4)])
def test_is_a_rollout_in_which_those_steps_are_not_known(model, absent: tuple[int, ...]) -> None:
    predictor, values = forecaster(model), frames()
    known = torch.ones(1, 8, dtype=torch.bool)
    known[0, 6:] = False
    known[0, list(absent)] = False
    with torch.inference_mode():
        patches = predictor.encode(torch.from_numpy(values)[None], None)
        rolled = predictor.decode(rollout(predictor.network, patches, 8, known).frames[:, -3:], (16, 16))
    filled = forecast_filled(predictor, window(values, *absent), 3)
    np.testing.assert_allclose(filled, rolled[0].numpy(), atol=1e-6)
    assert np.abs(filled - predictor.predict(values, 3)).max() > 1e-4, "the absent frame is not used"


def test_frames_that_are_all_there_are_left_alone() -> None:
    predictor, values = forecaster(), frames()
    source = window(values)
    assert fill_absent(predictor, source).source is source
    np.testing.assert_array_equal(forecast_filled(predictor, source, 2), predictor.predict(values, 2))


def test_absent_frames_at_the_beginning_make_the_context_shorter() -> None:
    predictor, values = forecaster(), frames()
    filled = forecast_filled(predictor, window(values, 0, 1), 2)
    np.testing.assert_allclose(filled, predictor.predict(values[2:], 2), atol=1e-6)


def test_more_than_may_be_filled_cut_the_context() -> None:
    predictor, values = forecaster(), frames()
    cut = forecast_filled(predictor, window(values, 2, 3), 2, max_filled=1)
    np.testing.assert_allclose(cut, predictor.predict(values[4:], 2), atol=1e-6)
    part = forecast_filled(predictor, window(values, 1, 2, 4), 2, max_filled=1)
    np.testing.assert_allclose(part, forecast_filled(predictor, window(values[3:], 1), 2), atol=1e-6)


def test_a_gap_between_files_is_filled(tmp_path: Path) -> None:
    from PIL import Image

    values = (frames(8) * 255).astype(np.uint8)
    for number in (0, 1, 2, 3, 4, 6, 7):
        Image.fromarray(values[number, 0]).save(tmp_path / f"{TIMES[number].item():%Y%m%d%H%M}.png")
    spec = SPEC.model_copy(update={"high": 255.0})
    torch.manual_seed(0)
    predictor = Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), spec, Range(low=0, high=255), 2, context=6).eval()
    forecast = forecast_file(predictor, str(tmp_path), 2)
    expected = forecast_filled(predictor, window(values[2:].astype(np.float32), 3, spec=spec), 2)
    np.testing.assert_array_equal(forecast.values[0, 0], expected)
    assert [note for note in forecast.notes if note.startswith("filled: 1 of the 6") and "15:25:00" in note]
    assert forecast.context_times[0].tolist() == TIMES[2:8].tolist(), "the absent frame has its time"
    np.testing.assert_array_equal(predictor.predict(tmp_path, 2).values, forecast.values[0, 0])
    cut = forecast_file(predictor, str(tmp_path), 2, max_filled=0)
    assert cut.context.shape[1] == 2


def test_a_frame_that_is_missing_as_a_whole_is_filled_without_times(tmp_path: Path) -> None:
    values = np.stack([frames(7), frames(7, 1)])
    values[0, 4] = values[1, 2] = values[1, 5] = np.nan
    np.savez(tmp_path / "a.npz", frames=values[:, :, 0], dims="nthw")
    source = FileSource(DataConfig(source=str(tmp_path / "a.npz"), range=(0, 1)))
    predictor = forecaster()
    both = fill_absent(predictor, source)
    result = forecast_source(predictor, both.source, 2).values[:, 0]
    for row, absent in ((0, (3,)), (1, (1, 4))):
        alone = FrameWindow([None if n in absent else f for n, f in enumerate(values[row, 1:])], SPEC)
        np.testing.assert_allclose(result[row], forecast_filled(predictor, alone, 2), atol=1e-6)
    assert both.filled == ((3,), (1, 4))


def test_tiles_fill_too() -> None:
    predictor = forecaster()
    source = FrameWindow([None if n == 3 else f for n, f in enumerate(np.tile(frames(), (1, 1, 4, 4)))], SPEC)
    source.spec = SPEC.model_copy(update={"height": 64, "width": 64})
    room = MemoryLimits(None, 32, None)
    whole, tiled = (fill_absent(predictor, source, room=limits) for limits in (MemoryLimits(), room))
    np.testing.assert_allclose(tiled.source.read(0, 0, 6).frames, whole.source.read(0, 0, 6).frames, atol=1e-5)


def test_baselines_fill_by_themselves_and_drop_what_is_too_short() -> None:
    values = np.zeros((6, 1, 48, 48), np.float32)
    for t in range(6):
        values[t, 0, 16:28, 4 + 4 * t : 16 + 4 * t] = np.hanning(14)[1:-1, None] * np.hanning(14)[1:-1]
    spec = SPEC.model_copy(update={"height": 48, "width": 48, "units": "mm/h"})
    source = window(values, 3, spec=spec)
    filled = fill_absent(Extrapolation(spec), source).source.read(0, 0, 6).frames
    assert np.abs(filled[3] - values[3]).max() < 0.2 < np.abs(values[2] - values[3]).max()
    kept = fill_absent(Persistence(spec), source).source.read(0, 0, 6).frames
    np.testing.assert_array_equal(kept[3], values[2])
    alone = fill_absent(Extrapolation(spec), window(values, 1, spec=spec))
    assert alone.source.lengths == [4], "one frame shows no motion: what lies before the gap is left out"
    assert fill_absent(Seasonal(spec, 4), window(values, 2, spec=spec)).source.lengths == [3]


def test_arrays_say_what_is_absent_by_their_mask() -> None:
    predictor, values = forecaster(), np.stack([frames(), frames(6, 1)])
    valid = np.ones(values.shape, bool)
    valid[0, 3] = valid[1, 5] = False
    result = predictor.predict(values, 2, valid, max_filled=3)
    np.testing.assert_allclose(result[0], forecast_filled(predictor, window(values[0], 3), 2), atol=1e-6)
    np.testing.assert_allclose(result[1], predictor.predict(values[1, :5], 3)[1:], atol=1e-6)
    usual = predictor.predict(values, 2, valid)
    assert np.abs(usual - result).max() > 1e-4, "unless it is asked for, they are frames without a pixel"
    valid[1, 4] = valid[1, 3] = False
    with pytest.raises(InputError, match="3 absent frames at the end, expected at most 2"):
        predictor.predict(values, 2, valid, max_filled=2)


def test_a_gap_in_the_times_of_a_dataarray_is_filled() -> None:
    predictor, values = forecaster(), frames(8)
    kept = [0, 1, 2, 3, 4, 6, 7]
    array = xarray.DataArray(values[kept, 0], dims=("time", "y", "x"), coords={"time": TIMES[kept].astype("M8[ns]")})
    result = predictor.predict(array, 2)
    np.testing.assert_allclose(result.values, forecast_filled(predictor, window(values[2:], 3), 2)[:, 0], atol=1e-6)
    cut = predictor.predict(array, 2, max_filled=0)
    np.testing.assert_allclose(cut.values, predictor.predict(values[6:], 2)[:, 0], atol=1e-6)
    hidden = array.copy(data=np.where((np.arange(7) == 3)[:, None, None], np.nan, array.values))
    both = predictor.predict(hidden, 2)
    np.testing.assert_allclose(both.values, forecast_filled(predictor, window(values[2:], 1, 3), 2)[:, 0], atol=1e-6)


def test_channels_that_are_not_forecast_are_not_filled() -> None:
    spec = SPEC.model_copy(update={"covariates": (Channel(name="height", low=0, high=1),)})
    values = np.concatenate([frames(), frames(6, 1)], 1)
    whole = fill_absent(forecaster(spec=spec), window(values, 3, spec=spec))
    assert whole.source.lengths == [2]
    assert whole.notes
    assert "not filled" in whole.notes[0]
