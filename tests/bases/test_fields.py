"""Fields of bases: means over squares, matching by rank, the fit by least squares, and the loss of events."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from framecast.bases import Fitted, match_values
from framecast.bases.base import smooth
from framecast.bases.constant import LastFrame
from framecast.bases.extrapolation import AdvectedFrame
from framecast.bases.seasonal import LastPeriod
from framecast.recipe.loss_terms import FEW, SoftCSI
from framecast.transforms.normalize import Range


@pytest.mark.parametrize("radius", [1, 3, 7, 40])
def test_means_are_over_what_lies_within_the_map(radius: int) -> None:
    maps = torch.rand(2, 3, 20, 27, dtype=torch.float64)
    size = (1, 1, 2 * radius + 1, 2 * radius + 1)
    sums = [uniform_filter(part, size, mode="constant") for part in (maps.numpy(), np.ones(maps.shape))]
    np.testing.assert_allclose(smooth(maps, radius).numpy(), sums[0] / sums[1], atol=1e-12)


def test_wide_maps_are_averaged_alike() -> None:
    maps = torch.rand(1, 1, 30, 2100)
    torch.testing.assert_close(smooth(maps, 7)[..., :1990], smooth(maps[..., :2000], 7)[..., :1990], atol=1e-4, rtol=0)


def test_a_matched_forecast_has_the_ranks_of_one_field_and_the_values_of_another() -> None:
    forecast, values = torch.rand(1, 1, 9, 8), 50 * torch.rand(1, 1, 9, 8)
    known = torch.ones(1, 1, 9, 8, dtype=torch.bool)
    known[..., :2] = False
    matched = match_values(forecast, values, known)
    found, ranks = matched[known], forecast[known]
    torch.testing.assert_close(found.sort().values, values[known].sort().values)
    torch.testing.assert_close(found.argsort(), ranks.argsort())


def test_matching_fades_out_beyond_the_known_area() -> None:
    forecast, known = torch.full((1, 1, 40, 60), 2.0), torch.zeros(1, 1, 40, 60, dtype=torch.bool)
    known[..., :30] = True
    forecast[..., 20:, 33] = 0.0
    columns = match_values(forecast, torch.full_like(forecast, 5.0), known)[0, 0, :8].double().numpy()
    fading = [2.0 + 3.0 * (9 - beyond) / 17 / 0.5 for beyond in range(1, 9)]
    np.testing.assert_allclose(columns, np.tile([*[5.0] * 30, *fading, *[2.0] * 22], (8, 1)), atol=1e-5)
    np.testing.assert_array_equal(columns[:, 38:], 2.0)
    # no rain is made where there is none
    assert match_values(forecast, torch.full_like(forecast, 5.0), known)[0, 0, 30, 33] == 0


def test_pixels_of_equal_value_are_ordered_by_what_is_near() -> None:
    forecast, known = torch.zeros(1, 1, 30, 30), torch.ones(1, 1, 30, 30, dtype=torch.bool)
    forecast[..., 10:13, 10:13] = 1.0
    values = torch.zeros_like(forecast)
    values[..., 20:25, 5:10] = torch.arange(1.0, 26.0).view(5, 5)
    matched = match_values(forecast, values, known)[0, 0]
    rows, columns = matched.nonzero().unbind(1)
    assert len(rows) == 25
    assert (rows - 11).abs().max() <= 3
    assert (columns - 11).abs().max() <= 3
    assert float(matched[10:13, 10:13].min()) == 17.0


@pytest.mark.parametrize(("given", "before"), [(3, None), (4, 0), (5, 0), (7, 2)])
def test_the_season_says_how_far_persistence_and_the_last_period_are(given: int, before: int | None) -> None:
    """The frame one period before the newest; of a context of just one period the frame after that one."""
    frames = torch.rand(given, 2, 1, 5, 6, dtype=torch.float64)
    base, state = LastPeriod(4), None
    for frame in frames:
        state = base.observe(frame, torch.ones_like(frame, dtype=torch.bool), state)
    for lead, fields in zip(range(1, 7), base.look_ahead(state), strict=False):
        back = 4 - (lead - 1) % 4
        season = frames[-back] if back <= given else frames[-1]
        assert torch.equal(fields.forecast, season)
        assert torch.equal(fields.changes[:, 0], frames[-1] - season)
        anomaly = torch.zeros_like(season) if before is None else frames[-1] - frames[before]
        assert torch.equal(fields.changes[:, 1], anomaly)
        assert fields.changes.shape[1] == base.changes


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


def test_a_fitted_base_adds_up_its_features() -> None:
    generator = torch.Generator().manual_seed(1)
    base = Fitted(AdvectedFrame(2), 2, 3, 0.0)
    base.weights.copy_(torch.randn(base.weights.shape, generator=generator))
    frames, state = torch.rand(4, 2, 2, 24, 40, generator=generator), None
    for frame in frames:
        state = base.observe(frame, torch.ones_like(frame, dtype=torch.bool), state, torch.full((2, 2, 24, 40), 3.0))
    pace = torch.tensor([1.0, 0.5])
    inner = base.inner.look_ahead(state)
    for lead, fields in zip(range(1, 4), base.look_ahead(state, pace), strict=False):
        features = base.list_features(next(inner))
        assert not fields.known.all()
        for sequence in range(2):
            weights = (
                base.weights[lead] if sequence == 0 else (base.weights[lead // 2] + base.weights[-(-lead // 2)]) / 2
            )
            expected = torch.einsum("cf,cfhw->chw", weights, features[sequence]).clamp_min(0)
            torch.testing.assert_close(fields.forecast[sequence], expected, atol=2e-5, rtol=0)


def test_features_stand_in_the_order_of_saved_weights() -> None:
    base, state = Fitted(AdvectedFrame(1), 1, 1, None), None
    for _ in range(2):
        frame = torch.rand(1, 1, 24, 40)
        state = base.observe(frame, torch.ones_like(frame, dtype=torch.bool), state, torch.full((1, 2, 24, 40), 3.0))
    fields = next(base.inner.look_ahead(state))
    known, blurs = fields.known.float(), [smooth(fields.forecast, radius) for radius in (1, 3, 7, 15)]
    means = [fields.mean, smooth(fields.mean, 7)]
    one = torch.ones_like(fields.mean)
    inside = [part * known for part in (fields.forecast, *blurs, *means, one)]
    outside = [part * (1 - known) for part in (fields.forecast, *means, *blurs[1:], one)]
    changes = [change * known for change in fields.changes.unbind(1)]
    torch.testing.assert_close(base.list_features(fields), torch.stack([*inside, *outside, *changes], 2))


def test_soft_events_by_hand() -> None:
    term = SoftCSI(thresholds=(15.0,), width=2.0)
    truth, forecast = torch.tensor([20.0, 10.0, 30.0]), torch.tensor([17.0, 15.0, 0.0])
    valid = torch.tensor([True, True, False])
    shape = (1, 1, 1, 1, 3)
    loss = term.compute(*(x.view(shape) / 70 for x in (forecast, truth)), valid.view(shape), Range(low=0, high=70))
    soft = 1 / (1 + np.exp(-np.array([1.0, 0.0])))
    assert float(loss) == pytest.approx(1 - soft[0] / (1 + soft[1] + FEW), rel=1e-5)


def test_a_season_that_is_missing_is_the_last_frame() -> None:
    """Frames before the beginning of a sequence, as training windows have them, and pixels that were not seen then."""
    base = LastPeriod(4)
    frames = torch.tensor([0.0, 0.0, 10.0, 11.0, 12.0])[:, None, None, None, None].expand(-1, 1, 1, 3, 3)
    state, short = None, None
    for frame, there in zip(frames, [False, False, True, True, True], strict=True):
        seen = torch.full_like(frame, there, dtype=torch.bool)
        state = base.observe(frame, seen, state)
        short = base.observe(frame, seen, short) if there else None
    for absent, given in zip(islice(base.look_ahead(state), 6), base.look_ahead(short), strict=False):
        assert torch.equal(absent.forecast, given.forecast)
