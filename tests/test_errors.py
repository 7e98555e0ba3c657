"""What can go wrong is said in one line."""

from pathlib import Path

import pytest

from framecast.errors import LONGEST_PART, FramecastError, InputError, UsageError, abbreviate


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


LONG: dict[str, object] = {
    "letters": "x" * 10**7,
    "words": "word " * 10**6,
    "list": list(range(10**6)),
    "dictionary": dict.fromkeys(range(99), "y" * 10**5),
    "number": 1 << 100_000,
    "not printable": "\x1b" * 5000,
}


@pytest.mark.parametrize("name", LONG)
def test_what_is_long_is_shortened(name: str) -> None:
    got = LONG[name]
    for error in (
        UsageError("what", got=got, expected=got, fix=str(abbreviate(got))),
        UsageError(str(abbreviate(got)), got=got),
        UsageError.unknown("what", str(abbreviate(got)), ["a"] * 5000),
    ):
        assert len(str(error)) < 20 * LONGEST_PART  # of a letter that cannot be printed four stay
        assert len(str(error).replace("\\x1b", "")) < 4 * LONGEST_PART


def test_short_values_stay_as_they_are() -> None:
    for value in ("a text", 3, 0.1, (4, 8), [1.5, "a"], {"a": 1}, None, True, Path("a/b")):
        assert abbreviate(value) == str(value)
    assert abbreviate("a", quoted=True) == "'a'"


def test_a_text_is_cut_between_words() -> None:
    told = abbreviate("several words " * 200)
    assert told.endswith(("several ...", "words ..."))
    inner: list[object] = []
    inner.append(inner)
    assert len(str(FramecastError("a", got=inner))) < 100
