"""The computing thread: batches, a queue with an end, a fault that stays with its request, a model that is swapped."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tests.fixtures.live import tiny_model
from tests.fixtures.served import blobs

from framecast.errors import InputError
from framecast.recipe.recipe import Recipe
from framecast.serving import work as work_module
from framecast.serving.bodies import ArrayBody
from framecast.serving.compute import ComputeThread
from framecast.serving.limits import MemoryBudget, Refusal, RequestMemory, ServiceLimits
from framecast.serving.model import ServedModel
from framecast.serving.work import ArrayWork, BatchRunner

LIMITS = ServiceLimits(queue=20, batch=8)
SERVED = ServedModel(tiny_model(), "tiny", Recipe(), 3)


def make_work(frames: np.ndarray, horizon: str = "2", limits: ServiceLimits = LIMITS) -> ArrayWork:
    return ArrayWork(ArrayBody("npy", frames), horizon, limits, RequestMemory(MemoryBudget(limits.memory)))


@pytest.fixture
def held():
    """A thread that computes nothing before it is let go."""
    gate, sizes = threading.Event(), []

    class HeldModel(ServedModel):
        def make_predictor(self, *sizes: int):
            gate.wait(30)
            return super().make_predictor(*sizes)

    compute = ComputeThread(HeldModel(tiny_model(), "tiny", Recipe(), 3), LIMITS, lambda size, _: sizes.append(size))
    yield compute, gate, sizes
    gate.set()
    compute.close()


def test_equal_shapes_are_computed_together_and_keep_their_bits(held) -> None:
    compute, gate, sizes = held
    first = compute.submit(make_work(blobs(0, 4, 16, 16)))
    while compute.waiting:
        pass
    inputs = [blobs(n, 3, 24, 24) for n in range(1, 11)]
    answers = [compute.submit(make_work(frames)) for frames in inputs]
    other = compute.submit(make_work(blobs(50, 3, 24, 24), "3"))
    gate.set()
    for frames, answer in zip(inputs, answers, strict=True):
        np.testing.assert_array_equal(answer.result(60).values[0, 0, :, 0], tiny_model().predict(frames, 2))
    assert other.result(60).values.shape[2] == 3
    assert first.result(60).values.shape[2] == 2
    assert sizes == [1, 8, 2, 1]


def test_shapes_that_come_by_turns_are_sorted_out(held) -> None:
    compute, gate, sizes = held
    first = compute.submit(make_work(blobs(0, 4, 16, 16)))
    while compute.waiting:
        pass
    inputs = [blobs(n, 3, *((24, 24), (16, 20), (12, 8))[n % 3]) for n in range(12)]
    answers = [compute.submit(make_work(frames)) for frames in inputs]
    gate.set()
    for frames, answer in zip(inputs, answers, strict=True):
        np.testing.assert_array_equal(answer.result(60).values[0, 0, :, 0], tiny_model().predict(frames, 2))
    assert first.result(60)
    assert sizes == [1, 4, 4, 4]


def test_a_batch_that_changes_bits_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    true, calls = work_module._predict, []

    def predict(served, tasks):
        calls.append(len(tasks))
        return true(served, tasks) + (1e-3 if len(tasks) > 1 else 0)

    monkeypatch.setattr(work_module, "_predict", predict)
    runner, inputs = BatchRunner(), [blobs(n, 3, 24, 24) for n in range(3)]
    for _ in range(2):
        results = runner.run(SERVED, [make_work(frames) for frames in inputs])
        for frames, result in zip(inputs, results, strict=True):
            np.testing.assert_array_equal(result.values[0, 0, :, 0], tiny_model().predict(frames, 2))
    assert calls == [2, 1, 1, 1, 1, 1, 1]


def test_batches_are_compared_once_then_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    true, calls = work_module._predict, []
    monkeypatch.setattr(
        work_module, "_predict", lambda served, tasks: (calls.append(len(tasks)), true(served, tasks))[1]
    )
    runner = BatchRunner()
    for _ in range(3):
        runner.run(SERVED, [make_work(blobs(n, 3, 24, 24)) for n in range(2)])
    assert calls == [2, 1, 1, 2, 2]


def test_the_fault_of_one_request_is_not_that_of_its_neighbours() -> None:
    bad = np.full((3, 24, 24), np.inf, np.float32)
    good = blobs(1, 3, 24, 24)
    results = BatchRunner().run(SERVED, [make_work(good), make_work(bad), make_work(good)])
    assert isinstance(results[1], InputError)
    for result in (results[0], results[2]):
        np.testing.assert_array_equal(result.values[0, 0, :, 0], tiny_model().predict(good, 2))


def test_batches_keep_within_the_memory() -> None:
    need = SERVED.estimate_bytes(3, 2, 1, 24, 24)
    limits, calls = ServiceLimits(memory=3 * need), []
    runner = BatchRunner()
    runner._run_tasks = lambda served, key, tasks: calls.append(len(tasks)) or [InputError("x")] * len(tasks)
    runner.run(SERVED, [make_work(blobs(n, 3, 24, 24), limits=limits) for n in range(8)])
    assert calls == [2, 2, 2, 2]


def test_a_full_queue_refuses(held) -> None:
    compute, gate, _ = held
    compute.submit(make_work(blobs(0, 4, 16, 16)))
    while compute.waiting:
        pass
    answers = [compute.submit(make_work(blobs(n, 3, 24, 24))) for n in range(LIMITS.queue)]
    with pytest.raises(Refusal) as refused:
        compute.submit(make_work(blobs(0, 3, 24, 24)))
    assert refused.value.status == 503
    assert refused.value.retry_after >= 1
    answers[3].cancel()
    gate.set()
    assert all(answer.cancelled() or answer.result(60) for answer in answers)


def test_close_computes_what_waits(held) -> None:
    compute, gate, _ = held
    answers = [compute.submit(make_work(blobs(n, 3, 24, 24))) for n in range(5)]
    gate.set()
    compute.close()
    assert all(answer.done() for answer in answers)
    with pytest.raises(Refusal):
        compute.submit(make_work(blobs(0, 3, 24, 24)))


def test_the_memory_of_all_requests_has_an_end() -> None:
    budget = MemoryBudget(100)
    one, other = RequestMemory(budget), RequestMemory(budget)
    one.take(60)
    with pytest.raises(Refusal) as refused:
        other.take(50)
    assert refused.value.status == 503
    with pytest.raises(Refusal) as refused:
        other.take(101)
    assert refused.value.status == 413
    one.release()
    one.release()
    other.take(50)
    assert budget.held == 50
