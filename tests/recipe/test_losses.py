import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.recipe.losses import LossConfig, count_observed, reconstruction_loss

GENERATOR = torch.Generator().manual_seed(0)
TRUTH = torch.rand(4, 5, 2, 3, 3, dtype=torch.float64, generator=GENERATOR)
PREDICTION = torch.rand(4, 4, 2, 3, 3, dtype=torch.float64, generator=GENERATOR)
VALID = torch.rand(4, 5, 2, 3, 3, generator=GENERATOR) > 0.3


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LossConfig(), lambda d: d.square().mean()),
        (LossConfig(kind="l1l2"), lambda d: d.abs().mean() + d.square().mean()),
        (LossConfig(reduction="tensorflow"), lambda d: 0.5 * d.square().sum()),
        (LossConfig(kind="l1l2", reduction="tensorflow"), lambda d: d.abs().sum() + 0.5 * d.square().sum()),
    ],
)
def test_plain_and_masked(config: LossConfig, expected) -> None:
    difference = PREDICTION - TRUTH[:, 1:]
    plain = reconstruction_loss(config, PREDICTION, TRUTH, None, count_observed(TRUTH, None))
    assert plain.item() == pytest.approx(expected(difference).item(), rel=1e-12)
    masked = reconstruction_loss(config, PREDICTION, TRUTH, VALID, count_observed(TRUTH, VALID))
    assert masked.item() == pytest.approx(expected(difference[VALID[:, 1:]]).item(), rel=1e-12)


def test_missing_pixels_have_no_say_and_no_gradient() -> None:
    truth = torch.where(VALID, TRUTH, float("nan"))
    prediction = PREDICTION.clone().requires_grad_()
    loss = reconstruction_loss(LossConfig(kind="l1l2"), prediction, truth, VALID, count_observed(truth, VALID))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(prediction.grad).all()
    assert not prediction.grad[~VALID[:, 1:]].any()
    assert prediction.grad[VALID[:, 1:]].all()


@settings(max_examples=20)
@given(cut=st.integers(1, 3), kind=st.sampled_from(["mse", "l1l2"]))
def test_shares_add_up_to_the_whole(cut: int, kind: str) -> None:
    config, pixels = LossConfig(kind=kind), count_observed(TRUTH, VALID)
    whole = reconstruction_loss(config, PREDICTION, TRUTH, VALID, pixels)
    parts = sum(
        reconstruction_loss(config, PREDICTION[rows], TRUTH[rows], VALID[rows], pixels)
        for rows in (slice(cut), slice(cut, None))
    )
    assert parts.item() == pytest.approx(whole.item(), rel=1e-12)
