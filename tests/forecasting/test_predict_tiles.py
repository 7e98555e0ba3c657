"""Whole domains from the command line, with missing pixels."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fixtures.commands import unchecked

from framecast.cli import main
from framecast.data import DataConfig, FileSource
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import MemoryLimits
from framecast.forecasting.model_folder import save_forecaster
from framecast.forecasting.predict import forecast_source
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for 16 x 16 pixels, and a domain of 90 x 75 with missing pixels."""
    path = tmp_path_factory.mktemp("tiles")
    torch.manual_seed(0)
    spec = FrameSpec(channels=1, height=16, width=16, low=0, high=1, units="mm/h")
    model = Forecaster(ConvLSTM(hidden=(4, 4), kernel_size=3), spec, Range(low=0, high=1), 2, context=3)
    save_forecaster(path / "model", model)
    frames = np.random.default_rng(0).random((6, 90, 75), dtype=np.float32)
    frames[2, :40] = np.nan
    frames[:, 60:, 50:] = np.nan
    np.save(path / "domain.npy", frames)
    return path


def predicted(folder: Path, name: str, capsys: pytest.CaptureFixture, *words: str) -> tuple[np.ndarray, dict]:
    out = folder / f"{name}.npy"
    said = ["predict", str(folder / "model"), str(folder / "domain.npy"), "--horizon", "5", "--out", str(out), "--json"]
    assert _code([*said, *words]) == 0
    return np.load(out), json.loads(capsys.readouterr().out)


def test_tiles_do_not_show(folder: Path, capsys: pytest.CaptureFixture) -> None:
    whole, said = predicted(folder, "whole", capsys)
    assert (said["computed"]["tiles"], said["seam_rms"]) == (1, None)
    assert np.isnan(whole[:, 60:, 50:]).all(), "never observed"
    assert np.isfinite(whole[:, :60]).all()
    tiled, said = predicted(folder, "tiled", capsys, "--tile", "32")
    assert said["computed"]["tiles"] > 4
    assert said["computed"]["exact"]
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert len(said["seam_rms"]) == 5
    assert max(said["seam_rms"]) < 1e-5
    rough, said = predicted(folder, "rough", capsys, "--tile", "32", "--overlap", "4")
    assert not said["computed"]["exact"]
    difference = float(np.sqrt(np.nanmean((rough - whole) ** 2)))
    assert 1e-4 < max(said["seam_rms"]) < 0.5
    assert 1e-5 < difference < max(said["seam_rms"]), (
        "what is told is an upper bound here: most pixels are far from seams"
    )


def test_scores_are_those_of_tiles(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """The layer norm saw 16 x 16 pixels in training: it is given as many, unless told otherwise."""
    torch.manual_seed(0)
    spec = FrameSpec(channels=1, height=16, width=16, low=0, high=1, units="mm/h")
    config = ConvLSTM(hidden=(4, 4), kernel_size=3, layer_norm="channel_affine")
    save_forecaster(folder / "norm", Forecaster(config, spec, Range(low=0, high=1), 2, context=3))
    found = {}
    for name, words in {"default": (), "tiled": ("--tile", "16"), "whole": ("--tile", "0")}.items():
        said = ["evaluate", str(folder / "norm"), "--data", str(folder / "domain.npy"), "--out", str(folder / name)]
        said += ["--split", "all", "--horizon", "2", "--baselines", "none", "--metrics", "mse", "--json"]
        assert _code([*said, *words]) == 0
        found[name] = json.loads(capsys.readouterr().out)["scores"]["convlstm"]["mse"]["mean"]
    assert found["default"] == found["tiled"] != found["whole"]


def test_a_limit_that_cannot_be_kept(folder: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["predict", str(folder / "model"), str(folder / "domain.npy"), "--out", str(folder / "no.npy")]
    assert _code([*words, "--max-memory", "3MB"]) == 2
    assert "a limit of 3 MB, expected about" in capsys.readouterr().err
    assert _code([*words, "--max-memory", "plenty"]) == 2
    assert "for example 2GB" in capsys.readouterr().err
    assert not (folder / "no.npy").exists()


def _code(words: list[str]) -> int:
    with pytest.MonkeyPatch.context() as patch, unchecked():
        patch.setattr(sys, "argv", ["framecast", *words])
        with pytest.raises(SystemExit) as caught:
            main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize("tile", [None, 20])
def test_covariates_and_a_mask_in_tiles(tmp_path: Path, tile: int | None) -> None:
    """What a file's forecast is, beside `predict` by hand; the step is that of the model, as the file is silent."""
    array = np.random.default_rng(0).random((5, 3, 40, 40), dtype=np.float32)
    array[:, 2] = array[0, 2]
    array[2, 0, :10] = np.nan
    array[:, 0, 30:] = np.nan
    np.save(tmp_path / "a.npy", array)
    config = DataConfig(source=str(tmp_path / "a.npy"), dims="tchw", targets=(0,), covariates=(2,), range=(0, 1))
    source = FileSource(config)
    spec = source.spec.model_copy(update={"step_minutes": 60.0})
    torch.manual_seed(0)
    tiny = ConvLSTM(hidden=(3,), kernel_size=3)
    model = Forecaster(tiny, spec, Range(low=0, high=1), 2, fill="last", mask_channel=True, context=3)
    result = forecast_source(model, source, 4, room=MemoryLimits(tile=tile))
    beside = np.broadcast_to(array[None, :1, 2:], (1, 7, 1, 40, 40)).copy()
    valid = np.isfinite(array[None, 2:, :2])
    expected = model.predict(array[None, 2:, :2], 4, valid, beside)
    assert result.frames.shape == (1, 1, 4, 1, 40, 40)
    assert np.isnan(result.values[..., 30:, :]).all()
    np.testing.assert_allclose(result.values[:, 0, ..., :30, :], expected[..., :30, :], rtol=1e-5, atol=1e-6)
    assert (result.spec.channels, result.spec.past, result.spec.covariates) == (1, (), ())
    assert result.spec.step_minutes == 60
    assert (result.computation["computed"]["tiles"] > 1) == (tile is not None)
