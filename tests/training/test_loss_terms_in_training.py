"""Terms of the loss in a training: which iteration draws what, resuming, precisions, and weights of lead times."""

from pathlib import Path

import pytest
import torch

from framecast.data import DataConfig, MovingMNISTConfig
from framecast.devices import Launch
from framecast.errors import UsageError
from framecast.forecasting.model_folder import load
from framecast.models import ConvLSTM
from framecast.recipe.loss_term import Moment
from framecast.recipe.loss_terms import Fourier, GradientDifference, SoftCSI, ValueWeights
from framecast.recipe.losses import LossConfig
from framecast.recipe.recipe import Recipe, TrainConfig, ValidateConfig
from framecast.runs.folder import read_events
from framecast.training.start import resume, start

CPU = Launch("cpu")
TERMS = (
    SoftCSI(thresholds=(100,), width=10, weight=0.01),
    ValueWeights(thresholds=(50, 150), weights=(1, 2, 5)),
    Fourier(correlation_weight=0.1, lead_weights=0.9),
    GradientDifference(lead_weights=(3, 2, 1)),
)


def recipe(loss: LossConfig, **train) -> Recipe:
    said = {"steps": 6, "batch_size": 4, "log_every": 1, "checkpoint_every": 3, "keep": 9, **train}
    return Recipe(
        model=ConvLSTM(hidden=(4,), kernel_size=3),
        patch=8,
        context=3,
        horizon=3,
        loss=loss,
        train=TrainConfig(**said),
        validate=ValidateConfig(every=3, sequences=2),
        data=DataConfig(moving_mnist=MovingMNISTConfig(size=32, digits=1)),
        seed=7,
    )


def losses(path: Path) -> list[float]:
    return [event["loss"] for event in read_events(path / "events.jsonl", "train")]


def test_resuming_changes_no_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments: list[tuple[Moment, bool]] = []
    draw = Fourier.draws_correlation
    monkeypatch.setattr(
        Fourier, "draws_correlation", lambda self, at: moments.append((at, draw(self, at))) or moments[-1][1]
    )
    run = tmp_path / "run"
    start(recipe(LossConfig(terms=TERMS), accumulate=2), run, CPU, quiet=True)
    assert [at for at, _ in moments] == [Moment(step, 6, 7) for step in range(1, 7) for _ in range(2)]
    assert {drawn for at, drawn in moments if at.iteration > 3} == {True, False}, "the resumed part has both"
    before = (run / "events.jsonl").read_bytes(), load(run).network.state_dict()
    for path in (run / "checkpoints").glob("step-00000006.*"):
        path.unlink()
    resume(run, CPU, quiet=True)
    after = (run / "events.jsonl").read_bytes(), load(run).network.state_dict()
    assert before[0] == after[0]
    assert all(torch.equal(before[1][key], after[1][key]) for key in before[1])


def test_micro_batches_change_no_loss(tmp_path: Path) -> None:
    for parts in (1, 2):
        start(recipe(LossConfig(kind="none", terms=TERMS), accumulate=parts), tmp_path / str(parts), CPU, quiet=True)
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "1"), rel=1e-4)


def test_terms_train_in_bf16(tmp_path: Path) -> None:
    for dtype in ("fp32", "bf16"):
        start(recipe(LossConfig(kind="none", terms=TERMS), dtype=dtype), tmp_path / dtype, CPU, quiet=True)
    assert losses(tmp_path / "bf16") == pytest.approx(losses(tmp_path / "fp32"), rel=0.05)


def test_growing_horizons_take_the_first_weights(tmp_path: Path) -> None:
    growth = [{"until": 0.5, "context": 2, "horizon": 1}]
    start(recipe(LossConfig(kind="none", context=False, terms=TERMS), growth=growth), tmp_path / "run", CPU, quiet=True)
    assert len(losses(tmp_path / "run")) == 6


@pytest.mark.parametrize(
    ("term", "said"),
    [
        (
            Fourier(lead_weights=(1, 2)),
            "loss.terms: lead_weights: got 2, expected 3, one for each frame of the horizon",
        ),
        (SoftCSI(thresholds=(300,), width=1), "got 300 and 301, expected above 0 and up to 255"),
    ],
)
def test_what_does_not_fit_leaves_no_run(tmp_path: Path, term, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        start(recipe(LossConfig(terms=(term,))), tmp_path / "run", CPU, quiet=True)
    assert not (tmp_path / "run" / "recipe.yaml").exists()
