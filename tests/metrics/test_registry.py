"""Metrics by name."""

from __future__ import annotations

import pytest
import torch

from framecast.errors import UsageError
from framecast.evaluation.evaluate import to_unit_range
from framecast.metrics import EVENT_METRICS, METRICS, PROTOCOLS, SCALE_METRICS, SPEC_METRICS, Scores, select_metrics
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=64, width=64, units="dBZ", low=-10.0, high=85.0)


def names(*wanted: str, spec: FrameSpec = SPEC, thresholds: tuple[float, ...] = ()) -> list[str]:
    return [metric.name for metric in select_metrics(list(wanted), spec=spec, thresholds=thresholds)]


def test_every_metric_answers_to_its_name() -> None:
    for name in [*METRICS, *SPEC_METRICS]:
        assert names(name) == [name]
    assert [metric.name for metric in select_metrics("ssim", spec=SPEC)] == ["ssim"]


def test_published_sets() -> None:
    assert names("predrnn-pytorch") == ["sse", "psnr_uint8", "ssim_uint8"]
    assert names("openstl") == ["sse_unclipped", "fmae", "psnr", "ssim_range2"]
    assert names("mim") == ["sse", "fmae", "psnr_uint8", "ssim_range2", "sharpness"]


def test_default_set() -> None:
    plain = ["sse", "mse", "mae", "psnr", "ssim", "sharpness"]
    events = ["csi@20", "csi@40", "pod@20", "pod@40", "far@20", "far@40"]
    assert names("framecast") == plain
    assert names("framecast", thresholds=(20.0, 40.0)) == plain + events
    assert names("framecast", spec=SPEC.model_copy(update={"width": 6})) == [*plain[:4], "sharpness"]
    assert names("framecast", spec=SPEC.model_copy(update={"height": 1})) == plain[:4]


def test_set_for_physical_units() -> None:
    plain = ["mse", "rmse_raw", "mae_raw", "rapsd"]
    events = ["csi@20", "pod@20", "far@20", "hss@20", "bias@20", "fss@20/4px", "fss@20/16px"]
    assert names("grid") == plain
    assert names("grid", thresholds=(20.0,)) == plain + events
    assert names("grid", spec=SPEC.model_copy(update={"height": 2})) == plain[:-1]


def test_fss_is_made_for_each_threshold_and_scale() -> None:
    made = select_metrics("fss", spec=SPEC, thresholds=[20.0, 40.5], scales=[1, 8])
    assert [metric.name for metric in made] == ["fss@20/1px", "fss@20/8px", "fss@40.5/1px", "fss@40.5/8px"]
    for scales in ([], [0]):
        with pytest.raises(UsageError, match="at least"):
            select_metrics("fss", spec=SPEC, thresholds=[20.0], scales=scales)


def test_errors_in_raw_units() -> None:
    made = select_metrics(["mae_raw", "rmse_raw"], spec=SPEC)
    truth = torch.full((1, 1, 1, 4, 4), 0.5, dtype=torch.float64)
    for metric in made:
        value = metric.close(metric.statistics(truth + 0.1, truth, None).sum(0))
        assert value.tolist() == pytest.approx([9.5], rel=1e-12)  # a tenth of -10 to 85 dBZ
        assert metric.unit == "dBZ"


def test_errors_in_raw_units_count_what_lies_beyond_the_range() -> None:
    """As of July's temperatures, scored with a model of March's range; below its range reflectivity is no rain."""
    truth, prediction = (torch.full((1, 1, 1, 4, 4), value, dtype=torch.float64) for value in (1.5, 1.2))
    for units, expected in (("K", 0.3 * 95), ("dBZ", 0.0)):
        scores = Scores(
            select_metrics(["mae_raw", "rmse_raw", "mse"], spec=SPEC.model_copy(update={"units": units})), 1
        )
        scores.update(prediction, truth)
        found = scores.mean()
        assert found["mae_raw"] == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert found["rmse_raw"] == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert found["mse"] == 0, "on the range"


def test_what_is_named_is_made_whatever_the_size() -> None:
    assert names("ssim", spec=SPEC.model_copy(update={"width": 6})) == ["ssim"]


def test_what_is_named_twice_is_made_once_in_order() -> None:
    assert names("psnr", "openstl", "predrnn-pytorch", "sse", "csi", "csi", thresholds=(5.0, 5.0)) == [
        "psnr", "sse_unclipped", "fmae", "ssim_range2", "sse", "psnr_uint8", "ssim_uint8", "csi@5",
    ]  # fmt: skip


def test_thresholds_are_scaled_as_the_data_are() -> None:
    (metric,) = select_metrics(["csi"], spec=SPEC, thresholds=[20.0])
    assert metric.threshold == (20.0 - -10.0) / (85.0 - -10.0)


@pytest.mark.parametrize("threshold", [0.1, 0.7, 273.15])
def test_a_value_at_the_threshold_is_an_event(threshold: float) -> None:
    """Frames are float32: 0.7 mm/h lies below the double 0.7."""
    spec = SPEC.model_copy(update={"low": 0.0, "high": 300.0, "units": "mm/h"})
    (metric,) = select_metrics(["pod"], spec=spec, thresholds=[threshold])
    frames = to_unit_range(torch.full((1, 1, 1, 4, 4), threshold), spec)
    assert metric.close(metric.statistics(frames, frames, None).sum(0)).tolist() == [1.0]


def test_events_need_thresholds_inside_the_range() -> None:
    with pytest.raises(UsageError, match="metric csi: got no threshold"):
        names("csi")
    with pytest.raises(UsageError, match="threshold 90"):
        names("csi", thresholds=(90.0,))


@pytest.mark.parametrize(
    ("typed", "near"), [("mimm", "mim"), ("SSIM", "ssim"), ("open-stl", "openstl"), ("csii", "csi")]
)
def test_unknown_names(typed: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        names("sse", typed)
    message = str(caught.value)
    assert f"got '{typed}'" in message
    assert f"did you mean {near}?" in message
    assert all(name in message for name in [*METRICS, *SPEC_METRICS, *EVENT_METRICS, *SCALE_METRICS, *PROTOCOLS])
