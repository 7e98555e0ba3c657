"""What can go wrong is said in one line."""

import pytest

from framecast.errors import InputError, UsageError


def test_what_cannot_be_printed_is_escaped() -> None:
    told = str(InputError("a.nc: time", got="minutes since :6\nR\x1b[31m", expected="°C, 中", fix="get it again"))
    assert told == "a.nc: time: got minutes since :6\\nR\\x1b[31m, expected °C, 中; get it again"


@pytest.mark.parametrize(
    ("got", "end"),
    [
        ("predrn", "got 'predrn', expected one of mim, predrnn; did you mean predrnn?"),
        ("MIM", "got 'MIM', expected one of mim, predrnn; did you mean mim?"),
        ("convlstm", "got 'convlstm', expected one of mim, predrnn; see framecast models"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(got: str, end: str) -> None:
    error = UsageError.unknown("model", got, ("mim", "predrnn"), fix="see framecast models")
    assert isinstance(error, UsageError)
    assert str(error) == f"model: {end}"


def test_what_was_expected_can_be_said_in_words() -> None:
    error = InputError.unknown("data.targets", "9", ["t2m", "q"], expected="one of t2m, q, or 0 to 1")
    assert (str(error), error.exit_code) == ("data.targets: got '9', expected one of t2m, q, or 0 to 1", 3)
