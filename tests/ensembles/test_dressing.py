"""Members: reproducible, coherent, as large and as wide as past errors, and with the values of a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.ensembles.frames import SPEC, make_past, make_rain, make_tables

from framecast.ensembles.censoring import uncensor
from framecast.ensembles.dressing import DressedPredictor, Ensemble
from framecast.ensembles.error_tables import LEVELS, ErrorStatistics, ErrorTables
from framecast.ensembles.hindcast import measure_scale
from framecast.ensembles.joined import JoinedPredictor
from framecast.ensembles.lagged import LaggedExtrapolation
from framecast.ensembles.noise import MovedNoise, make_key
from framecast.ensembles.roughness import FREQUENCIES, LONGEST, sum_rings
from framecast.ensembles.tracks import track
from framecast.errors import InputError, UsageError
from framecast.forecasting.baselines import Blank, Extrapolation, Persistence
from framecast.types import FrameSpec

TABLES = make_tables()


def dress(members: int = 3, seed: int = 0, **options: bool) -> DressedPredictor:
    return DressedPredictor(Extrapolation(SPEC), TABLES, members=members, seed=seed, **options)


def test_members_are_those_of_seed_time_and_number() -> None:
    past = make_past(2)
    first = dress(3).forecast(past, 2)
    assert first.frames.shape == (2, 3, 2, 1, 48, 56)
    assert (first.frames[:, 0] - first.frames[:, 1]).nan_to_num(0).abs().max() > 1
    more = dress(5).forecast(past, 2)
    assert torch.equal(more.frames[:, :3].nan_to_num(-1), first.frames.nan_to_num(-1))
    alone = make_past(2)
    from dataclasses import replace

    parts = {name: getattr(alone, name)[1:] for name in ("frames", "valid", "times")}
    second = dress(3).forecast(replace(alone, **parts), 2)
    torch.testing.assert_close(second.frames[0], first.frames[1], equal_nan=True)
    other = dress(3, seed=1).forecast(past, 2)
    assert (other.frames - first.frames).nan_to_num(0).abs().max() > 1
    assert first.frames[:, :, :, :, :3, :4].isnan().all()
    assert first.frames[..., 5:, 5:].isfinite().all()
    assert first.frames.nan_to_num(0).min() >= 0


def test_each_member_has_the_values_of_the_moved_frame_where_that_is_known() -> None:
    past = make_past()
    ensemble = dress(3).dress(past, 2)
    moved = list(track(ensemble.forecast, 2, None, moving=True))
    for lead, members in enumerate(ensemble):
        known = moved[lead].known[0, 0]
        assert 0.5 < known.float().mean() < 1
        expected = moved[lead].values[0, 0][known].sort().values
        for member in members[0]:
            ours = member[0][known]
            there = ours.isfinite()
            torch.testing.assert_close(ours[there].sort().values, expected[-int(there.sum()) :], atol=1e-3, rtol=0)


def test_what_is_made_lead_by_lead_is_the_forecast() -> None:
    past = make_past()
    ensemble = dress(2).dress(past, 3)
    assert isinstance(ensemble, Ensemble)
    whole = ensemble.to_forecast()
    for lead, members in enumerate(ensemble):
        assert torch.equal(members.nan_to_num(-1), whole.frames[:, :, lead].nan_to_num(-1))


def test_noise_has_the_spectrum_and_variance_of_the_tables() -> None:
    amplitude = TABLES.at(0, 5.0).amplitude
    noise = MovedNoise(0, 7, (1, 96, 96), [[1.0]])
    filters = noise.make_filter(amplitude)
    position = torch.stack(torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="xy")) - 3.4
    fields = [noise.shape_spectrum(noise.draw(m), noise.locate(position), filters)[0] for m in range(60)]
    stack = torch.stack(fields).double()
    assert stack.var() == pytest.approx(1, rel=0.1)
    power = torch.fft.rfft2(stack * torch.hann_window(96)[:, None] * torch.hann_window(96)).abs().square().mean(0)
    frequency = torch.hypot(torch.fft.fftfreq(96)[:, None], torch.fft.rfftfreq(96)[None])
    expected = np.interp(frequency.flatten(), FREQUENCIES, amplitude[0] ** 2)
    rings = [(0.02, 0.04), (0.04, 0.08)]
    means = [
        [float(values[(frequency > a) & (frequency <= b)].mean()) for a, b in rings]
        for values in (power, torch.from_numpy(expected).view_as(power))
    ]
    assert means[0][0] / means[0][1] == pytest.approx(means[1][0] / means[1][1], rel=0.35)


def test_noise_moves_with_the_frames() -> None:
    """Member 0 at lead 2 is member 0 at lead 1, moved."""
    noise = MovedNoise(0, 7, (1, 64, 64), [[1.0]])
    flat = noise.make_filter(torch.ones(1, len(FREQUENCIES), dtype=torch.float64))
    start = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="xy"))
    white = noise.draw(0)
    here, there = (noise.shape_spectrum(white, noise.locate(start - shift), flat)[0] for shift in (0.0, 5.0))
    torch.testing.assert_close(there[5:, 5:], here[:-5, :-5], atol=1e-4, rtol=0)
    assert torch.equal(noise.draw(1), MovedNoise(0, 7, (1, 64, 64), [[1.0]]).draw(1))
    key = make_key(np.datetime64("2020-01-01"), np.zeros(3, np.float32))
    assert key != make_key(np.datetime64("2020-01-02"), np.zeros(3, np.float32))
    assert key != make_key(np.datetime64("2020-01-01"), np.ones(3, np.float32))


def test_a_cut_keeps_mean_and_spread() -> None:
    mean = torch.tensor([0.001, 0.02, 0.1, 0.4, 0.9], dtype=torch.float64)
    sd = torch.tensor([0.01, 0.05, 0.1, 0.2, 0.05], dtype=torch.float64)
    centre, width = uncensor(mean, sd)
    lots = torch.randn(2_000_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cut = (centre + width * lots).clamp_min(0)
    torch.testing.assert_close(cut.mean(0), mean, rtol=0.02, atol=0)
    torch.testing.assert_close(cut.std(0), sd, rtol=0.02, atol=0)
    nothing = uncensor(torch.zeros(1), torch.full((1,), 0.1))
    assert float(nothing[0] / nothing[1]) == pytest.approx(-2)


def test_tables_are_the_errors_that_were_made(tmp_path: Path) -> None:
    """Errors of 3.5 dBZ at the first lead time, twice that at the fourth, wherever the forecast is 50 dBZ."""
    errors = TABLES.at(0, 5.0)
    forecast = torch.full((1, 1, 48, 56), 30 / 70)
    known = torch.ones(1, 1, 48, 56, dtype=torch.bool)
    first, fourth = (float(TABLES.at(lead, 5.0).find_sd(forecast, known).mean()) for lead in (0, 3))
    assert fourth / first == pytest.approx(2, rel=0.25)
    assert errors.sd.shape == (1, 2, len(LEVELS))
    # a lead time after 10 minutes is the second, whatever the step; before the first errors grow with the root of time
    torch.testing.assert_close(TABLES.at(0, 10.0).sd, TABLES.at(1, 5.0).sd)
    torch.testing.assert_close(TABLES.at(0, 2.5).sd, errors.sd * 0.5**0.5)
    torch.testing.assert_close(TABLES.at(99, 5.0).sd, TABLES.at(3, 5.0).sd)
    path = tmp_path / "errors.json"
    TABLES.write(path)
    assert ErrorTables.read(path) == TABLES
    path.write_text(path.read_text().replace("0.", "1.", 1))
    with pytest.raises(InputError, match="another content than its digest says"):
        ErrorTables.read(path)
    with pytest.raises(InputError, match="no error tables"):
        ErrorTables.read(tmp_path / "none.json")
    with pytest.raises(InputError, match="no forecast with an observed pixel"):
        ErrorStatistics(SPEC, 2, "x").close()


def test_tables_of_other_units_are_refused() -> None:
    spec = FrameSpec(channels=1, height=48, width=56, units="K", low=200.0, high=300.0)
    with pytest.raises(InputError, match="got 1 of K, expected 1 of dBZ"):
        TABLES.check(spec)


def test_frames_that_do_not_move_are_dressed_in_place() -> None:
    """Temperature: noise stays where it is, values below the range of the data are possible, and nothing is matched."""
    spec = FrameSpec(channels=1, height=48, width=56, units="K", low=270.0, high=300.0, step_minutes=60.0)
    tables = make_tables(size=0.2, spec=spec)
    assert not tables.bounded
    from framecast.forecasting.predictor import PastFrames

    past = PastFrames(torch.full((1, 5, 1, 48, 56), 271.0), spec)
    forecast = DressedPredictor(Persistence(spec), tables, members=30, hindcast=False).forecast(past, 2)
    assert float(forecast.frames.mean()) == pytest.approx(271, abs=1.5)
    assert float(forecast.frames.min()) < 268
    first, second = forecast.frames[0, :, 0, 0], forecast.frames[0, :, 1, 0]
    pair = torch.stack([(first - 271).flatten(), (second - 271).flatten()])
    assert torch.corrcoef(pair)[0, 1] > 0.9


def test_the_scale_of_today_is_that_of_the_newest_errors() -> None:
    past = make_past()
    predictor = Extrapolation(SPEC)
    small, large = (measure_scale(predictor, past, make_tables(size=size), moving=True) for size in (0.02, 0.04))
    assert 1 / 3 < float(large) < float(small) < 3
    assert float(small / large) == pytest.approx(2, rel=0.05)
    assert float(measure_scale(Blank(SPEC), past, TABLES, moving=False)) > 2
    from dataclasses import replace

    short = replace(past, frames=past.frames[:, :2], valid=past.valid[:, :2], times=past.times[:, :2])  # type: ignore[index]
    assert measure_scale(predictor, short, TABLES, moving=True).tolist() == [1.0]


def test_lagged_members_begin_from_four_frames() -> None:
    past = make_past()
    forecast = LaggedExtrapolation(SPEC, members=8, seed=3).forecast(past, 2)
    assert forecast.frames.shape == (1, 8, 2, 1, 48, 56)
    assert torch.equal(
        forecast.frames.nan_to_num(-1), LaggedExtrapolation(SPEC, 8, 3).forecast(past, 2).frames.nan_to_num(-1)
    )
    error = (forecast.frames[0, :, 0, 0, 10:-10, 20:-20] - make_rain(1, 7, seed=0)[0, -1, 0, 10:-10, 20:-20]).abs()
    assert error.isfinite().all()
    with pytest.raises(UsageError, match="members: got 0"):
        LaggedExtrapolation(SPEC, members=0)


def test_predictors_are_joined() -> None:
    past = make_past()
    joined = JoinedPredictor([Persistence(SPEC), Extrapolation(SPEC), LaggedExtrapolation(SPEC, 3)]).forecast(past, 2)
    assert joined.members == 5
    assert joined.provenance.model.name == "persistence + extrapolation + lagged"
    assert torch.equal(
        joined.member(0).frames.nan_to_num(-1), Persistence(SPEC).forecast(past, 2).frames.nan_to_num(-1)
    )


def test_no_members() -> None:
    with pytest.raises(UsageError, match="members, seed: got 0, 0"):
        dress(0)


def test_members_are_as_rough_as_the_moved_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise of past errors that are far too fine: their detail is taken back, without it there is too much."""
    large = make_tables(size=0.2)
    fine = large.model_copy(update={"power": tuple((tuple(f**2 for f in FREQUENCIES),) for _ in large.power)})
    ensemble = DressedPredictor(Extrapolation(SPEC), fine, members=3).dress(make_past(), 3)
    tracked = list(track(ensemble.forecast, 3, None, moving=True))
    medium = (torch.tensor(FREQUENCIES) > 1 / LONGEST) & (torch.tensor(FREQUENCIES) < 1 / 8)

    def measure_excess() -> list[float]:
        ratios = []
        for lead, members in enumerate(ensemble):
            known = tracked[lead].known[0] & members[0, 2].isfinite()
            ours, theirs = (
                sum_rings(torch.where(known, frame - frame[known].mean(), 0.0).double())[0][0, medium].sum()
                for frame in (members[0, 2], tracked[lead].values[0])  # type: ignore[index]
            )
            ratios.append(abs(float((ours / theirs).log())))
        return ratios

    corrected = measure_excess()
    monkeypatch.setattr("framecast.ensembles.dressing.ROUNDS", 0)
    plain = measure_excess()
    assert all(mine < 0.7 * theirs for mine, theirs in zip(corrected, plain, strict=True))
