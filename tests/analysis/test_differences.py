"""Series with known variance and autocorrelation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.fixtures.cells import Linear, batch, forecaster, small

from framecast.analysis import differences as module
from framecast.analysis.differences import measure_differences, sum_products
from framecast.errors import InputError


def closed(series: torch.Tensor, lags: int) -> tuple[float, list[float]]:
    sums = sum_products(series, lags)
    return float(sums[1] / sums[0]), (sums[1:] / sums[1]).tolist()


def test_a_series_that_alternates() -> None:
    variance, r = closed(torch.tensor([1.0, -1.0] * 4), 3)
    assert variance == 1
    assert r == [1, -7 / 8, 6 / 8]


def test_a_trend_and_its_difference() -> None:
    trend = torch.arange(10.0)[:, None] * torch.tensor([1.0, -2.0])
    variance, r = closed(trend, 2)
    assert variance == pytest.approx(np.var(np.arange(10)) * 2.5)
    assert r[1] == pytest.approx(0.7)
    assert sum_products(trend.diff(dim=0), 2).tolist() == [18, 0, 0]


@settings(max_examples=25)
@drawn(arrays(np.float64, (7, 5), elements=st.floats(-10, 10)), st.integers(1, 4))
def test_sums_add_up_over_units_and_are_those_of_numpy(values: np.ndarray, cut: int) -> None:
    series = torch.from_numpy(values)
    whole = sum_products(series, 3)
    torch.testing.assert_close(sum_products(series[:, :cut], 3) + sum_products(series[:, cut:], 3), whole)
    assert float(whole[1] / whole[0]) == pytest.approx(values.var(0).mean(), abs=1e-12)
    about = values - values.mean(0)
    assert float(whole[3]) == pytest.approx((about[:5] * about[2:]).sum(), abs=1e-9)


def test_the_difference_of_a_sum_is_what_is_summed() -> None:
    """h' = h + x: the difference of H is the frame, but for the first."""
    windows = batch(time=8)
    found = measure_differences(forecaster(Linear(1.0)), [windows], 4)
    assert found.series.tolist() == ["x", "difference of x", "h", "difference of h"]
    assert found.layer.tolist() == [0, 0, 1, 1]
    x, h = list(windows.frames[:, :4].unbind(1)), []
    for t in range(7):
        x = x if t < 4 else [*x, h[-1]]
        h.append(x[t] + (h[-1] if h else 0))
    variance, r = closed(torch.stack(x)[1:], 3)
    assert found.variance[3] == pytest.approx(variance, rel=1e-12)
    np.testing.assert_allclose(found.autocorrelation[3], r, rtol=1e-10)
    assert found.variance[2] == pytest.approx(closed(torch.stack(h), 3)[0], rel=1e-12)
    assert list(module.summarise(found)) == [
        "variance of the difference over its own, frames",
        "variance of the difference over its own, layer 1",
    ]


def test_mim_has_d_from_the_second_step(tmp_path: Path) -> None:
    found = measure_differences(small("mim"), [batch(time=8)], 4)
    assert [(s, n) for s, n in zip(found.series, found.layer, strict=True) if s == "d"] == [("d", 2)]
    assert found.variance[found.series == "d"] > 0
    module.draw(tmp_path, {"run": found}, 4)
    assert (tmp_path / "differences.png").stat().st_size > 8000


def test_too_few_frames() -> None:
    with pytest.raises(InputError, match="4 frames, expected at least 5"):
        measure_differences(forecaster(Linear(1.0)), [batch(time=4)], 2)
