import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.data.durations import in_frames
from framecast.errors import UsageError


@given(frames=st.integers(1, 10_000), step=st.sampled_from([1 / 60, 0.5, 1.0, 5.0, 15.0, 60.0, 1440.0]))
def test_times_are_frames_times_the_step(frames: int, step: float):
    for unit, minutes in (("s", 1 / 60), ("min", 1.0), ("h", 60.0), ("d", 1440.0)):
        text = f"{frames * step / minutes:.9f}".rstrip("0").rstrip(".")
        if float(text) > 0 and abs(float(text) * minutes / step - frames) < 1e-7:
            assert in_frames(f"{text}{unit}", step, "context") == frames


@pytest.mark.parametrize(
    ("text", "step", "frames"),
    [("50min", 5.0, 10), ("2h", 5.0, 24), ("1 d", 60.0, 24), ("90s", 0.5, 3), ("7", None, 7)],
)
def test_by_hand(text, step, frames):
    assert in_frames(text, step, "context") == frames


@pytest.mark.parametrize(
    ("text", "step", "words"),
    [
        ("52min", 5.0, "multiple of the step, 5 min; give 10 or 11 frames"),
        ("50min", None, "time step is unknown"),
        ("fifty", 5.0, "90s, 50min, 2h, 1d"),
        ("50 minutes", 5.0, "90s, 50min, 2h, 1d"),
        ("-5min", 5.0, "90s, 50min, 2h, 1d"),
    ],
)
def test_what_is_no_number_of_frames(text, step, words):
    with pytest.raises(UsageError, match=words):
        in_frames(text, step, "context")


def test_months_of_dekads():
    assert in_frames("2mon", 365.2425 * 40, "horizon") == 6
    assert in_frames("2mon", 365.2425 * 80, "horizon") == 3
    with pytest.raises(UsageError, match="expected a multiple of the step, 1 dekad"):
        in_frames("30d", 365.2425 * 40, "horizon")
