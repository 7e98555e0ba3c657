"""Commands on models against a base, and on a base alone: studies, pages, arrows of motion, tiles, compilation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.commands import framecast

from framecast.forecasting.model_folder import load
from framecast.runs.record import read_record

FIXTURES = Path(__file__).parents[1] / "fixtures"
FMI, ERA5 = FIXTURES / "fmi_140.npz", FIXTURES / "era5_t2m.nc"
SETTINGS = ("patch=4", "horizon=3", "context=3", "train.steps=1", "train.batch_size=1", "validate.sequences=1")
NETWORK = ("model.hidden=[4,4]", "model.kernel_size=3", "data.crop=32")


def train(name: str, data: Path, out: Path, *settings: str) -> Path:
    options = [word for setting in settings for word in ("--set", setting)]
    framecast("train", name, "--data", data, "--out", out, "--device", "cpu", "--quiet", *options)
    return out


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mixed"
    return train("convlstm", FMI, folder, *SETTINGS, *NETWORK, "base=calibrated", "head=mix")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base without a network, on data with covariates and a mask, for which it has no use."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    return train("linear", ERA5, folder, "horizon=3", "context=3", "data.calendar=[hour]", "mask_channel=true")


def test_all_studies_suit_a_network_against_a_base(mixed: Path, tmp_path: Path) -> None:
    framecast("study", mixed, "--out", tmp_path, "--limit", 1, "--quiet")
    made = {path.name.rsplit("-", 1)[0] for path in tmp_path.iterdir()}
    assert made == {"saturation", "gradients", "schedules", "memory", "differences", "frequency", "study"}
    reach = np.load(next(tmp_path.glob("gradients-1/*.npz")))
    assert np.isfinite(reach["norm"]).all()
    assert (reach["norm"] > 0).any()


def test_pages_count_the_network_as_it_is(mixed: Path, alone: Path) -> None:
    for run in (mixed, alone):
        assert read_record(run).cost().parameters == sum(part.numel() for part in load(run).network.parameters())


def test_pages_and_evaluations_show_motion(mixed: Path, alone: Path, tmp_path: Path) -> None:
    page = (mixed / "report.html").read_text()
    assert 'id="motion"' in page
    assert 'id="motion"' not in (alone / "report.html").read_text()
    framecast("evaluate", mixed, "--limit", 1, "--out", tmp_path / "scores", "--quiet")
    with Image.open(tmp_path / "scores" / "motion.png") as picture:
        assert np.ptp(np.asarray(picture.convert("L"))) == 255
    framecast("evaluate", alone, "--limit", 1, "--out", tmp_path / "without", "--quiet")
    assert not (tmp_path / "without" / "motion.png").exists()


def test_motion_is_drawn_as_arrows(mixed: Path, tmp_path: Path) -> None:
    said = framecast("predict", mixed, FMI, "--out", tmp_path / "a.npy", "--motion", tmp_path / "arrows.png")
    assert f"{tmp_path / 'arrows.png'}: arrows over the newest frame" in said.stdout
    with Image.open(tmp_path / "arrows.png") as picture:
        assert picture.format == "PNG"
    refused = framecast("predict", mixed, FMI, "--out", tmp_path / "b.npy", "--motion", tmp_path / "m.gif", code=2)
    assert "got suffix .gif, expected one of .nc, .zarr, .npy, .npz, .tif, .png" in refused.stderr
    assert not (tmp_path / "b.npy").exists()


def test_tiles_against_a_base_claim_no_units(mixed: Path, tmp_path: Path) -> None:
    words = ("predict", mixed, FMI, "--calibrate", "matched", "--quiet")
    framecast(*words, "--out", tmp_path / "whole.npy")
    said = framecast(*words, "--out", tmp_path / "tiles.npy", "--tile", 64, "--overlap", 32, "--json")
    facts = json.loads(said.stdout)
    assert facts["seam_rms"] is None
    assert facts["computed"]["tiles"] > 1
    whole, tiles = (np.load(tmp_path / f"{name}.npy") for name in ("whole", "tiles"))
    # values that differ by rounding alone may change their ranks
    assert np.nanmean(np.abs(whole - tiles) > 0.01) < 0.01


def test_a_base_alone_goes_through_all_commands(alone: Path, tmp_path: Path) -> None:
    framecast("predict", alone, ERA5, "--out", tmp_path / "future.npy", "--quiet")
    assert np.isfinite(np.load(tmp_path / "future.npy")).all()
    said = framecast("study", alone, "--out", tmp_path / "study", "--quiet")
    assert "schedules: got no iteration, expected a run that trains" in said.stdout + said.stderr
    assert {path.name for path in (tmp_path / "study").iterdir()} == {"frequency-1", "study-1.html"}


@pytest.mark.slow
def test_a_compiled_network_against_a_base_trains_alike(mixed: Path, tmp_path: Path) -> None:
    settings = (*SETTINGS, *NETWORK, "base=calibrated", "head=mix")
    compiled = train("convlstm", FMI, tmp_path / "compiled", *settings, "train.compile=true")
    plain, other = (read_record(run).training[-1]["loss"] for run in (mixed, compiled))
    assert other == pytest.approx(plain, rel=1e-4)
