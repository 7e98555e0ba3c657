import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from framecast.recipe.scheduled_sampling import Forced, Free, ReverseScheduledSampling, Sampling, ScheduledSampling

OFFICIAL = ScheduledSampling(rate=2e-5, stop=50_000)
OFFICIAL_REVERSE = ReverseScheduledSampling(step_1=25_000, step_2=50_000, alpha=2_500)


@pytest.mark.parametrize(
    ("iteration", "expected"), [(1, 0.99998), (25_000, 0.5), (49_999, 2.0e-5), (50_000, 0.0), (80_000, 0.0)]
)
def test_official_linear_values(iteration: int, expected: float) -> None:
    assert OFFICIAL.probability(iteration, 80_000) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("iteration", "encoder", "decoder"),
    [(1, 0.5, 0.5), (24_999, 0.5, 0.5), (27_500, 0.81606, 0.45), (37_500, 0.99663, 0.25), (50_000, 1.0, 0.0)],
)
def test_official_reverse_values(iteration: int, encoder: float, decoder: float) -> None:
    got = OFFICIAL_REVERSE.probabilities(iteration, 80_000)
    assert got == pytest.approx((encoder, decoder), abs=5e-6)


def test_defaults_take_the_official_share_of_any_training() -> None:
    for schedule, official in ((ScheduledSampling(), OFFICIAL), (ReverseScheduledSampling(), OFFICIAL_REVERSE)):
        for share in (0.0125, 0.3, 0.5, 0.6, 0.7, 1.0):
            short, long = round(800 * share), round(80_000 * share)
            assert schedule.probabilities(short, 800) == pytest.approx(official.probabilities(long, 80_000), abs=1e-3)


def test_other_curves() -> None:
    exponential = ScheduledSampling(curve="exponential", k=0.99, stop=500)
    assert exponential.probability(100, 0) == pytest.approx(0.99**100)
    sigmoid = ScheduledSampling(curve="inverse_sigmoid", k=20.0, stop=500)
    assert sigmoid.probability(60, 0) == pytest.approx(20 / (20 + math.exp(3)))
    linear = ReverseScheduledSampling(curve="linear", step_1=10, step_2=30)
    assert linear.probabilities(20, 0) == pytest.approx((0.75, 0.25))
    logistic = ReverseScheduledSampling(curve="sigmoid", step_1=10, step_2=30, alpha=2)
    assert logistic.probabilities(20, 0)[0] == pytest.approx(0.75)


@given(
    schedule=st.sampled_from([ScheduledSampling(), ReverseScheduledSampling(), Free(), Forced()]),
    iteration=st.integers(1, 1000),
    batch=st.integers(1, 6),
    context=st.integers(1, 6),
    horizon=st.integers(1, 6),
)
def test_draws_are_pure_and_well_formed(schedule, iteration: int, batch: int, context: int, horizon: int) -> None:
    ask = {"seed": 3, "batch": batch, "context": context, "frames": context + horizon}
    known = schedule.known(iteration, 1000, **ask)
    assert known.shape == (batch, context + horizon - 1)
    assert known.dtype == torch.bool
    assert known[:, 0].all()
    assert torch.equal(known, schedule.known(iteration, 1000, **ask))
    if not isinstance(schedule, ReverseScheduledSampling):
        assert known[:, :context].all()
    if isinstance(schedule, Free):
        assert not known[:, context:].any()


def test_draws_have_their_probability() -> None:
    known = OFFICIAL_REVERSE.known(27_500, 80_000, seed=0, batch=4000, context=10, frames=20)
    assert known[:, 1:10].float().mean().item() == pytest.approx(0.81606, abs=0.01)
    assert known[:, 10:].float().mean().item() == pytest.approx(0.45, abs=0.01)


def test_seeds_and_iterations_differ() -> None:
    ask = {"batch": 8, "context": 10, "frames": 20}
    draws = [OFFICIAL.known(i, 80_000, seed=s, **ask) for i, s in ((25_000, 0), (25_001, 0), (25_000, 1))]
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "scheduled", "curve": "linear", "k": 2.0},
        {"kind": "scheduled", "curve": "exponential", "rate": 0.1},
        {"kind": "scheduled", "curve": "exponential", "k": 1.5},
        {"kind": "scheduled", "curve": "inverse_sigmoid", "k": 0.5},
        {"kind": "reverse", "step_1": 20, "step_2": 10},
        {"kind": "scheduled", "curve": "exponential", "start": 0.3},
        {"kind": "scheduled", "start": 0.1, "floor": 0.5},
    ],
)
def test_contradictions_are_refused(fields: dict) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Sampling).validate_python(fields)


def test_a_schedule_must_fit_into_the_training() -> None:
    ReverseScheduledSampling(step_1=25_000).check(80_000)
    with pytest.raises(ValueError, match="less than step_2, which is 6250"):
        ReverseScheduledSampling(step_1=25_000).check(10_000)
