"""Metrics by name."""

from __future__ import annotations

import pytest

from framecast.errors import UsageError
from framecast.metrics import EVENT_METRICS, METRICS, PROTOCOLS, metrics
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=64, width=64, units="dBZ", low=-10.0, high=85.0)


def names(*wanted: str, spec: FrameSpec = SPEC, thresholds: tuple[float, ...] = ()) -> list[str]:
    return [metric.name for metric in metrics(list(wanted), spec=spec, thresholds=thresholds)]


def test_every_metric_answers_to_its_name() -> None:
    for name in METRICS:
        assert names(name) == [name]
    assert [metric.name for metric in metrics("ssim", spec=SPEC)] == ["ssim"]


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


def test_what_is_named_is_made_whatever_the_size() -> None:
    assert names("ssim", spec=SPEC.model_copy(update={"width": 6})) == ["ssim"]


def test_what_is_named_twice_is_made_once_in_order() -> None:
    assert names("psnr", "openstl", "predrnn-pytorch", "sse", "csi", "csi", thresholds=(5.0, 5.0)) == [
        "psnr", "sse_unclipped", "fmae", "ssim_range2", "sse", "psnr_uint8", "ssim_uint8", "csi@5",
    ]  # fmt: skip


def test_thresholds_are_scaled_as_the_data_are() -> None:
    (metric,) = metrics(["csi"], spec=SPEC, thresholds=[20.0])
    assert metric.threshold == (20.0 - -10.0) / (85.0 - -10.0)


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
    assert f"did you mean '{near}'?" in message
    assert all(name in message for name in [*METRICS, *EVENT_METRICS, *PROTOCOLS])
