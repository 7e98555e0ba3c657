"""Motion in windows: it turns with the map, is that of whole frames in crops, and of the window's own step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.motion.test_estimate import make_rain

from framecast.data import DataConfig, open_data
from framecast.data.windows import motion as module
from framecast.data.windows.augment import augment
from framecast.motion import estimate_motion
from framecast.types import Window


@pytest.mark.parametrize("index", range(8))
def test_it_turns_with_the_map(index: int) -> None:
    rain = make_rain((3.0, -2.0), size=(96, 96)).astype(np.float32)[:, None]
    field = np.broadcast_to(np.float32([3, -2])[:, None, None], (4, 2, 96, 96)).copy()
    turned = augment(Window(rain, None, motion=field), ("flip", "turn"), 0, 0, index)
    assert turned.motion is not None
    found = np.median(estimate_motion(turned.frames[:, 0]), (1, 2))
    np.testing.assert_allclose(found, turned.motion[0, :, 0, 0], atol=0.2)


def test_crops_have_that_of_whole_frames_in_the_step_of_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path / "kept")
    monkeypatch.setattr("framecast.data.windows.windows.cache_folder", lambda: tmp_path / "kept")
    rain = make_rain((1.0, -2.0), frames=16)
    np.save(tmp_path / "rain.npy", rain.astype(np.float32))
    config = DataConfig(source=str(tmp_path / "rain.npy"), dims="thw", crop=32, every=(1, 2), fractions=(1, 0, 0))
    data = open_data(config, context=4, horizon=2, seed=0).with_motion(lambda frames: frames[:, 0], "raw")
    paces = set()
    for index in range(0, data.count("train"), 5):
        window = data.window("train", 0, index)
        assert window.motion is not None
        assert (window.frames.shape, window.motion.shape) == ((6, 1, 32, 32), (4, 2, 32, 32))
        assert not window.motion[0].any()
        means = window.motion[3].mean((1, 2))
        np.testing.assert_allclose(means, np.array([1.0, -2.0]) * window.pace, atol=0.3)
        paces.add(window.pace)
    assert paces == {1, 2}
    assert list((tmp_path / "kept").rglob("*.npy"))
