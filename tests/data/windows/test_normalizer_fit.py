"""Normalizers whose numbers come from the data."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from framecast.data import DataConfig, open_data
from framecast.data.windows.normalizer_fit import Moments
from framecast.errors import InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load, save_forecaster
from framecast.models import ConvLSTM
from framecast.recipe.parsing import parse_config
from framecast.transforms.normalize import DBZ, Z_R, Log, Normalizer, Range, Standard

NUMBERS = st.floats(-1e4, 1e4)


@given(
    kind=st.sampled_from(["range", "ranges", "standard", "log"]),
    low=NUMBERS,
    span=st.floats(1e-2, 1e4),
    offset=st.floats(1e-4, 1.0),
    seed=st.integers(0, 99),
)
def test_every_normalizer_inverts(kind, low, span, offset, seed):
    normalizer = {
        "range": Range(low=low, high=low + span),
        "ranges": Range(low=(low, 0.0), high=(low + span, 2 * span)),
        "standard": Standard(mean=(low, 1.0), std=(span, 2.0)),
        "log": Log(low=low, high=low + span, offset=offset * span),
    }[kind]
    values = low + span * torch.rand(3, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    back = normalizer.denormalize(normalizer.normalize(values))
    torch.testing.assert_close(back, values, rtol=1e-9, atol=1e-9 * span)
    again = TypeAdapter(Normalizer).validate_json(normalizer.model_dump_json())
    assert again == normalizer


@pytest.mark.parametrize("name", Z_R)
def test_z_r_relations(name):
    a, b = Z_R[name]
    rates = torch.tensor([0.1, 1.0, 10.0, 50.0], dtype=torch.float64)
    normalizer = DBZ(rain_rate=True, z_r=name)
    expected = 10 * torch.log10(a * rates**b)
    torch.testing.assert_close(70 * normalizer.normalize(rates), expected.clamp(0, 70), rtol=1e-10, atol=0)
    heavy = rates[expected > 0]
    torch.testing.assert_close(normalizer.denormalize(normalizer.normalize(heavy)), heavy, rtol=1e-10, atol=0)
    assert DBZ(rain_rate=True, z_r=(a, b)).normalize(rates).tolist() == normalizer.normalize(rates).tolist()


def test_log_by_hand():
    log = Log(low=1.0, high=100.0, offset=0.5)
    assert log.normalize(torch.tensor([0.0, 1.0, 100.0])).tolist() == [0, 0, pytest.approx(1)]
    assert log.normalize(torch.tensor(10.0)).item() == pytest.approx(math.log(1 + 9 / 0.5) / math.log(1 + 99 / 0.5))


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    centre=st.sampled_from([0.0, 300.0, 1e5]),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 99),
)
def test_moments_of_blocks_are_those_of_all(sizes, centre, share, seed):
    numbers = np.random.default_rng(seed)
    values = (centre + numbers.normal(size=(sum(sizes), 2, 3, 4))).astype(np.float32)
    values[numbers.random(values.shape) < share] = np.nan
    found = Moments(2)
    for part in np.split(values, np.cumsum(sizes)[:-1]):
        found.add(part)
    for channel in range(2):
        observed = values[:, channel][np.isfinite(values[:, channel])].astype(np.float64)
        assert found.count[channel] == observed.size
        if observed.size:
            assert found.mean[channel] == pytest.approx(observed.mean(), rel=1e-12, abs=1e-12)
            assert found.std[channel] == pytest.approx(observed.std(), rel=1e-9, abs=1e-12)
            assert (found.low[channel], found.high[channel]) == (observed.min(), observed.max())


@pytest.fixture
def path(tmp_path):
    """Two channels on scales of their own; what comes after training is ten times as large; some is missing."""
    numbers = np.random.default_rng(3)
    values = numbers.normal((280.0, 2.0), (9.0, 0.5), (60, 5, 6, 2)).transpose(0, 3, 1, 2).astype(np.float32)
    values[40:] *= 10
    values[:, 0, :2] = np.nan
    np.save(tmp_path / "u.npy", values)
    return tmp_path / "u.npy"


def data(path, **said):
    fields = {"source": str(path), "dims": "tchw", "split_by": "time", "fractions": (2 / 3, 1 / 6, 1 / 6), **said}
    return open_data(parse_config(DataConfig, fields, "test"), context=3, horizon=3, seed=0)


@pytest.mark.parametrize("choice", ["standard", "range"])
@pytest.mark.parametrize("crop", [None, 3])
def test_fitted_to_training_alone_and_to_what_is_observed(path, choice, crop):
    normalizer = data(path, crop=crop).normalizer(choice)
    training = np.load(path)[:40].astype(np.float64)
    later = np.load(path)[40:]
    for channel in range(2):
        observed = training[:, channel][np.isfinite(training[:, channel])]
        if choice == "standard":
            assert normalizer.mean[channel] == pytest.approx(observed.mean(), rel=1e-12)
            assert normalizer.std[channel] == pytest.approx(observed.std(), rel=1e-9)
            assert abs(np.nanmean(later[:, channel]) - normalizer.mean[channel]) > 3 * normalizer.std[channel]
        else:
            assert (normalizer.low[channel], normalizer.high[channel]) == (observed.min(), observed.max())
            assert np.nanmax(later[:, channel]) > 3 * normalizer.high[channel]


def test_covariates_are_left_to_their_own_ranges(path):
    normalizer = data(path, covariates=[0]).normalizer("standard")
    training = np.load(path)[:40, 1].astype(np.float64)
    assert normalizer.mean == (pytest.approx(np.nanmean(training)),)


def test_a_fitted_normalizer_travels_with_the_model(path, tmp_path):
    dataset = data(path)
    normalizer = dataset.normalizer("standard")
    forecaster = Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), dataset.spec, normalizer, 1).eval()
    save_forecaster(tmp_path / "model", forecaster)
    loaded = load(tmp_path / "model")
    assert loaded.normalizer == normalizer
    frames = torch.from_numpy(np.nan_to_num(dataset.window("train", 0, 0).frames[None, :3], nan=280.0))
    assert torch.equal(loaded.predict(frames, 2), forecaster.predict(frames, 2))
    with torch.no_grad():
        loaded.network.head.weight.zero_()
        if loaded.network.head.bias is not None:
            loaded.network.head.bias.zero_()
    future = loaded.predict(frames, 1)
    # Nothing said in network units is the mean in raw ones, channel by channel.
    for channel in range(2):
        assert future[0, 0, channel].mean().item() == pytest.approx(normalizer.mean[channel], rel=1e-5)


def test_kinds_by_name(path, tmp_path):
    dataset = data(path)
    assert dataset.normalizer() == dataset.normalizer("auto")
    given = data(path, range=(-50, 400))
    assert given.normalizer() == given.normalizer("auto") == Range(low=-50, high=400)
    assert given.normalizer("log") == Log(low=-50, high=400, offset=0.45)
    assert dataset.normalizer(Log(low=0.0, high=5.0, offset=0.1)) == Log(low=0.0, high=5.0, offset=0.1)
    rain = data(path, units="mm/h")
    assert rain.normalizer("dbz") == DBZ(rain_rate=True)
    assert rain.normalizer(DBZ(z_r="wsr-88d")) == DBZ(rain_rate=True, z_r="wsr-88d")
    assert data(path, units="dBZ").normalizer(DBZ(high=60, rain_rate=True)) == DBZ(high=60)


def test_what_data_cannot_have(path, tmp_path):
    dataset = data(path)
    with pytest.raises(UsageError, match="expected dBZ or mm/h"):
        dataset.normalizer("dbz")
    with pytest.raises(UsageError, match="numbers for 3 channels, expected 2"):
        dataset.normalizer(Standard(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))
    values = np.load(path)
    values[:40, 1] = 7
    np.save(tmp_path / "flat.npy", values)
    with pytest.raises(InputError, match="channel 1 of one value"):
        data(tmp_path / "flat.npy").normalizer("standard")
    for low, high in (((0.0, 1.0), (1.0,)), ((0.0,), 1.0), ((), ()), ((0.0, 2.0), (1.0, 1.0))):
        with pytest.raises(ValidationError, match="low < high"):
            Range(low=low, high=high)


def test_large_frames_are_read_one_by_one(tmp_path, monkeypatch):
    frames = np.random.default_rng(0).random((20, 4, 5), np.float32)
    np.save(tmp_path / "a.npy", frames)
    data = open_data(DataConfig(source=str(tmp_path / "a.npy"), fractions=(1, 0, 0)), context=2, horizon=2, seed=0)
    assert [len(part) for part in data.windows.training_frames()] == [16, 4]
    monkeypatch.setattr("framecast.data.windows.windows.VALUES", 3 * 4 * 5)
    parts = list(data.windows.training_frames())
    assert max(map(len, parts)) == 3
    np.testing.assert_array_equal(np.concatenate(parts)[:, 0], frames)


@pytest.mark.parametrize("choice", ["auto", "range", "log"])
def test_a_range_found_in_the_data_does_not_reach_the_network_from_test_frames(tmp_path, choice):
    frames = np.random.default_rng(0).uniform(1, 2, (60, 5, 6)).astype(np.float32)
    frames[40:] *= 10
    np.save(tmp_path / "a.npy", frames)
    dataset = data(tmp_path / "a.npy", dims="thw")
    fitted = dataset.normalizer(choice)
    assert (fitted.low, fitted.high) == ((float(frames[:40].min()),), (float(frames[:40].max()),))
    assert dataset.spec.high == frames.max()  # the scale of scores
    assert any("fitted to training frames" in note for note in dataset.notes)
    given = data(tmp_path / "a.npy", dims="thw", range=(0, 30)).normalizer(choice)
    assert (given.low, given.high) == (0, 30)
    frames[:40] = 1
    np.save(tmp_path / "flat.npy", frames)
    with pytest.raises(InputError, match=r"channel 0 of one value, or none, in training.*data\.range"):
        data(tmp_path / "flat.npy", dims="thw").normalizer(choice)


def test_channels_of_one_unit_share_their_range_in_training(path):
    fitted = data(path).normalizer("log")
    training = np.load(path)[:40].astype(np.float64)
    low, high = np.nanmin(training), np.nanmax(training)
    assert (fitted.low, fitted.high) == ((low, low), (high, high))
    assert fitted.offset == pytest.approx((0.001 * (high - low),) * 2)


def test_bytes_and_reflectivity_keep_their_usual_range(tmp_path):
    frames = np.random.default_rng(0).integers(3, 200, (60, 5, 6), np.uint8)
    np.save(tmp_path / "a.npy", frames)
    assert data(tmp_path / "a.npy", dims="thw").normalizer() == Range(low=0, high=255)
    assert data(tmp_path / "a.npy", dims="thw", units="dBZ").normalizer() == DBZ(high=70)


def test_other_channels_are_scaled_by_training_frames(path):
    """Past, covariates and calendar: what the test frames reach is not known in training."""
    np.savez(
        path.parent / "u.npz", frames=np.concatenate([np.load(path), np.load(path)[:, :1]], 1), dims="tchw",
        step_minutes=60.0, start_time=np.datetime64("2020-01-01"),
    )  # fmt: skip
    dataset = data(path.parent / "u.npz", dims=None, targets=[1], covariates=[0], calendar=["hour"])
    training = np.load(path)[:40, 0]
    (past,), (covariate, *hour) = dataset.spec.past, dataset.spec.covariates
    for channel in (past, covariate):
        assert (channel.low, channel.high) == (float(np.nanmin(training)), float(np.nanmax(training)))
    assert {(channel.low, channel.high) for channel in hour} == {(-1, 1)}


def test_log_of_several_units_has_an_offset_for_each():
    fitted = Log(low=(1.0, 0.0), high=(100.0, 5.0), offset=(0.5, 0.01))
    values = torch.tensor([10.0, 2.0], dtype=torch.float64)[:, None, None]
    expected = [math.log(1 + 9 / 0.5) / math.log(1 + 99 / 0.5), math.log(1 + 2 / 0.01) / math.log(1 + 5 / 0.01)]
    assert fitted.normalize(values).flatten().tolist() == pytest.approx(expected)
    assert fitted.denormalize(fitted.normalize(values)).flatten().tolist() == pytest.approx([10, 2])
    with pytest.raises(ValidationError, match="expected one for each range, 2"):
        Log(low=(1.0, 0.0), high=(100.0, 5.0), offset=0.5)
