"""Schedules are the training's own, closed forms and draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from framecast.analysis import schedules as module
from framecast.analysis.schedules import Schedules, tabulate_schedules
from framecast.plotting.figure import COLOURS
from framecast.recipe.learning_rate import Constant, OneCycle
from framecast.recipe.scheduled_sampling import Forced, Free, ReverseScheduledSampling, Sampling, ScheduledSampling


def made(sampling: Sampling, **options) -> Schedules:
    given = {"lr": 1e-3, "steps": 1000, "seed": 3, "batch_size": 4, "context": 5, "frames": 12} | options
    return tabulate_schedules(sampling, given.pop("learning_rate", Constant()), **given)


def test_linear_with_its_kin() -> None:
    found = made(ScheduledSampling(stop=500))
    np.testing.assert_allclose(found.decoder, np.clip(1 - found.iteration / 500, 0, None), atol=1e-12)
    assert (found.encoder == 1).all()
    assert found.curve.tolist()[:3] == ["scheduled: linear", "scheduled: exponential", "scheduled: inverse sigmoid"]
    np.testing.assert_allclose(found.curve_decoder[0], found.decoder)
    assert (found.curve_decoder[:3, found.iteration >= 500] == 0).all()
    assert module.summarise(found)["iteration from which on sampling no longer changes"] == 500


def test_reverse_begins_half_true_on_both_sides() -> None:
    found = made(ReverseScheduledSampling(step_1=200, step_2=600))
    before, after = found.iteration < 200, found.iteration >= 600
    assert (found.encoder[before] == 0.5).all()
    assert (found.decoder[before] == 0.5).all()
    assert (found.encoder[after] == 1).all()
    assert (found.decoder[after] == 0).all()
    np.testing.assert_allclose(found.curve_encoder[4], found.encoder)  # reverse: exponential
    assert found.curve.tolist()[4] == "reverse: exponential"


@pytest.mark.parametrize(("sampling", "within"), [(Free(), False), (Forced(), True)])
def test_free_and_forced_are_drawn_so(sampling: Sampling, within: bool) -> None:
    found = made(sampling)
    assert found.fed.shape == (5, 4, 11)
    assert found.fed[..., :5].all()
    assert (found.fed[..., 5:] == within).all()


def test_draws_are_those_of_the_training() -> None:
    sampling = ScheduledSampling(stop=900)
    found = made(sampling)
    assert found.moment.tolist() == [1, 301, 600, 900, 1000]
    own = sampling.known(600, 1000, seed=3, batch=4, context=5, frames=12).numpy()
    assert np.array_equal(found.fed[2], own)
    assert 0 < own[:, 5:].mean() < 1
    assert made(sampling, batch_size=40).fed.shape[1] == 16


def test_learning_rate_and_a_short_training() -> None:
    found = made(Free(), learning_rate=OneCycle(), steps=7)
    assert found.iteration.tolist() == list(range(1, 8))
    assert found.rate.tolist() == [1e-3 * OneCycle().factor(i, 7) for i in range(1, 8)]
    assert made(Free(), steps=1).fed.shape == (1, 4, 11)


def test_pictures(tmp_path: Path) -> None:
    runs = {"a": made(ScheduledSampling()), "b": made(ReverseScheduledSampling())}
    module.draw(tmp_path, runs, 5)
    for name in runs:
        with Image.open(tmp_path / f"{name}-schedules.png") as picture:
            colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
        assert {ImageColor.getrgb(COLOURS[number]) for number in (0, 4)} <= colours  # true frames, own predictions
