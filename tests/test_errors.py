"""What can go wrong is said in one line."""

from framecast.errors import InputError


def test_what_cannot_be_printed_is_escaped() -> None:
    told = str(InputError("a.nc: time", got="minutes since :6\nR\x1b[31m", expected="°C, 中", fix="get it again"))
    assert told == "a.nc: time: got minutes since :6\\nR\\x1b[31m, expected °C, 中; get it again"
