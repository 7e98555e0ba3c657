"""Short texts for people."""

import pytest

from framecast.formatting import format_bytes, format_count, format_duration


@pytest.mark.parametrize(
    ("size", "text"), [(950, "950 B"), (12_300, "12.3 kB"), (4_030_000, "4.03 MB"), (1_851_000_000, "1.85 GB")]
)
def test_bytes(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_counts_and_durations() -> None:
    assert [format_count(n) for n in (7, 12_300, 4_030_000, 2e9)] == ["7", "12.3 k", "4.03 M", "2 G"]
    assert [format_duration(s) for s in (12.34, 119.0, 252.0, 11_160.0)] == ["12.3 s", "119.0 s", "4.2 min", "3.1 h"]
