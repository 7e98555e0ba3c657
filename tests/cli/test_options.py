"""What options mean."""

import pytest

from framecast.cli.options import parse_bytes
from framecast.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2 * 10**9),
        ("512MiB", 512 * 2**20),
        ("512Mi", 512 * 2**20),
        ("1.5g", 1_500_000_000),
        (".5 gb", 500_000_000),
        (" 3t ", 3 * 10**12),
        ("10k", 10_000),
        ("800000000", 800_000_000),
        ("64B", 64),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["plenty", "", "0", "0GB", "-1GB", "1,5g", "8Gbit", "5i", "5iB", "1e9", "2 GB or so", "1.5.5g"]
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(UsageError, match=r"--max-memory: got .*, expected a size, for example 2GB"):
        parse_bytes(text)
