"""Fields of bases: means over squares, matching by rank, the fit by least squares, and the loss of events."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from framecast.bases import Fitted, match_values
from framecast.bases.base import smooth
from framecast.bases.constant import LastFrame
from framecast.recipe.loss_terms import FEW, SoftCSI
from framecast.transforms.normalize import Range


@pytest.mark.parametrize("radius", [1, 3, 7, 40])
def test_means_are_over_what_lies_within_the_map(radius: int) -> None:
    maps = torch.rand(2, 3, 20, 27, dtype=torch.float64)
    size = (1, 1, 2 * radius + 1, 2 * radius + 1)
    sums = [uniform_filter(part, size, mode="constant") for part in (maps.numpy(), np.ones(maps.shape))]
    np.testing.assert_allclose(smooth(maps, radius).numpy(), sums[0] / sums[1], atol=1e-12)


def test_a_matched_forecast_has_the_ranks_of_one_field_and_the_values_of_another() -> None:
    forecast, values = torch.rand(1, 1, 9, 8), 50 * torch.rand(1, 1, 9, 8)
    known = torch.ones(1, 1, 9, 8, dtype=torch.bool)
    known[..., :2] = False
    matched = match_values(forecast, values, known)
    torch.testing.assert_close(matched[..., :2], forecast[..., :2])
    found, ranks = matched[known], forecast[known]
    torch.testing.assert_close(found.sort().values, values[known].sort().values)
    torch.testing.assert_close(found.argsort(), ranks.argsort())


def test_the_fit_finds_a_linear_law() -> None:
    generator = torch.Generator().manual_seed(0)
    base = Fitted(LastFrame(), 1, 2, None)

    def windows():
        for _ in range(8):
            past = torch.rand(1, 4, 1, 16, 16, generator=generator)
            future = torch.stack([0.5 * past[:, -1] + 0.1, 0.25 * past[:, -1] + 0.2], 1)
            frames = torch.cat([past, future], 1)
            yield frames, torch.ones_like(frames, dtype=torch.bool), None

    base.fit(windows(), 4)
    frames, seen, _ = next(windows())
    state = None
    for t in range(4):
        state = base.observe(frames[:, t], seen[:, t], state)
    for lead, fields in zip(range(2), base.look_ahead(state), strict=False):
        torch.testing.assert_close(fields.forecast, frames[:, 4 + lead], atol=1e-3, rtol=0)


def test_soft_events_by_hand() -> None:
    term = SoftCSI(thresholds=(15.0,), width=2.0)
    truth, forecast = torch.tensor([20.0, 10.0, 30.0]), torch.tensor([17.0, 15.0, 0.0])
    valid = torch.tensor([True, True, False])
    shape = (1, 1, 1, 1, 3)
    loss = term.compute(*(x.view(shape) / 70 for x in (forecast, truth)), valid.view(shape), Range(low=0, high=70))
    soft = 1 / (1 + np.exp(-np.array([1.0, 0.0])))
    assert float(loss) == pytest.approx(1 - soft[0] / (1 + soft[1] + FEW), rel=1e-5)
