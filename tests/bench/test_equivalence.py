"""Networks that compute something else are refused, and framecast's own forms and the plain one are not."""

import pytest
import torch
from benchmarks import plain
from tests.fixtures.commands import unchecked

from framecast import kernels
from framecast.bench.equivalence import LIMITS, compare, compute_relative_error
from framecast.bench.implementations import (
    FramecastImplementation,
    OpponentImplementation,
    SharedTraining,
    make_implementations,
    switched,
)
from framecast.bench.settings import Setting
from framecast.bench.workload import make_workload
from framecast.errors import UsageError, WrongNumbers

TINY = Setting(
    name="tiny", size=(32, 32), patch=8, hidden=(4, 4), kernel_size=3, context=3, horizon=3, train_batches=(2,)
)
MODEL = "predrnn_v2"


class Wrong(torch.nn.Module):
    """The plain form with a fault."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        config, decoupling = TINY.make_config(MODEL), TINY.get_decoupling(MODEL)
        self.inner = plain.build(config, TINY.patch**2, TINY.cells, decoupling=decoupling)
        self.inner.take_weights(SharedTraining(TINY, MODEL).forecaster.network)
        self.fault, self.calls = fault, 0
        self.gradients = self.inner.gradients

    def take_weights(self, network) -> None:
        self.inner.take_weights(network)

    def forward(self, frames, mask):
        self.calls += 1
        future, loss = self.inner(frames, mask)
        if self.fault == "outputs":
            future = future * (1 + 3 * LIMITS["outputs"])
        if self.fault == "gradients":
            loss = loss + 1e-3 * self.inner.cells[1].conv_h.weight.sum()
        if self.fault == "curve" and self.calls > 9:
            loss = loss + 3 * LIMITS["curve"]
        if self.fault == "nan":
            future = future * float("nan")
        return future, loss


def test_all_forms_agree() -> None:
    names = ["benchmarks.plain:build", "benchmarks.plain:checkpointed", "direct", "fast", "low"]
    with unchecked():
        found = compare(make_implementations(names, TINY, MODEL, shared=False), make_workload(TINY, MODEL, 2))
    assert [gate.contender for gate in found] == ["plain", "plain-checkpointed", "direct", "fast", "low"]
    for gate in found:
        assert 0 < gate.outputs < LIMITS["outputs"]
        assert 0 < gate.gradients < LIMITS["gradients"]
        assert gate.worst in dict(SharedTraining(TINY, MODEL).forecaster.network.named_parameters())
        assert gate.curve < LIMITS["curve"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("outputs", "outputs of B"),
        ("gradients", r"gradients of B at cells.1.conv_h"),
        ("curve", "curve of B"),
        ("nan", "outputs of B"),
    ],
)
def test_a_wrong_network_is_refused(fault: str, said: str) -> None:
    right, wrong = (OpponentImplementation(name, Wrong(fault), TINY) for name, fault in (("A", ""), ("B", fault)))
    with pytest.raises(WrongNumbers, match=said):
        compare([right, wrong], make_workload(TINY, MODEL, 1))


def test_gradients_by_other_names_are_refused() -> None:
    module = Wrong("")
    module.gradients = lambda: {"weight": torch.zeros(3)}
    with pytest.raises(WrongNumbers, match=r"not those of framecast: cells\.0\.conv_h\.weight"):
        compare([OpponentImplementation("B", module, TINY)], make_workload(TINY, MODEL, 1))


def test_contenders_start_alike_and_priming_changes_nothing() -> None:
    given = make_workload(TINY, MODEL, 2)
    first, second = (FramecastImplementation(name, SharedTraining(TINY, MODEL), "highest", "fast") for name in "AB")
    second.prime()
    assert second.training.optimizer.state
    assert torch.equal(first.predict(given), second.predict(given))
    assert first.train_step(given) == second.train_step(given)
    assert first.train_step(given) < first.compute_gradients(given)[0] * 1.5


def test_switches_come_back() -> None:
    before = kernels.get_precision(), kernels.get_memory()
    with switched("highest", "low"):
        assert (kernels.get_precision(), kernels.get_memory()) == ("highest", "low")
        with pytest.raises(UsageError), switched("quick", "fast"):
            pass
        assert kernels.get_precision() == "highest"
    assert (kernels.get_precision(), kernels.get_memory()) == before


def test_relative_errors() -> None:
    truth = torch.tensor([3.0, 4.0])
    assert compute_relative_error(truth + torch.tensor([0.0, 0.5]), truth) == pytest.approx(0.1)
    assert compute_relative_error(torch.full((2,), float("nan")), truth) == float("inf")
    assert compute_relative_error(torch.zeros(3), truth) == float("inf")
    assert compute_relative_error(torch.ones(1), torch.zeros(1)) == 1.0
