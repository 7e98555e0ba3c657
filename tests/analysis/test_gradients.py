"""Norms of gradients: of a linear network by hand, of the others by differentiating a plain rollout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from tests.fixtures.cells import SMALL, SPEC, Linear, batch, forecaster, small

from framecast import kernels
from framecast.analysis import gradients as module
from framecast.analysis.gradients import combine_layers, measure_gradients
from framecast.analysis.trace import encode_input
from framecast.forecasting.forecaster import Forecaster
from framecast.nn.rollout import rollout
from framecast.transforms.normalize import Identity
from framecast.transforms.patches import unpatchify

FACTORS = st.floats(-1.5, 1.5, allow_nan=False).map(lambda value: round(value, 3))


def by_hand(frames: np.ndarray, context: int, a: float, b: float) -> dict[str, np.ndarray]:
    """h' = a h + b m + x, m' = m + h', x the last h beyond the context; the recursions forward and backward."""
    steps = frames.shape[1] - 1
    h = m = np.zeros_like(frames[:, 0])
    for t in range(steps):
        h = a * h + b * m + (frames[:, t] if t < context else h)
        m = m + h
    size = np.sqrt(np.square(2 * (h - frames[:, -1])).sum((1, 2, 3)))
    of_h, of_m = np.zeros(steps), np.zeros(steps)
    of_h[-1] = 1.0
    for t in range(steps - 2, -1, -1):
        of_m[t] = b * of_h[t + 1] + of_m[t + 1]
        of_h[t] = of_m[t] + a * of_h[t + 1] + (of_h[t + 1] if t + 1 >= context else 0)
    x = of_h.copy()
    return {symbol: size[:, None] * np.abs(values) for symbol, values in (("x", x), ("h", of_h), ("m", of_m))}


@settings(max_examples=12)
@drawn(FACTORS, FACTORS, st.integers(1, 6))
def test_a_linear_network_has_known_norms(a: float, b: float, context: int) -> None:
    windows = batch()
    found = measure_gradients(forecaster(Linear(a, b)), [windows], context)
    expected = by_hand(windows.frames.numpy(), context, a, b)
    assert found.symbol.tolist() == ["x", "h", "m"]
    assert found.layer.tolist() == [0, 1, 1]
    for symbol, norms in zip(found.symbol.tolist(), found.norm, strict=True):
        np.testing.assert_allclose(norms, expected[symbol], rtol=1e-9, atol=1e-12)


def test_without_memory_the_norms_are_powers() -> None:
    found = measure_gradients(forecaster(Linear(0.5)), [batch(time=7)], 4)
    h = found.norm[1] / found.norm[1][:, -1:]
    # beyond the context, a prediction that is fed back adds 1 to the factor
    expected = [0.5**3 * 1.5**2, 0.5**2 * 1.5**2, 0.5 * 1.5**2, 1.5**2, 1.5, 1.0]
    np.testing.assert_allclose(h, [expected] * 2, rtol=1e-12)
    assert module.summarise(found)["h, first step over largest"] == pytest.approx(expected[0] / 1.5**2)


@pytest.mark.parametrize("name", SMALL)
def test_of_frames_as_a_plain_rollout_is_differentiated(name: str) -> None:
    model, windows, context = small(name), batch(time=6), 3
    found = measure_gradients(model, [windows], context)
    patches = encode_input(model, windows, context).patches.requires_grad_()
    last = unpatchify(rollout(model.network, patches, 5).frames[:, -1:], 2)
    slope = torch.autograd.grad((last - windows.frames[:, -1:]).square().sum(), patches)[0]
    np.testing.assert_allclose(found.norm[0][:, :context], slope.flatten(2).norm(dim=2), rtol=1e-10)
    for place, symbols in enumerate(SMALL[name][1], 1):
        assert set(found.symbol[found.layer == place].tolist()) == symbols - {"begun"}
    assert found.norm.shape[1:] == (2, 5)
    top = found.norm[(found.layer == found.layer.max()) & (found.symbol == "h")]
    assert (top > 0).all()


def test_what_goes_in_beside_the_frame_is_not_the_frame() -> None:
    torch.manual_seed(1)
    model = Forecaster(SMALL["predrnn"][0], SPEC, Identity(), 2, mask_channel=True).double().eval()
    windows, context = batch(time=6), 3
    found = measure_gradients(model, [windows], context)
    start = encode_input(model, windows, context)
    patches = start.patches.requires_grad_()
    last = unpatchify(rollout(model.network, patches, 5, extra=start.extra).frames[:, -1:], 2)
    slope = torch.autograd.grad((last - windows.frames[:, -1:]).square().sum(), patches)[0]
    np.testing.assert_allclose(found.norm[0][:, :context], slope.flatten(2).norm(dim=2), rtol=1e-10)


def test_rows_of_a_batch_and_batches_are_alike() -> None:
    model = small("predrnn")
    whole = batch(sequences=3, time=6)
    parts = [batch(whole.frames[row : row + 1]) for row in range(3)]
    one, many = measure_gradients(model, [whole], 3), measure_gradients(model, parts, 3)
    np.testing.assert_allclose(one.norm, many.norm, rtol=1e-10)


def test_missing_pixels_of_the_last_frame_do_not_count() -> None:
    windows = batch()
    valid = torch.ones_like(windows.frames, dtype=torch.bool)
    valid[:, -1] = False
    valid[:, -1, :, 1, 2] = True
    model = forecaster(Linear(0.5))
    found = measure_gradients(model, [batch(windows.frames, valid=valid)], 3)
    predicted = torch.as_tensor(model.predict(windows.frames[:, :3], 4))[:, -1, 0, 1, 2]
    expected = 2 * (predicted - windows.frames[:, -1, 0, 1, 2]).abs()
    np.testing.assert_allclose(found.norm[1][:, -1], expected, rtol=1e-12)


def test_saving_memory_changes_nothing_and_stays() -> None:
    model, windows = small("predrnn"), batch(time=6)
    expected = measure_gradients(model, [windows], 3).norm
    kernels.set_memory("low")
    try:
        assert np.array_equal(measure_gradients(model, [windows], 3).norm, expected)
        assert kernels.get_memory() == "low"
    finally:
        kernels.set_memory("fast")


def test_layers_together_and_pictures(tmp_path: Path) -> None:
    one, two = (measure_gradients(small(name), [batch(time=6)], 3) for name in ("predrnn", "predrnn_pp"))
    layers = one.norm[one.symbol == "c"]
    np.testing.assert_allclose(combine_layers(one, "c"), np.sqrt((layers**2).sum(0)).mean(0))
    module.draw(tmp_path / "one", {"a": one}, 3)
    module.draw(tmp_path / "two", {"a": one, "b": two}, 3)
    assert all((tmp_path / name / "gradients.png").stat().st_size > 8000 for name in ("one", "two"))
