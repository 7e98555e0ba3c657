import pytest
import torch

from framecast.recipe.learning_rate import Constant, Cosine, Exponential, OneCycle, StepDecay

TOTAL = 40


def reference(make) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.*")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Constant(), lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0)),
        (StepDecay(every=7, gamma=0.3), lambda o: torch.optim.lr_scheduler.StepLR(o, 7, 0.3)),
        (Exponential(every=1, gamma=0.9), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9)),
        (Cosine(), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, TOTAL)),
        (OneCycle(), lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, total_steps=TOTAL)),
        (
            OneCycle(rise=0.2, div=10, final_div=100),
            lambda o: torch.optim.lr_scheduler.OneCycleLR(
                o, 1.0, total_steps=TOTAL, pct_start=0.2, div_factor=10, final_div_factor=100
            ),
        ),
    ],
)
def test_closed_forms_equal_torch(ours, theirs) -> None:
    got = [ours.factor(i, TOTAL) for i in range(1, TOTAL + 1)]
    assert got == pytest.approx(reference(theirs), rel=1e-9)


def test_cosine_warms_up() -> None:
    cosine = Cosine(warmup=4, floor=0.1)
    assert [cosine.factor(i, TOTAL) for i in (1, 2, 4, 5)] == pytest.approx([0.25, 0.5, 1.0, 1.0])
    assert cosine.factor(TOTAL + 1, TOTAL) == pytest.approx(0.1)
