"""Inspection of data from which nothing can be learnt, and of data without marks for what is missing."""

from pathlib import Path

import numpy as np
import pytest

from framecast.commands.inspect import Inspection, inspect
from framecast.data import DataConfig


def inspected(path: Path, **fields: object) -> Inspection:
    np.savez(path, **{"units": "K", "step_minutes": 5.0, "dims": "thw", **fields})
    return inspect(DataConfig(source=str(path)), {"source": str(path)})


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_a_constant_field_is_told_and_opened(tmp_path: Path, value: float) -> None:
    found = inspected(tmp_path / "a.npz", frames=np.full((30, 16, 16), value, np.float32))
    fields = found.as_dict()
    assert (fields["low"], fields["high"], fields["constant_frames"], fields["command"]) == (value, value, 30, None)
    assert found.windows_note == f"none: all values are {value:g}, from which nothing can be learnt"
    assert any(f"all values are {value:g}; 0 to {max(value, 1):g} K" in note for note in found.source.notes)


def test_missing_pixels_are_described_by_what_was_met(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((30, 16, 16), np.float32)
    assert inspected(tmp_path / "a.npz", frames=frames).as_dict()["grid"]["missing"] == "no pixel is marked as missing"
    frames[:, :4] = np.nan
    nan = inspected(tmp_path / "b.npz", frames=frames)
    assert nan.as_dict()["grid"]["missing"] == "1920 values (25 %) are NaN or infinite"
    assert ("missing", "25 % of pixels; 1920 values (25 %) are NaN or infinite") in nan._list_facts()
    coded = np.nan_to_num(frames, nan=-1)
    marked = inspected(tmp_path / "c.npz", frames=coded, missing_code=-1)
    assert marked.as_dict()["grid"]["missing"] == "1920 values (25 %) hold the code -1"
