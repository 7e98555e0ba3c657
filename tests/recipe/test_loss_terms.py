"""Terms of the loss: values and gradients against NumPy in float64, masks, chance, and what they refuse."""

from itertools import product

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.models import ConvLSTM
from framecast.recipe.loss_term import Moment, Term
from framecast.recipe.loss_terms import Fourier, LossTerm
from framecast.recipe.losses import LossConfig
from framecast.recipe.recipe import read_recipe
from framecast.training.objective import Objective
from framecast.transforms.normalize import DBZ, Range
from framecast.types import Channel, FrameSpec

HIGHS = (70.0, 40.0)
RANGES = Range(low=(0.0, 0.0), high=HIGHS)
SHAPE = (2, 4, 2, 5, 6)
EARLY, LATE = Moment(1, 100, 0), Moment(100, 100, 0)
"""Correlation is certain in the first, amplitude in the second."""
CSI = {"kind": "csi", "thresholds": [10, 25], "width": 2}
WEIGHTS = {"kind": "weights", "thresholds": [5, 20, 30], "weights": [0.5, 1, 4, 9]}
FACL = {"kind": "facl", "correlation_weight": 0.3}
GRADIENT = {"kind": "gradient"}
ALL = [CSI, WEIGHTS, FACL, GRADIENT, {**GRADIENT, "power": 2}]


def make(fields: dict, **more) -> Term:
    return TypeAdapter(LossTerm).validate_python({**fields, **more})


def draw() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecast and truth in network units, and the mask, in which one frame is missing wholly."""
    generator = np.random.default_rng(0)
    forecast, truth = generator.random((2, *SHAPE))
    valid = generator.random(SHAPE) > 0.25
    valid[0, 1, 1] = valid[1, 2] = False
    return forecast, truth, valid


def measure(fields: dict, x: np.ndarray, y: np.ndarray, valid: np.ndarray, moment: Moment) -> tuple[float, float]:
    """Sum and number of one frame (C, H, W) in plain NumPy."""
    highs = np.array(HIGHS)[:, None, None]
    raw_x, raw_y, (_, height, width) = x * highs, y * highs, x.shape
    if fields["kind"] == "csi":
        scores = []
        for threshold in fields["thresholds"]:
            soft = 1 / (1 + np.exp(-(raw_x - threshold) / fields["width"]))[valid]
            hits = soft[(raw_y >= threshold)[valid]].sum()
            union = soft.sum() + (raw_y >= threshold)[valid].sum() - hits
            scores.append(1 - hits / (union + 20))
        return float(np.mean(scores)), 1
    if fields["kind"] == "weights":
        weight = np.array(fields["weights"])[np.digitize(raw_y, fields["thresholds"])]
        return float((weight * (x - y) ** 2)[valid].sum()), int(valid.sum())
    if fields["kind"] == "gradient":
        total = pairs = 0.0
        for c, i, j in product(*map(range, x.shape)):
            for k, m in ((i + 1, j), (i, j + 1)):
                if k < height and m < width and valid[c, i, j] and valid[c, k, m]:
                    steps = abs(x[c, k, m] - x[c, i, j]) - abs(y[c, k, m] - y[c, i, j])
                    total, pairs = total + abs(steps) ** fields.get("power", 1), pairs + 1
        return total, pairs
    rows, columns = (np.exp(-2j * np.pi * np.outer(range(n), range(n)) / n) / np.sqrt(n) for n in (height, width))
    total = 0.0
    for c in range(len(x)):
        if valid[c].any():
            one, other = (rows @ np.where(valid[c], field[c], 0) @ columns for field in (x, y))
            norms = (np.abs(one) ** 2).sum() * (np.abs(other) ** 2).sum()
            correlation = (one * other.conj()).sum().real / np.sqrt(norms + (1e-6 * height * width) ** 2)
            amplitude = ((np.abs(one) - np.abs(other)) ** 2).mean()
            total += 0.3 * (1 - correlation) if moment == EARLY else amplitude
    return total, int(valid.any((1, 2)).sum())


def refer(fields: dict, x: np.ndarray, y: np.ndarray, valid: np.ndarray, moment: Moment, leads) -> float:
    """Term of one sequence (K, C, H, W), with weights of its frames."""
    parts = [measure(fields, *frame, moment) for frame in zip(x, y, valid, strict=True)]
    sums, counts = np.array(parts).T
    return float((leads * sums).sum() / (leads * counts).sum())


CASES = [(fields, LATE) for fields in ALL] + [(FACL, EARLY)]
NAMES = ["csi", "weights", "amplitude", "gradient", "gradient-2", "correlation"]


@pytest.mark.parametrize(("fields", "moment"), CASES, ids=NAMES)
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_values_and_gradients_are_those_of_numpy(fields: dict, moment: Moment, masked: bool) -> None:
    x, y, valid = draw()
    valid = valid if masked else np.ones_like(valid)
    leads = np.array([1, 1, 0.5, 0.25])  # the first frame is of the context
    forecast = torch.tensor(x, requires_grad=True)
    mask = torch.from_numpy(valid) if masked else None
    term = make(fields, lead_weights=0.5)
    loss = term.compute(forecast, torch.from_numpy(y), mask, RANGES, 3, moment)
    assert loss.tolist() == pytest.approx([refer(fields, x[b], y[b], valid[b], moment, leads) for b in range(2)])
    loss[0].backward()
    assert not forecast.grad[1].any()
    for index in np.ndindex(SHAPE[1:]):
        if sum(index) % 4 == 0:  # of every channel, row and column some
            ends = []
            for change in (1e-6, -1e-6):
                moved = x[0].copy()
                moved[index] += change
                ends.append(refer(fields, moved, y[0], valid[0], moment, leads))
            assert forecast.grad[0][index] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7, rel=1e-5)


def test_a_class_begins_with_its_threshold() -> None:
    truth = torch.tensor([4.9, 5.0, 29.9, 30.0, 70.0]) / 70
    term = make(WEIGHTS, thresholds=[5, 30], weights=[1, 10, 100])
    losses = term.compute(torch.zeros(5, 1, 1, 1, 1), truth.view(5, 1, 1, 1, 1), None, Range(low=0, high=70))
    assert (losses / truth**2).tolist() == pytest.approx([1, 10, 10, 100, 100])


@pytest.mark.parametrize(("fields", "moment"), CASES, ids=NAMES)
def test_channels_and_weights_of_lead_times_are_chosen(fields: dict, moment: Moment) -> None:
    x, y, valid = (torch.from_numpy(part) for part in draw())
    alone = make(fields).compute(x[:, :, 1:], y[:, :, 1:], valid[:, :, 1:], Range(low=0, high=HIGHS[1]), None, moment)
    chosen = make(fields, channels=[1]).compute(x, y, valid, RANGES, None, moment)
    torch.testing.assert_close(chosen, alone)
    listed = make(fields, lead_weights=[4, 2, 1]).compute(x, y, valid, RANGES, 3, moment)
    torch.testing.assert_close(listed, make(fields, lead_weights=0.5).compute(x, y, valid, RANGES, 3, moment))
    one = [make(fields).compute(*(part[:, :k] for part in (x, y, valid)), RANGES, None, moment) for k in (1, 4)]
    torch.testing.assert_close(
        make(fields, lead_weights=1e-9).compute(x, y, valid, RANGES, 4, moment), one[0], rtol=1e-6, atol=1e-6
    )
    torch.testing.assert_close(make(fields, lead_weights=1.0).compute(x, y, valid, RANGES, 4, moment), one[1])


@pytest.mark.parametrize(("fields", "moment"), CASES, ids=NAMES)
def test_what_is_missing_has_no_say(fields: dict, moment: Moment) -> None:
    x, y, valid = (torch.from_numpy(part) for part in draw())
    valid[1] = False
    found = []
    for lie in (0.0, float("nan"), float("inf"), 1e30):
        forecast = torch.where(valid, x, 0.7).requires_grad_()
        loss = make(fields).compute(forecast, torch.where(valid, y, lie), valid, RANGES, None, moment)
        loss.sum().backward()
        assert not forecast.grad[~valid].any()
        found.append((loss.detach(), forecast.grad))
    assert torch.isfinite(found[0][0]).all()
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))
    assert fields is CSI or found[0][0][1] == 0


@pytest.mark.parametrize(("fields", "moment"), CASES, ids=NAMES)
@pytest.mark.parametrize("truth", [0.0, 0.5])
def test_blank_fields_have_finite_gradients(fields: dict, moment: Moment, truth: float) -> None:
    forecast = torch.zeros(1, 2, 2, 4, 4, requires_grad=True)
    loss = make(fields).compute(forecast, torch.full((1, 2, 2, 4, 4), truth), None, RANGES, None, moment)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(forecast.grad).all()


@pytest.mark.parametrize(("fields", "moment"), CASES, ids=NAMES)
def test_reduced_precision_is_left_before_anything_is_computed(fields: dict, moment: Moment) -> None:
    x, y, valid = (torch.from_numpy(part) for part in draw())
    x, y = x.bfloat16(), y.float()
    with torch.autocast("cpu", torch.bfloat16):
        loss = make(fields).compute(x, y, valid, RANGES, None, moment)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, make(fields).compute(x.float(), y, valid, RANGES, None, moment))


def test_the_chance_of_the_correlation_falls_and_ends() -> None:
    term = Fourier(amplitude_share=0.25)
    assert [term.chance(i, 100) for i in (1, 16, 61, 76, 100)] == pytest.approx([1, 0.8, 0.2, 0, 0])
    assert Fourier(amplitude_share=1).chance(1, 100) == 0
    drawn = np.array([[term.draws_correlation(Moment(i, 1000, seed)) for i in range(1, 1001)] for seed in (0, 1)])
    assert drawn[:, 0].all()
    assert not drawn[:, 750:].any()
    for part in range(3):
        expected = 1 - (part + 0.5) / 3
        assert drawn[:, 250 * part : 250 * (part + 1)].mean() == pytest.approx(expected, abs=0.06)
    assert (drawn[0] != drawn[1]).any()
    assert [term.draws_correlation(Moment(i, 1000, 0)) for i in range(1, 1001)] == drawn[0].tolist()


@pytest.mark.parametrize(("fields", "moment"), CASES, ids=NAMES)
def test_micro_batches_add_up_to_the_batch(fields: dict, moment: Moment) -> None:
    spec = FrameSpec(channels=2, height=6, width=6, ranges=((0, HIGHS[0]), (0, HIGHS[1])))
    torch.manual_seed(0)
    forecaster = Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), spec, RANGES, 2, context=2).double()
    objective = Objective(forecaster, LossConfig(kind="none", terms=(make(fields, lead_weights=[2, 1]),)))
    frames, valid = 40 * torch.rand(4, 4, 2, 6, 6, dtype=torch.float64), torch.rand(4, 4, 2, 6, 6) > 0.4
    valid[3, 2:] = False
    known = torch.ones(4, 3, dtype=torch.bool)
    results = []
    for rows in ([slice(None)], [slice(0, 2), slice(2, 4)]):
        objective.zero_grad()
        losses = [
            objective(frames[part], valid[part], known[part], torch.tensor(9.0), 1 / len(rows), moment=moment)
            for part in rows
        ]
        torch.stack(losses).sum().backward()
        results.append([sum(losses).detach(), *(p.grad for p in objective.parameters() if p.grad is not None)])
    assert results[0][0] > 0
    assert any(gradient.any() for gradient in results[0][1:])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("{kind: weights, thresholds: [2, 5], weights: [1, 2]}", "weights: got 2, expected 3, one more than thr"),
        ("{kind: weights, thresholds: [5, 2], weights: [1, 2, 3]}", "thresholds: got [5.0, 2.0], expected ascending"),
        ("{kind: weights, thresholds: [5], weights: [0, 0]}", "weights: got 0 alone, expected one above 0"),
        ("{kind: weights, thresholds: [5], weights: [1, -1]}", "weights.1: Input should be greater than or equal to 0"),
        ("{kind: gradient, power: 3}", "power: Input should be 1 or 2, got 3"),
        ("{kind: facl, amplitude_share: 2}", "amplitude_share: Input should be less than or equal to 1, got 2"),
        ("{kind: facl, lead_weights: [1, 0]}", "lead_weights.1: Input should be greater than 0, got 0"),
        ("{kind: facl, channels: [-1]}", "channels.0: Input should be greater than or equal to 0, got -1"),
        ("{kind: facl, width: 1}", "width: unknown key: got 'width', expected one of amplitude_share"),
    ],
)
def test_wrong_values_are_refused_by_the_recipe(term: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipe("convlstm", [f"loss.terms=[{term}]"])
    assert said in str(caught.value)
    assert str(caught.value).count("got ") == 1


def test_no_loss_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="kind: got none without terms, expected mse, l1l2, or terms"):
        read_recipe("convlstm", ["loss.kind=none"])
    with pytest.raises(UsageError, match=r"'nope' found using 'kind'.*'csi', 'weights', 'facl', 'gradient'"):
        read_recipe("convlstm", ["loss.terms=[{kind: nope}]"])


RAIN = FrameSpec(channels=1, height=8, width=8, units="dBZ", high=70)
BESIDE = RAIN.model_copy(update={"channels": 2, "past": (Channel(name="t", low=200, high=300),)})


@pytest.mark.parametrize(
    ("spec", "normalizer", "fields", "said"),
    [
        (
            RAIN,
            DBZ(),
            {**CSI, "thresholds": [15, 75]},
            "got 15 and 77, expected above 0 and up to 70, the range of cha",
        ),
        (RAIN, DBZ(), {**CSI, "thresholds": [69]}, "thresholds (and one width above them): got 69 and 71, expected"),
        (RAIN, DBZ(), {**WEIGHTS, "thresholds": [0, 5, 9]}, "got 0 and 9, expected above 0 and up to 70"),
        (RAIN, DBZ(high=20), WEIGHTS, "got 5 and 30, expected above 0 and up to 20"),
        (
            BESIDE,
            Range(low=(0, 200), high=(70, 300)),
            WEIGHTS,
            "expected above 200 and up to 300, the range of channel 1",
        ),
        (RAIN, DBZ(), {**FACL, "channels": [0, 3]}, "facl: channels: got [0, 3], expected numbers from 0 to 0"),
    ],
)
def test_what_does_not_fit_the_frames_is_refused(spec: FrameSpec, normalizer, fields: dict, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(fields).check(spec, normalizer)
    assert said in str(caught.value)
    forecaster = Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), spec, normalizer, 2)
    with pytest.raises(UsageError):
        Objective(forecaster, LossConfig(terms=(make(fields),)))


def test_what_fits_the_frames_is_not() -> None:
    make({**WEIGHTS, "thresholds": [0.1, 35, 70]}).check(RAIN, DBZ())
    make(WEIGHTS, channels=[0]).check(BESIDE, Range(low=(0, 200), high=(70, 300)))
    rates = FrameSpec(channels=1, height=8, width=8, units="mm/h", high=100)
    make({**WEIGHTS, "thresholds": [2, 5, 10]}).check(rates, DBZ(rain_rate=True))


def test_older_recipes_with_terms_are_what_they_were() -> None:
    fields = {"weight": 1.0, "kind": "csi", "thresholds": (10.0, 25.0), "width": 2.0}
    assert list(make(CSI).model_dump().items()) == list(fields.items())
    assert make(make(CSI, channels=[0], lead_weights=0.9).model_dump()).lead_weights == 0.9
