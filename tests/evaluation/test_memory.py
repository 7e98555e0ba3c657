"""Evaluations within a limit of memory: fewer sequences at a time, tiles, and the same scores."""

import numpy as np
import pytest

from framecast.errors import UsageError
from framecast.evaluation.memory import LIBRARIES
from framecast.evaluation.prepare import EvaluationOptions, prepare_suite
from framecast.forecasting.memory_plan import SPARE, MemoryLimits
from framecast.memory_usage import held_bytes

ASKED = EvaluationOptions(context=4, horizon=4, metrics=["mse"], baselines=[], batch_size=8, limit=6)


@pytest.fixture
def waves(tmp_path):
    y, x = np.mgrid[:256, :256]
    frames = [np.sin((x + 3 * t) / 9) + np.cos((y - 2 * t) / 7) for t in range(16)]
    np.save(tmp_path / "waves.npy", np.float32(frames))
    return {"source": str(tmp_path / "waves.npy"), "dims": "thw"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("run", ["mean", "rain"])
def test_a_limit_takes_fewer_sequences_at_a_time_and_no_score_changes(waves, run: str) -> None:
    data = {**waves, "units": "dBZ", "range": (0.0, 2.0), "step_minutes": 5.0}
    asked = ASKED if run == "mean" else ASKED._replace(context=None)
    free = prepare_suite(run, data, asked, device="cpu")
    limit = held_bytes() + LIBRARIES + SPARE + (130 << 20 if run == "rain" else 60 << 20)
    bound = prepare_suite(run, data, asked._replace(room=MemoryLimits(limit)), device="cpu")
    assert free.options.batch_size == 8
    assert 1 <= bound.options.batch_size < 8
    assert any(note.startswith("memory: ") for note in bound.dataset.notes)
    name = next(iter(free.forecasts))
    scores = [suite.score(quiet=True).scores[name].by_lead()["mse"] for suite in (free, bound)]
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-6)


def test_a_limit_that_one_sequence_passes_is_refused(waves) -> None:
    with pytest.raises(UsageError, match=r"memory: got a limit of 1.05 MB, expected about"):
        prepare_suite("mean", waves, ASKED._replace(room=MemoryLimits(1 << 20)), device="cpu")
