"""Statistics of some metrics out of those of many."""

import torch

from framecast.metrics import Scores, select_metrics
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=16, width=16)


def test_a_selection_scores_as_if_it_had_been_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    truth, prediction = torch.rand(2, 3, 2, 1, 16, 16, generator=generator, dtype=torch.float64)
    names = ["mse", "ssim", "mae"]
    for keep in (0, 3):
        whole = Scores(select_metrics(names, spec=SPEC), 2, keep=keep)
        alone = Scores(select_metrics(["ssim", "mae"], spec=SPEC), 2, keep=keep)
        for scores in (whole, alone):
            scores.update(prediction, truth)
        selected = whole.select(["mae", "ssim"])
        assert selected.by_lead() == alone.by_lead()
        assert (selected.samples, selected.pixels) == (3, alone.pixels)
