"""Checkpoints of the zoo's networks: made of the golden weights, converted, saved, loaded, and equal in every digit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.golden.fixtures import fixture, known
from tests.golden.test_zoo import ZOO
from torch import Tensor

from framecast.errors import CheckpointError, UsageError
from framecast.forecasting.model_folder import load, save_forecaster
from framecast.forecasting.published_weights import load_published
from framecast.nn.rollout import rollout

FREE = (torch.arange(5) < 3).expand(2, 5)
CASES: list[tuple[str, str, str, dict[str, Any], Tensor | None]] = [
    ("swinlstm/b", "official", "swinlstm_b", {}, FREE),
    ("swinlstm/d/16x32", "official", "SwinLSTM-D", {}, FREE),
    ("mau/openstl/residual-recall", "openstl", "mau", {"tau": 3, "residual": True, "recall": True}, known("ss")),
    ("phydnet/openstl/patch2", "openstl", "PhyDNet", {"shrink": 2}, FREE[:, :4]),
    ("motionrnn/predrnn/zero", "official", "motionrnn", {}, known("ss")),
    ("predrnnv3/free", "official", "predrnn_v3", {}, FREE),
    ("e3d/openstl/ln1/published", "openstl", "e3d_lstm", {}, known("ss")),
    ("simvp/tau", "openstl", "tau", {}, None),
    ("convgru/dsip/deterministic", "official", "convgru", {}, None),
]


def checkpoint(name: str, folder: Path) -> Path:
    weights = {key: fixture(n, shape, a, b) for n, key, shape, a, b in ZOO[name]["tensors"]}
    if "simvp" in name:
        weights["hid.enc.0.block.norm1.num_batches_tracked"] = torch.tensor(3)
    prefix = "network." if name.startswith("convgru") else "model."
    torch.save({"state_dict": {prefix + key: value for key, value in weights.items()}}, folder / "model.ckpt")
    return folder / "model.ckpt"


@pytest.mark.parametrize(("name", "source", "model", "options", "schedule"), CASES)
def test_converted_weights_predict_the_published_numbers(
    name: str, source: str, model: str, options: dict[str, Any], schedule: Tensor | None, tmp_path: Path
) -> None:
    case = ZOO[name]
    converted = load_published(checkpoint(name, tmp_path), source=source, model=model, patch=1, options=options)
    save_forecaster(tmp_path / "model", converted)
    network = load(tmp_path / "model").double().network
    frames = fixture(999, case["config"]["frames"], 0.5, 0.5)
    x = frames.movedim(-1, 2) if "patch_channels" in case["config"] else frames
    given = x if schedule is not None else x[:, : case["config"]["context"]]
    output = rollout(network, given, x.shape[1] - 1, schedule).frames
    layout = output.movedim(2, -1) if x is not frames else output
    assert layout.sum().item() == pytest.approx(case["sum"], rel=1e-10, abs=1e-10)
    assert layout.square().sum().item() == pytest.approx(case["sumsq"], rel=1e-10)


@pytest.mark.parametrize(("name", "source", "model", "options", "schedule"), CASES)
def test_code_base_network_and_patch_are_found_by_the_weights(
    name: str, source: str, model: str, options: dict[str, Any], schedule: Any, tmp_path: Path
) -> None:
    path = checkpoint(name, tmp_path)
    patch = 2 if "patch_channels" in ZOO[name]["config"] else 1
    found, said = load_published(path), load_published(path, source=source, model=model, patch=patch)
    assert (found.config, found.patch) == (said.config, said.patch)


def test_what_shapes_do_not_tell_is_an_option(tmp_path: Path) -> None:
    path = checkpoint("mau/official/normal-normal", tmp_path)
    with pytest.raises(UsageError, match="options"):
        load_published(path, source="official", model="mau", patch=1, options={"tua": 3})
    with pytest.raises(CheckpointError, match=r"no .*norm_c|complete network|unknown parameters"):
        load_published(path, source="openstl", model="e3d_lstm", patch=1)
