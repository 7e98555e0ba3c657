"""Products against numpy, their names, units and CF form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.ensembles.frames import SPEC, make_past

from framecast.cf.dataset import to_dataset
from framecast.ensembles.calibration.calibration_file import EnsembleCalibration
from framecast.ensembles.product_names import parse_product
from framecast.ensembles.products import make_products
from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.forecasting.baselines import Persistence
from framecast.types import Grid

RNG = np.random.default_rng(0)
MEMBERS = RNG.uniform(0, 60, (1, 7, 4, 1, 48, 56)).astype(np.float32)


def products(names: str, calibration: EnsembleCalibration | None = None, grid: Grid | None = None) -> Forecast:
    forecast = Persistence(SPEC).forecast(make_past(grid=grid), 4)
    leads = torch.from_numpy(MEMBERS).unbind(2)
    return make_products(forecast, leads, [parse_product(name) for name in names.split(",")], calibration)


def test_products_are_those_of_numpy() -> None:
    made = products("mean,median,spread,min,max,p10,p90,prob@25").values[0, 0]
    x = MEMBERS[0, :, :, 0].astype(np.float64)
    expected = [x.mean(0), np.median(x, 0), x.std(0, ddof=1), x.min(0), x.max(0), *np.quantile(x, (0.1, 0.9), axis=0)]
    expected.append((x >= 25).mean(0))
    assert made.shape == (4, 8, 48, 56)
    for number, one in enumerate(expected):
        np.testing.assert_allclose(made[:, number], one, rtol=1e-4, atol=1e-4)


def test_the_past_of_a_probability_is_what_came_true() -> None:
    made = products("prob@25,mean,sum10:prob@0.5")
    past = Persistence(SPEC).forecast(make_past(), 4).past_values[:, :, 0]
    shown = made.past_values
    np.testing.assert_array_equal(shown[:, :, 0], np.where(np.isnan(past), np.nan, past >= 25))
    np.testing.assert_array_equal(shown[:, :, 1], past)
    assert np.isnan(shown[:, :, 2]).all()
    alone = products("prob@25,prob@40").spec
    assert (alone.low, alone.high, alone.units) == (0.0, 1.0, "1")


def test_sums_are_made_of_each_member_before_percentiles() -> None:
    """Of dBZ: rain rates by Z = 200 R^1.6, summed over 10 minutes, in mm; the first step has only 5."""
    made = products("sum10:p50,sum10:prob@0.5").values[0, 0]
    rates = (10 ** (MEMBERS[0, :, :, 0].astype(np.float64) / 10) / 200) ** (1 / 1.6)
    sums = (rates[:, :-1] + rates[:, 1:]) * 5 / 60
    assert np.isnan(made[0]).all()
    np.testing.assert_allclose(made[1:, 0], np.median(sums, 0), rtol=1e-4)
    np.testing.assert_allclose(made[1:, 1], (sums >= 0.5).mean(0), atol=1e-6)


def test_events_nearby() -> None:
    near = products("prob@55/3px").values[0, 0, 0, 0]
    events = MEMBERS[0, :, 0, 0] >= 55
    rows, columns = np.indices((48, 56))
    for row, column in ((0, 0), (20, 30), (47, 55)):
        disc = np.hypot(rows - row, columns - column) <= 3
        assert near[row, column] == pytest.approx(events[:, disc].any(1).mean(), abs=1e-6)
    grid = Grid(x=tuple(2000.0 * n for n in range(56)), y=tuple(2000.0 * n for n in range(48)), axis_units="m")
    np.testing.assert_array_equal(products("prob@55/6km", grid=grid).values[0, 0, 0, 0], near)
    with pytest.raises(UsageError, match="prob@55/6km: got a grid in 1, expected one in m or km"):
        products("prob@55/6km")


def test_the_matched_mean_has_the_values_of_the_members() -> None:
    made = products("mean,pmm").values[0, 0, 0]
    order = np.argsort(made[0].ravel(), kind="stable")
    matched = made[1].ravel()[order]
    assert (np.diff(matched) >= 0).all()
    assert matched.std() == pytest.approx(MEMBERS[0, :, 0].std(), rel=0.01)
    assert made[0].std() < 0.5 * matched.std()


def test_their_names_and_units_are_in_the_file() -> None:
    data = to_dataset(products("p90,prob@25,sum10:mean"))
    assert [data[name].attrs["units"] for name in list(data.data_vars)[:3]] == ["dBZ", "1", "mm"]
    assert "probability of a value of at least 25 dBZ" in [data[name].attrs["long_name"] for name in data.data_vars]
    assert data.sizes["time"] == 4


def test_members_are_realizations() -> None:
    from dataclasses import replace

    forecast = replace(Persistence(SPEC).forecast(make_past(), 4), frames=torch.from_numpy(MEMBERS))
    data = to_dataset(forecast)
    assert data.realization.attrs["standard_name"] == "realization"
    assert data.sizes["realization"] == 7


@pytest.mark.parametrize("name", ["p101", "prob", "prob@x", "sum60", "means", "prob@1/3mi", "lower", "sum60:lower80"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(UsageError, match="--product"):
        parse_product(name)


def test_sums_need_whole_steps() -> None:
    with pytest.raises(UsageError, match="sum7: got steps of 5 minutes"):
        products("sum7:mean")
