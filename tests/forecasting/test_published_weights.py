"""Checkpoints of the published code: made of the golden weights, converted, loaded, and equal in every digit."""

from pathlib import Path

import pytest
import torch
from tests.golden.fixtures import GOLDEN, frames, known, parameters

from framecast.errors import CheckpointError, UsageError
from framecast.forecasting.model_folder import load, save_forecaster
from framecast.forecasting.published_weights import load_published
from framecast.nn.rollout import rollout

CASES = {
    "openstl/convlstm/ln0/ss": ("openstl", "convlstm"),
    "openstl/convlstm/ln1/ss": ("openstl", "convlstm"),
    "openstl/predrnn/ln0/ss": ("openstl", "predrnn"),
    "openstl/predrnnv2/ln0/rss": ("openstl", "predrnn_v2"),
    "openstl/predrnnpp/ln0/ss": ("openstl", "predrnn_pp"),
    "openstl/mim/ln0/ss": ("openstl", "mim"),
    "openstl/mim/ln1/ss": ("openstl", "mim"),
    "official/predrnn/ln0/ss": ("predrnn-pytorch", "predrnn"),
    "official/predrnn/ln1/rss": ("predrnn-pytorch", "predrnn"),
    "official/predrnn_v2/ln0/rss": ("predrnn-pytorch", "predrnn_v2"),
}


def checkpoint(tmp_path: Path, name: str, change=lambda weights: weights) -> Path:
    weights = change({key: value.detach() for key, value in parameters(GOLDEN[name]).items()})
    path = tmp_path / "model.ckpt"
    if name.startswith("official"):
        torch.save({"net_param": weights}, path)
    else:
        torch.save({"state_dict": {f"model.{key}": value for key, value in weights.items()}, "epoch": 3}, path)
    return path


@pytest.mark.parametrize("name", CASES)
def test_converted_weights_predict_the_published_numbers(name: str, tmp_path: Path) -> None:
    case, (source, model) = GOLDEN[name], CASES[name]
    converted = load_published(checkpoint(tmp_path, name), source=source, model=model, patch=2)
    save_forecaster(tmp_path / "model", converted)
    forecaster = load(tmp_path / "model").double()
    assert forecaster.spec.channels == 1
    schedule = known("rss" if case["rss"] else "ss")
    output = rollout(forecaster.network, frames(), 5, schedule).frames.permute(0, 1, 3, 4, 2)
    assert output.sum().item() == pytest.approx(case["sum"], abs=1e-10)
    assert output.square().sum().item() == pytest.approx(case["sumsq"], abs=1e-10)
    torch.testing.assert_close(output[0, -1, 0, 0].tolist(), case["last"], rtol=0, atol=1e-10)
    # In raw frames, through patches: context frames only, and the future is the rollout's.
    patches = frames()[:, :3]
    raw = forecaster.decode(patches, (16, 16))
    expected = forecaster.decode(rollout(forecaster.network, patches, 5).frames[:, 2:], (16, 16))
    assert torch.equal(forecaster.predict(raw, 3), expected)


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("openstl/predrnnpp/ln0/ss", ["predrnnpp", "PredRNNpp", "PredRNN++", "predrnn-pp"]),
        ("openstl/predrnnv2/ln0/rss", ["predrnnv2", "PredRNN-V2"]),
        ("openstl/predrnn/ln0/ss", ["PredRNN", "predrnnv1"]),
        ("openstl/convlstm/ln0/ss", ["ConvLSTM"]),
        ("openstl/mim/ln0/ss", ["MIM"]),
        ("official/predrnn_v2/ln0/rss", ["predrnn_v2", "PredRNN_v2"]),
    ],
)
def test_names_of_the_code_bases_and_of_the_papers(case: str, names: list[str], tmp_path: Path) -> None:
    source, model = CASES[case]
    path = checkpoint(tmp_path, case)
    expected = load_published(path, source=source, model=model, patch=2).config
    for name in names:
        assert load_published(path, source=source, model=name, patch=2).config == expected
    with pytest.raises(UsageError, match=r"model: got 'prednet', expected one of"):
        load_published(path, source=source, model="prednet", patch=2)


def test_value_range_of_the_users_frames(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, "official/predrnn/ln0/ss")
    plain = load_published(path, source="predrnn-pytorch", model="predrnn", patch=2)
    bytes_ = load_published(path, source="predrnn-pytorch", model="predrnn", patch=2, value_range=(0.0, 255.0))
    x = torch.rand(1, 3, 1, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(bytes_.predict(255 * x, 2), 255 * plain.predict(x, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {**w, "surprise.weight": torch.zeros(1)}, "unknown parameters surprise.weight"),
        (lambda w: {k: v for k, v in w.items() if "cell_list.2.conv_m" not in k}, r"missing cells\.2\.conv_m\.weight"),
        (lambda w: {k: v for k, v in w.items() if k != "conv_last.weight"}, "no bottom layer or head"),
        (lambda w: {**w, "cell_list.1.conv_h.0.weight": torch.zeros(3, 4, 5, 5)}, "expected"),
    ],
)
def test_wrong_weights_are_listed(change, message: str, tmp_path: Path) -> None:
    path = checkpoint(tmp_path, "official/predrnn/ln0/ss", change)
    with pytest.raises(CheckpointError, match=message):
        load_published(path, source="predrnn-pytorch", model="predrnn", patch=2)


def test_wrong_questions(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, "official/predrnn/ln1/ss")
    with pytest.raises(UsageError, match="predrnn-pytorch or openstl"):
        load_published(path, source="simvp", model="predrnn", patch=2)
    with pytest.raises(UsageError, match="one of predrnn, predrnn_v2"):
        load_published(path, source="predrnn-pytorch", model="mim", patch=2)
    with pytest.raises(UsageError, match="square divides the 4 channels"):
        load_published(path, source="predrnn-pytorch", model="predrnn", patch=3)
    with pytest.raises(UsageError, match="expected 16x16, as the weights say"):
        load_published(path, source="predrnn-pytorch", model="predrnn", patch=2, size=(64, 64))


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"net_param": Trap()}, tmp_path / "evil.ckpt")
    (tmp_path / "noise.ckpt").write_bytes(b"not a checkpoint")
    for name in ("evil.ckpt", "noise.ckpt", "absent.ckpt"):
        with pytest.raises(CheckpointError, match=name):
            load_published(tmp_path / name, source="predrnn-pytorch", model="predrnn", patch=2)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", CASES)
def test_code_base_network_and_patch_are_found_by_the_weights(name: str, tmp_path: Path) -> None:
    path, (source, model) = checkpoint(tmp_path, name), CASES[name]
    found = load_published(path)
    said = load_published(path, source=source, model=model, patch=2)
    assert (found.config, found.spec, found.patch) == (said.config, said.spec, said.patch)


def test_another_network_is_told_by_its_weights(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, "openstl/predrnnpp/ln0/ss")
    with pytest.raises(CheckpointError, match="by its names it is a predrnn_pp of openstl"):
        load_published(path, source="openstl", model="predrnn", patch=2)
    with pytest.raises(CheckpointError, match="by its names it is a predrnn_pp of openstl"):
        load_published(path, model="mim")
    half = checkpoint(tmp_path, "openstl/mim/ln0/ss", lambda weights: {**weights, "decoder.weight": torch.zeros(2, 2)})
    with pytest.raises(CheckpointError, match=r"its names are those of mim of openstl"):
        load_published(half)
    torch.save({"encoder.0.weight": torch.zeros(2, 2)}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"got encoder.0.weight, expected weights of convlstm"):
        load_published(tmp_path / "other.ckpt")


@pytest.mark.parametrize("part", ["ct_weight", "oc_weight", "conv_x", "conv_h", "conv_last"])
def test_wrong_widths_are_one_line(part: str, tmp_path: Path) -> None:
    def change(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        key = next(key for key in weights if part in key)
        return {**weights, key: weights[key][..., :-1] if part.endswith("_weight") else weights[key][:-1]}

    with pytest.raises((CheckpointError, UsageError)) as told:
        load_published(checkpoint(tmp_path, "openstl/mim/ln1/ss", change), patch=2)
    assert "\n" not in str(told.value)
