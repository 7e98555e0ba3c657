"""What is recorded as a CUDA graph, with a recorder in the place of torch's that needs no GPU.

The fake keeps what makes graphs dangerous: inputs are read from fixed buffers, outputs land in fixed buffers, and
everything else is as it was when it was recorded.
"""

import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from threading import Thread

import pytest
import torch

from framecast import kernels
from framecast.data import open_data, training_batches
from framecast.devices import Launch
from framecast.errors import NonFiniteLoss, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.kernels import fused_gates
from framecast.kernels.deferred_wgrad import Deferred
from framecast.models import MIM, ConvLSTM, MemoryFlow, ModelConfig, PredRNN, PredRNNPP, PredRNNV2
from framecast.nn import cuda_graphs
from framecast.nn.stepper import _networks
from framecast.recipe.losses import LossConfig
from framecast.recipe.recipe import Recipe, TrainConfig
from framecast.training.start import new_fabric
from framecast.training.trainer import TrainingState
from framecast.transforms.normalize import Standard
from framecast.types import FrameSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:.*sync")
HIDDEN = (4, 4)
NETWORKS: list[ModelConfig] = [
    ConvLSTM(hidden=HIDDEN, kernel_size=3),
    MemoryFlow(hidden=HIDDEN, kernel_size=3),
    PredRNN(hidden=HIDDEN, kernel_size=3),
    PredRNNV2(hidden=HIDDEN, kernel_size=3),
    PredRNNPP(hidden=HIDDEN, kernel_size=3),
    MIM(hidden=HIDDEN, kernel_size=3),
]
every_network = pytest.mark.parametrize("model", NETWORKS, ids=lambda model: model.name)


class Fake:
    """Counts recordings and replays; each replay writes over the outputs of the one before."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, function: Callable[[], cuda_graphs.Outputs]) -> tuple[Callable[[], None], cuda_graphs.Outputs]:
        self.recorded += 1
        outputs = [None if value is None else value.detach().clone() for value in function()]

        def replay() -> None:
            self.replayed += 1
            for place, value in zip(outputs, function(), strict=True):
                if place is not None:
                    place.copy_(value)

        return replay, outputs


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch):
    recorder = Fake()
    monkeypatch.setattr(cuda_graphs, "record", recorder)
    monkeypatch.setattr(cuda_graphs, "usable", lambda device: cuda_graphs.get_graphs() != "off")
    monkeypatch.setattr(sys.modules["framecast.nn.rollout"], "_check", lambda *_: None)  # a mask on a GPU is not read
    monkeypatch.setattr(kernels, "fusing", nullcontext)  # fused gates round otherwise
    _networks.clear()
    kernels.set_backend(Deferred())
    yield recorder
    kernels.set_backend(None)
    cuda_graphs.set_graphs("auto")


def forecaster(model: ModelConfig) -> Forecaster:
    torch.manual_seed(2)
    spec = FrameSpec(channels=2, height=12, width=12, high=5.0)
    return Forecaster(model, spec, Standard(mean=(1.0, 2.0), std=(0.5, 3.0)), 2)


@every_network
def test_predictions_are_those_without(model: ModelConfig, fake: Fake) -> None:
    caster = forecaster(model)
    frames = torch.rand(3, 4, 2, 12, 12)
    cuda_graphs.set_graphs("off")
    expected, other = caster.predict(frames, 14), caster.predict(frames[:1].flip(1), 14)
    assert fake.recorded == 0
    cuda_graphs.set_graphs("auto")
    assert torch.equal(caster.predict(frames, 14), expected)
    assert fake.recorded == 1
    assert torch.equal(caster.predict(frames[:1].flip(1), 14), other)  # another shape
    assert fake.recorded == 2
    assert torch.equal(caster.predict(frames, 14), expected)
    assert (fake.recorded, fake.replayed) == (2, 2 + 3 * 17)
    with torch.no_grad():
        for weight in caster.parameters():
            weight.mul_(1.1)  # in place, as an optimizer does
    changed = caster.predict(frames, 14)
    cuda_graphs.set_graphs("off")
    assert torch.equal(changed, caster.predict(frames, 14))
    assert not torch.equal(changed, expected)


def test_weights_are_prepared_in_each_replay(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the rollout under way has prepared is gone when the recording is replayed in another one."""

    class Counting(Deferred):
        prepared = 0

        def prepare(self, weight: torch.Tensor) -> object:
            Counting.prepared += 1
            return super().prepare(weight)

    kernels.set_backend(Counting())
    caster = forecaster(PredRNN(hidden=HIDDEN, kernel_size=3))
    grew: list[int] = []

    def recorder(function: Callable[[], cuda_graphs.Outputs]) -> tuple[Callable[[], None], cuda_graphs.Outputs]:
        before = Counting.prepared
        made = fake(function)
        grew.append(Counting.prepared - before)
        return made

    monkeypatch.setattr(cuda_graphs, "record", recorder)
    with torch.autocast("cpu", torch.bfloat16):
        caster.predict(torch.rand(1, 1, 2, 12, 12), 20)
        assert torch.is_autocast_cache_enabled()
    assert grew == [11], "five in each of two cells, and the head"


def test_streams_and_branches_hold_values(fake: Fake) -> None:
    """What was given away is not overwritten by later steps."""
    caster = forecaster(PredRNN(hidden=HIDDEN, kernel_size=3))
    frames = torch.rand(1, 30, 2, 12, 12)

    def stream() -> tuple[list, list]:
        state, futures, branches = None, [], []
        for frame in frames.unbind(1):
            branches.append(caster.branch(frame, state, 3))
            future, state = caster.step(frame, state)
            futures.append(future)
        return futures, branches

    got = stream()
    assert fake.recorded == 1
    cuda_graphs.set_graphs("off")
    for ours, right in zip(got, stream(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, right, strict=True))


def test_few_steps_and_other_weights(fake: Fake) -> None:
    caster = forecaster(ConvLSTM(hidden=HIDDEN, kernel_size=3))
    frames = torch.rand(1, 2, 2, 12, 12)
    caster.predict(frames, 3)
    assert fake.recorded == 0, "four steps are not worth it"
    for _ in range(3):
        caster.predict(frames, 3)
    assert fake.recorded == 1, "sixteen are"
    caster.double()  # the weights lie elsewhere now
    cuda_graphs.set_graphs("off")
    expected = caster.predict(frames, 20)
    cuda_graphs.set_graphs("auto")
    assert torch.equal(caster.predict(frames, 20), expected)
    assert fake.recorded == 2


def test_a_second_thread_does_not_touch_the_buffers(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    caster = forecaster(ConvLSTM(hidden=HIDDEN, kernel_size=3))
    frames = torch.rand(2, 1, 2, 12, 12)
    expected = [caster.predict(frames[n : n + 1], 20) for n in (0, 1)]
    inner: list[torch.Tensor] = []
    replay = cuda_graphs.Recording.__call__

    def interrupted(self: cuda_graphs.Recording, inputs: object) -> cuda_graphs.Outputs:
        if not inner:
            thread = Thread(target=lambda: inner.append(caster.predict(frames[1:], 20)))
            thread.start()
            thread.join()
        return replay(self, inputs)

    monkeypatch.setattr(cuda_graphs.Recording, "__call__", interrupted)
    assert torch.equal(caster.predict(frames[:1], 20), expected[0])
    assert torch.equal(inner[0], expected[1])


def test_what_cannot_be_recorded_is_called(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(function: object) -> object:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    x = torch.ones(2)
    said: list[str] = []
    monkeypatch.setattr(cuda_graphs, "record", refuses)
    kept = cuda_graphs.Recordings("the step", said.append)
    assert kept.get("key", lambda tensors: [tensors[0] + 1], [x]) is None
    assert kept.get("key", lambda tensors: [tensors[0] + 1], [x]) is None
    assert said == [
        "CUDA graphs: the step is launched step by step, because torch refused "
        "(operation not permitted when stream is capturing)"
    ]
    cuda_graphs.set_graphs("on")
    with pytest.raises(UsageError, match="not permitted"):
        kept.get("another key", lambda tensors: [tensors[0] + 1], [x])
    with pytest.raises(UsageError, match="auto"):
        cuda_graphs.set_graphs("yes")


def test_a_forgotten_input_is_noticed(fake: Fake) -> None:
    """What the function takes from elsewhere would keep the value of the recording: the first replay shows it."""
    x, said = torch.rand(4), list[str]()
    seen: list[torch.Tensor] = []

    def forgetful(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        seen.append(tensors[0])
        return [seen[min(1, len(seen) - 1)] * 2.0]  # from the second call on that of the second

    assert cuda_graphs.Recordings("it", said.append).get("key", lambda tensors: [tensors[0] * 2.0], [x]) is not None
    stale = x.clone()

    def constant(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        return [tensors[0] * stale.sum()] if tensors[0] is x else [tensors[0] * 7]

    assert cuda_graphs.Recordings("it", said.append).get("key", constant, [x]) is None
    assert "the replay differed by" in said[0]
    not_a_number = cuda_graphs.Recordings("it", said.append)
    assert not_a_number.get("key", lambda tensors: [tensors[0] / 0 - tensors[0] / 0], [x]) is None


def test_buffers_that_are_returned_are_copied(fake: Fake) -> None:
    """Two states that change places: neither overwrites the other."""
    recording = cuda_graphs.Recording(lambda tensors: [tensors[1], tensors[0], None], (torch.ones(1), torch.zeros(1)))
    a, b, none = recording((torch.tensor([1.0]), torch.tensor([2.0])))
    assert none is None
    a, b, _ = recording((a, b))
    assert (a.item(), b.item()) == (1.0, 2.0)


def test_only_a_few_are_kept(fake: Fake) -> None:
    kept = cuda_graphs.Recordings("it")
    for n in [*range(cuda_graphs.KEPT), 0, cuda_graphs.KEPT, 0]:
        kept.get(n, lambda tensors: [tensors[0] + 1], [torch.ones(1)])
    assert fake.recorded == cuda_graphs.KEPT + 1


def recipe(**changes) -> Recipe:
    train = {"steps": 4, "batch_size": 4, "lr": 1e-2, "clip": 0.5, **changes.pop("train", {})}
    fields = {"model": ConvLSTM(hidden=(4,), kernel_size=3), "patch": 8, "context": 3, "horizon": 3}
    data = {"moving_mnist": {"size": 32, "digits": 1}}
    return Recipe.model_validate({**fields, "train": TrainConfig(**train), "data": data, **changes})


def trained(said: Recipe, steps: int = 4) -> tuple[list[float], TrainingState]:
    dataset = open_data(said.data, context=3, horizon=3, seed=0)
    trainer = TrainingState(said, dataset, new_fabric(said, Launch("cpu")))
    size = said.train.batch_size // said.train.accumulate
    batches = training_batches(dataset, seed=0, batch_size=size, accumulate=said.train.accumulate)
    return [trainer.iterate(next(batches))["loss"] for _ in range(steps)], trainer


@every_network
def test_training_is_that_without(model: ModelConfig, fake: Fake) -> None:
    loss = LossConfig(kind="l1l2", decoupling=0.1 if model.name == "predrnn_v2" else 0.0)
    said = recipe(model=model, loss=loss, train={"ema": 0.9})
    cuda_graphs.set_graphs("off")
    expected, plain = trained(said)
    cuda_graphs.set_graphs("auto")
    got, ours = trained(said)
    assert got == expected
    assert (fake.recorded, fake.replayed) == (1, 5)
    for mine, right in zip(ours.parameters, plain.parameters, strict=True):
        assert torch.equal(mine, right)
    assert all(torch.equal(a, b) for a, b in zip(ours.average.values, plain.average.values, strict=True))


@pytest.mark.parametrize(
    "train",
    [{"accumulate": 2}, {"time_reversal": "step"}, {"time_reversal": "augment", "accumulate": 2}, {"dtype": "bf16"}],
)
def test_every_way_to_train(train: dict, fake: Fake) -> None:
    said = recipe(train=train)
    cuda_graphs.set_graphs("off")
    expected, plain = trained(said)
    cuda_graphs.set_graphs("auto")
    got, ours = trained(said)
    assert got == expected
    assert fake.recorded == 1
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters, plain.parameters, strict=True))


def test_gates_are_fused_in_what_is_recorded(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda_graphs.set_graphs("off")
    expected, _ = trained(recipe())
    cuda_graphs.set_graphs("auto")
    asked: list[object] = []
    run = fused_gates._run
    monkeypatch.setattr(fused_gates, "_broken", True)  # no compiler here
    monkeypatch.setattr(fused_gates, "_run", lambda formula, *rest: (asked.append(formula), run(formula, *rest))[1])
    monkeypatch.setattr(kernels, "fusing", fused_gates.fusing)
    assert trained(recipe())[0] == pytest.approx(expected, rel=1e-4)
    assert {
        fused_gates._memory,
        fused_gates._memory_backward,
        fused_gates._output,
        fused_gates._output_backward,
    } == set(asked)


def test_nothing_changes_on_a_loss_that_is_not_finite(fake: Fake) -> None:
    said = recipe()
    _, trainer = trained(said, 2)
    before = [p.detach().clone() for p in trainer.parameters]
    bad = next(training_batches(trainer.dataset, seed=0, batch_size=4))
    bad[0].frames[1, 3] = float("nan")
    replayed = fake.replayed
    with pytest.raises(NonFiniteLoss, match="nothing of this step was saved"):
        trainer.iterate(bad)
    assert fake.replayed == replayed + 1
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.parameters, strict=True))
    assert all(p.grad is None for p in trainer.parameters)
    assert trainer.step == 2


def test_resuming_records_again_and_changes_nothing(fake: Fake) -> None:
    said = recipe(train={"ema": 0.9})
    expected, _ = trained(said)
    first, trainer = trained(said, 2)
    state = trainer.state()
    dataset = trainer.dataset
    again = TrainingState(said, dataset, new_fabric(said, Launch("cpu")))
    again.restore(state)
    batches = training_batches(dataset, seed=0, batch_size=4, start_step=2)
    assert [*first, *(again.iterate(next(batches))["loss"] for _ in range(2))] == expected


def test_what_training_cannot_record_is_said_once(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    said = recipe()
    _, trainer = trained(said, 1)
    heard: list[str] = []
    trainer.say = heard.append
    monkeypatch.setattr("framecast.training.objective.refused", lambda fabric: "two cooks")
    batches = training_batches(trainer.dataset, seed=0, batch_size=4, start_step=1)
    for _ in range(2):
        trainer.iterate(next(batches))
    assert heard == ["CUDA graphs: the training step is launched step by step, because two cooks"]


def test_on_needs_a_gpu_and_is_no_part_of_the_identity() -> None:
    with pytest.raises(UsageError, match=r"cuda_graphs.*on, with cpu"):
        new_fabric(recipe(train={"cuda_graphs": "on"}), Launch("cpu"))
    assert recipe().identity() == recipe(train={"cuda_graphs": "off"}).identity()


def test_without_a_gpu_nothing_is_recorded() -> None:
    caster = forecaster(ConvLSTM(hidden=(3,), kernel_size=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        caster.predict(torch.rand(1, 1, 2, 12, 12), 40)
    assert not cuda_graphs.usable(torch.device("cpu"))
    assert caster.network not in _networks
