"""Which scores a page shows first, and what it says of baselines."""

from __future__ import annotations

import math

import pytest

from framecast.metrics import Estimate, Metric, select_metrics
from framecast.report.headline import choose_headline, explain_blank, find_strongest, say_where_baselines_win
from framecast.types import FrameSpec

RAIN = FrameSpec(channels=1, height=64, width=64, units="mm/h", high=50.0, step_minutes=5.0)
DIGITS = FrameSpec(channels=1, height=64, width=64, units="grey level", high=255.0)


def names(metrics: list[Metric]) -> list[str]:
    return [metric.name for metric in metrics]


def estimates(metric: str, **scores: list[float]) -> dict[str, dict[str, Estimate]]:
    nothing = (math.nan, math.nan)
    return {
        name: {
            metric: Estimate(
                mean=sum(values) / len(values),
                mean_interval=nothing,
                by_lead=values,
                by_lead_interval=[nothing] * len(values),
            )
        }
        for name, values in scores.items()
    }


def test_scores_fit_the_data() -> None:
    rain = select_metrics("grid", spec=RAIN, thresholds=(0.1, 1.0, 5.0))
    assert names(choose_headline(rain)) == ["mse", "mae_raw", "csi@0.1", "csi@1", "csi@5", "fss@1/16px"]
    many = select_metrics("grid", spec=RAIN, thresholds=(0.1, 0.5, 1.0, 5.0, 10.0))
    assert [name for name in names(choose_headline(many)) if "csi" in name] == ["csi@0.1", "csi@1", "csi@10"]
    pictures = select_metrics(["framecast", "fmae", "rmse"], spec=DIGITS)
    assert names(choose_headline(pictures)) == ["sse", "mae", "psnr", "ssim", "sharpness"]
    assert names(choose_headline(rain[:6])) == names(rain[:6])
    field = select_metrics(["grid", "ssim", "psnr", "fmae"], spec=RAIN)
    assert names(choose_headline(field)) == ["mse", "rmse_raw", "mae_raw", "rapsd", "ssim"]


@pytest.mark.parametrize(
    ("persistence", "extrapolation", "said"),
    [
        ([2, 2, 2, 2], [2, 2, 2, 2], "net is ahead of all baselines at every lead time"),
        ([0.5, 2, 2, 2], [0.6, 2, 2, 2], "a plain baseline is better at 5 minutes (persistence)"),
        (
            [0.5, 0.5, 2, 2],
            [2, 2, 2, 0.5],
            "a plain baseline is better at 5 to 10 and 20 minutes (persistence, extrapolation)",
        ),
        ([0.5] * 4, [2] * 4, "a plain baseline is better at every lead time (persistence)"),
    ],
)
def test_when_a_baseline_is_better_is_said(persistence, extrapolation, said: str) -> None:
    metric = select_metrics("mse", spec=RAIN)[0]
    scores = estimates("mse", net=[1.0] * 4, persistence=persistence, extrapolation=extrapolation)
    assert say_where_baselines_win(metric, scores, "net", ["persistence", "extrapolation"], RAIN) == said


def test_of_psnr_more_is_better_and_nan_wins_nothing() -> None:
    metric = select_metrics("psnr", spec=DIGITS)[0]
    scores = estimates("psnr", net=[20.0, 20.0], mean=[21.0, math.nan], blank=[19.0, 22.0])
    said = say_where_baselines_win(metric, scores, "net", ["mean", "blank"], DIGITS)
    assert said == "a plain baseline is better at every lead time (mean, blank)"
    assert find_strongest(metric, scores, ["mean", "blank"]) == ["blank"]
    assert say_where_baselines_win(metric, scores, "net", [], DIGITS) == ""
    assert find_strongest(metric, scores, []) == []


def test_what_prefers_blank_frames_is_named() -> None:
    metrics = select_metrics(["sse", "mae", "ssim"], spec=DIGITS)
    scores = {
        name: {metric: estimates(metric, one=[value])["one"][metric] for metric, value in values.items()}
        for name, values in {
            "net": {"sse": 100.0, "mae": 0.09, "ssim": 0.5},
            "blank": {"sse": 160.0, "mae": 0.05, "ssim": 0.8},
        }.items()
    }
    assert explain_blank(metrics, scores, "net").startswith("mae and ssim prefer blank frames to net: ")
    assert explain_blank(metrics[:1], scores, "net") == ""
    assert explain_blank(metrics[1:2], scores, "net").startswith("mae prefers")
    assert explain_blank(metrics, {"net": scores["net"]}, "net") == ""
