"""What training computes: frozen losses, the official second step, averages, early stopping, and what is logged."""

import json
from pathlib import Path

import pytest
import torch

from framecast.data import DataConfig, MovingMNISTConfig, open_data
from framecast.devices import Launch
from framecast.errors import CheckpointError, UsageError
from framecast.forecasting.model_folder import load
from framecast.models import ConvLSTM, PredRNNV2
from framecast.recipe.losses import LossConfig
from framecast.recipe.recipe import Recipe, TrainConfig, ValidateConfig
from framecast.recipe.scheduled_sampling import ReverseScheduledSampling
from framecast.runs.folder import RunFolder, read_events
from framecast.training.ema import WeightAverage
from framecast.training.start import new_fabric, resume, start
from framecast.training.state import TrainingState

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
CPU = Launch("cpu")


def recipe(**changes) -> Recipe:
    train = {"steps": 6, "batch_size": 4, "log_every": 1, "checkpoint_every": 3, "lr": 1e-3, **changes.pop("train", {})}
    fields = {
        "model": ConvLSTM(hidden=(4,), kernel_size=3),
        "patch": 8,
        "context": 3,
        "horizon": 3,
        "train": TrainConfig(**train),
        "validate": changes.pop("validate", ValidateConfig(every=3, sequences=4)),
        "data": DataConfig(moving_mnist=MovingMNISTConfig(size=32, digits=1)),
    }
    return Recipe(**{**fields, **changes})


def losses(path: Path) -> list[float]:
    return [event["loss"] for event in read_events(path / "events.jsonl", "train")]


def test_losses_are_frozen() -> None:
    """A refactor gives the identical loss: 20 steps in float64, PredRNN-V2 with everything on."""
    said = recipe(
        model=PredRNNV2(hidden=(4, 4), kernel_size=3),
        sampling=ReverseScheduledSampling(),
        loss=LossConfig(kind="l1l2", decoupling=0.1),
        train={"steps": 20, "time_reversal": "step", "clip": 1.0, "accumulate": 2},
    )
    fabric = new_fabric(said, CPU)
    dataset = open_data(said.data, context=3, horizon=3, seed=0)
    trainer = TrainingState(said, dataset, fabric)
    trainer.forecaster.double()
    from framecast.data import training_batches

    batches = training_batches(dataset, seed=0, batch_size=2, accumulate=2)
    got = [trainer.iterate(next(batches))["loss"] for _ in range(20)]
    frozen = json.loads((Path(__file__).parent / "frozen_losses.json").read_text())
    assert got == pytest.approx(frozen, rel=1e-9)


def test_a_run_leaves_what_it_promises(tmp_path: Path) -> None:
    outcome = start(recipe(), tmp_path / "run", CPU, quiet=True)
    folder = RunFolder(tmp_path / "run")
    assert (outcome.step, outcome.reason) == (6, "done")
    assert [e["step"] for e in read_events(folder.events, "train")] == [1, 2, 3, 4, 5, 6]
    validations = read_events(folder.events, "validation")
    assert [e["step"] for e in validations] == [3, 6]
    assert outcome.best == min(e["sse"] for e in validations)
    assert {"ssim", "psnr", "sharpness", "fmae"} <= validations[0].keys()
    assert read_events(folder.timing, "timing")[0]["share_waited"] >= 0
    about = json.loads(folder.data.read_text())
    assert about["spec"]["units"] == "grey level"
    assert about["windows"]["train"] == 10_000
    assert (folder.path / "loss.png").stat().st_size > 1000
    assert any((folder.path / "tensorboard").iterdir())
    assert load(folder.path).context == 3
    assert resume(folder.path, CPU, quiet=True) == outcome, "a finished run has nothing left to do"


def test_interrupting_between_steps_changes_nothing(tmp_path: Path) -> None:
    """Any checkpoint leads to the same end, with averages, clipping, reversal and decoupling on."""
    said = recipe(
        model=PredRNNV2(hidden=(4, 4), kernel_size=3),
        loss=LossConfig(decoupling=0.1),
        train={"ema": 0.9, "clip": 0.5, "time_reversal": "augment", "keep": 9},
    )
    start(said, tmp_path / "run", CPU, quiet=True)
    before = (tmp_path / "run" / "events.jsonl").read_bytes(), load(tmp_path / "run").network.state_dict()
    for path in (tmp_path / "run" / "checkpoints").glob("step-00000006.*"):
        path.unlink()
    resume(tmp_path / "run", CPU, quiet=True)
    after = (tmp_path / "run" / "events.jsonl").read_bytes(), load(tmp_path / "run").network.state_dict()
    assert before[0] == after[0]
    assert all(torch.equal(before[1][key], after[1][key]) for key in before[1])


def test_training_learns(tmp_path: Path) -> None:
    said = recipe(train={"steps": 60, "lr": 2e-2}, validate=ValidateConfig(every=60, sequences=2))
    start(said, tmp_path / "run", CPU, quiet=True)
    curve = losses(tmp_path / "run")
    assert sum(curve[-5:]) < 0.6 * sum(curve[:5])


def test_time_reversal_makes_a_second_update() -> None:
    """The first update is that without reversal; the second sees the same sequences backward."""
    plain, twice = recipe(), recipe(train={"time_reversal": "step"})
    dataset = open_data(plain.data, context=3, horizon=3, seed=0)
    from framecast.data import training_batches

    batch = next(training_batches(dataset, seed=0, batch_size=4))
    trainers = [TrainingState(said, dataset, new_fabric(said, CPU)) for said in (plain, twice)]
    one, two = (trainer.iterate(batch) for trainer in trainers)
    steps = [trainer.optimizer.state_dict()["state"][0]["step"].item() for trainer in trainers]
    assert steps == [1, 2]
    back = [type(b)(b.frames.flip(1), None, b.indices) for b in batch]
    loss_back, _ = trainers[0]._update(back, 1)
    assert two["loss"] == pytest.approx((one["loss"] + loss_back) / 2, rel=1e-6)


def test_early_stopping_and_best_model(tmp_path: Path) -> None:
    said = recipe(
        train={"steps": 50, "lr": 1e-12},
        validate=ValidateConfig(every=2, sequences=2, patience=3, metric="ssim"),
    )
    outcome = start(said, tmp_path / "run", CPU, quiet=True)
    assert outcome.reason == "no better for 3 validations"
    assert outcome.step < 50
    validations = read_events(tmp_path / "run" / "events.jsonl", "validation")
    best = max(validations, key=lambda e: e["ssim"])
    about = json.loads((tmp_path / "run" / "model" / "model.json").read_text())["about"]
    assert outcome.best == best["ssim"]
    assert about["validation"]["ssim"] == best["ssim"]


def test_weight_average() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    average = WeightAverage([weight], 0.5)
    expected = torch.zeros(3)
    for n in range(1, 20):
        with torch.no_grad():
            weight.add_(1)
        average.update()
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * n
    with average.applied():
        torch.testing.assert_close(weight.detach(), expected)
    assert weight.tolist() == [19, 19, 19]


def test_decoupling_needs_two_memories_and_no_weight_waits() -> None:
    dataset = open_data(recipe().data, context=3, horizon=3, seed=0)
    wrong = recipe(loss=LossConfig(decoupling=0.1))
    with pytest.raises(UsageError, match="predrnn_v2"):
        TrainingState(wrong, dataset, new_fabric(wrong, CPU))
    off = recipe(model=PredRNNV2(hidden=(4,), kernel_size=3))
    trainer = TrainingState(off, dataset, new_fabric(off, CPU))
    assert not any("adapter" in name for name, p in trainer.objective.named_parameters() if p.requires_grad)


@pytest.mark.parametrize("dtype", ["bf16"])
def test_reduced_precision_trains(tmp_path: Path, dtype: str) -> None:
    start(recipe(train={"dtype": dtype}), tmp_path / "low", CPU, quiet=True)
    start(recipe(), tmp_path / "full", CPU, quiet=True)
    assert losses(tmp_path / "low") == pytest.approx(losses(tmp_path / "full"), rel=0.05)
    assert losses(tmp_path / "low") != losses(tmp_path / "full")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validate": ValidateConfig(metric="mes")}, "did you mean"),
        ({"validate": ValidateConfig(metric="framecast")}, "expected one metric"),
        ({"validate": ValidateConfig(metric="csi")}, "no threshold"),
        ({"train": {"accumulate": 3}}, "multiple of 3"),
        ({"loss": LossConfig(decoupling=0.1)}, "predrnn_v2"),
    ],
)
def test_a_recipe_that_cannot_be_leaves_no_run(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        start(recipe(**changes), tmp_path / "run", CPU, quiet=True)
    assert not (tmp_path / "run" / "recipe.yaml").exists()
    start(recipe(train={"steps": 1}), tmp_path / "run", CPU, quiet=True)


def test_best_by_csi(tmp_path: Path) -> None:
    said = recipe(validate=ValidateConfig(every=3, sequences=2, metric="csi", thresholds=(100.0,)))
    outcome = start(said, tmp_path / "run", CPU, quiet=True)
    scores = [e["csi@100"] for e in read_events(tmp_path / "run" / "events.jsonl", "validation")]
    assert len(scores) == 2
    assert outcome.best == max((score for score in scores if score is not None), default=None)
    assert (tmp_path / "run" / "model" / "model.json").exists()


def test_a_batch_without_an_observed_pixel_teaches_nothing(tmp_path: Path) -> None:
    import numpy as np

    frames = np.random.default_rng(0).random((12, 6, 16, 16)).astype(np.float32)
    frames[:4] = np.nan
    np.save(tmp_path / "x.npy", frames)
    data = DataConfig(source=str(tmp_path / "x.npy"), dims="nthw")
    said = recipe(data=data, train={"steps": 12, "batch_size": 1}, validate=ValidateConfig(every=12))
    start(said, tmp_path / "run", CPU, quiet=True)
    curve = losses(tmp_path / "run")
    assert None in curve
    assert any(isinstance(loss, float) for loss in curve)


def test_what_decides_no_number_may_change_at_resume(tmp_path: Path) -> None:
    start(recipe(train={"steps": 6, "keep": 9}), tmp_path / "run", CPU, quiet=True)
    for path in (tmp_path / "run" / "checkpoints").glob("step-00000006.*"):
        path.unlink()
    before = (tmp_path / "run" / "events.jsonl").read_bytes()
    resume(tmp_path / "run", CPU, overrides=["train.workers=1"], quiet=True)
    assert (tmp_path / "run" / "events.jsonl").read_bytes() == before
    for override in ("train.lr=1.0", "train.compile=true"):
        with pytest.raises(CheckpointError, match="recipe has changed"):
            resume(tmp_path / "run", CPU, overrides=[override], quiet=True)


def test_places_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="fp32 or bf16"):
        new_fabric(recipe(train={"dtype": "fp16"}), CPU)
    with pytest.raises(UsageError, match="device"):
        new_fabric(recipe(), Launch("tpu"))
