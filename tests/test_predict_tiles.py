"""Whole domains from the command line, with missing pixels."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from framecast.cli import main
from framecast.forecaster import Forecaster
from framecast.model_folder import save_forecaster
from framecast.models import ConvLSTM
from framecast.normalize import Range
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
        said += ["--split", "all", "--horizon", "2", "--baseline", "none", "--metrics", "mse", "--json"]
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["framecast", *words])
        with pytest.raises(SystemExit) as caught:
            main()
    return int(caught.value.code or 0)
