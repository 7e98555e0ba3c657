"""JSON and YAML of strangers: what is plain is read as the reference parsers read it, what is not is refused soon."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from framecast import documents
from framecast.documents import MAX_BYTES, MAX_DEPTH, parse_json, parse_yaml, read_document

SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    SCALARS | st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Nothing here takes long, also under load: what stands for millions of values is not written out."""
    began = time.process_time()
    yield
    assert time.process_time() - began < 20


@given(PLAIN)
def test_plain_values_are_read_back(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_yaml(yaml.safe_dump(value)) == value


def nested_aliases(levels: int, width: int = 10, form: str = "[{}]") -> str:
    """Each level is an alias of the one before, ten times: 10 ** levels values in a few hundred bytes."""
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{n}: &a{n} {form.format(', '.join([f'*a{n - 1}'] * width))}" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (nested_aliases(7), "values, aliases written out"),
        (nested_aliases(30, 2), "values, aliases written out"),
        (nested_aliases(9, form="{{<<: [{}]}}"), "values, aliases written out"),
        ("a: &a [*a]", "an alias of a value within this value"),
        ("&a {b: &b [1, {c: *a}]}", "an alias of a value within this value"),
        ("[" * 3000, "nested more than"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested more than"),
        ("".join(f"{' ' * n}a:\n" for n in range(400)), "nested more than"),
        ("&a [[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n", None),
        (f"a: {'9' * 5000}", "a number of 5000 digits"),
        (f"a: 0x{'f' * 5000}", "a number of 5002 digits"),
        (f"a: 1{':59' * 3000}", "a number of 9001 digits"),
        ("a: 1\nb: 2\na: 3", "the key 'a' twice"),
        ("<<: {a: 1}\n<<: {b: 1}", "the key '<<' twice"),
        ("frames: [2016-99-99, 2017-01-01]", "month must be in"),
        ("? [a]\n: 1", "unhashable key"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: *b", "undefined alias"),
        ("a: b: c", "not allowed here"),
        ("\x00", "not allowed"),
        ("a" * (3 * 2**20), "more than 2097152 letters"),
    ],
    ids=str.split("""bomb pairs merge cycle inner-cycle flow depth block fine digits hex base60 twice merges date key
    python undefined mapping control long"""),
)
def test_yaml(text: str, fault: str | None) -> None:
    if fault is None:
        assert parse_yaml(text) == yaml.safe_load(text)
        return
    with pytest.raises(ValueError, match=fault) as error:
        parse_yaml(text)
    assert "\n" not in str(error.value)


def test_what_is_long_is_read_to_the_bound_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_NODES", 1000)
    composed: list[object] = []
    original = yaml.SafeLoader.compose_node
    monkeypatch.setattr(yaml.SafeLoader, "compose_node", lambda *given: composed.append(given) or original(*given))
    with pytest.raises(ValueError, match="more than 1000 values"):
        parse_yaml("- a\n" * 20_000)
    assert len(composed) == 1000


def test_yaml_keeps_what_users_write() -> None:
    text = "base: &base {lr: 1e-3, steps: 10}\nown: {<<: *base, steps: 20}\nempty:\nday: 2016-09-28T14:45:00\nno: .nan"
    assert str(parse_yaml(text)) == str(yaml.safe_load(text))
    assert parse_yaml("") is None
    assert parse_yaml("3") == 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[" * 100_000, "nested more than"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested more than"),
        ('{"a":' * 100_000, "nested more than"),
        ('{"a": NaN}', "NaN, which JSON does not have"),
        ("[-Infinity]", "-Infinity, which JSON does not have"),
        ("[1e999]", "beyond double precision"),
        ("9" * 5000, "a number of 5000 digits"),
        ("0." + "9" * 5000, "a number of 5002 digits"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' twice"),
        ("{", "Expecting"),
        ("", "Expecting"),
    ],
)
def test_json(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_json(text)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda path: path.write_bytes(b"\xff\xfe"), "decode"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 10 * MAX_BYTES), "more than"),
        (os.mkfifo, "no regular file"),
        (make_device, "no regular file"),
        (Path.mkdir, "no regular file"),
    ],
    ids=["bytes", "sparse", "pipe", "device", "folder"],
)
@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_files(make: Callable[[Path], object], fault: str, parse: Callable[[str], object], tmp_path: Path) -> None:
    make(tmp_path / "file")
    with pytest.raises(ValueError, match=fault):
        read_document(tmp_path / "file", parse)
    with pytest.raises(FileNotFoundError):
        read_document(tmp_path / "absent", parse)


@pytest.mark.parametrize("text", ['!!int ""', '!!float ""', "!!bool maybe", "!!timestamp foo"])
def test_a_scalar_unlike_its_tag_is_an_error_of_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="its tag"):
        parse_yaml(f"seed: {text}")
