"""JSON and YAML, which may come from strangers: parsed within bounds of size, depth, aliases and digits."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from framecast.errors import abbreviate

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

MAX_BYTES = 16 * 2**20
"""Size of a file, at most."""
MAX_LETTERS = 2 * 2**20
"""Size of a YAML document, at most, as it is parsed slowly."""
MAX_DEPTH = 50
"""Lists and mappings within each other, at most."""
MAX_NODES = 100_000
"""Values of a YAML document, aliases written out, at most: a few lines of aliases of aliases stand for millions."""
MAX_DIGITS = 100
"""Letters of a number, at most: the time to convert a longer one grows with the square of its length."""


def read_document(path: Path, parse: Callable[[str], Any]) -> Any:
    """Read a file and parse it.

    Args:
        path: a regular file; a pipe or a device, which may have no end, is refused.
        parse: `parse_json` or `parse_yaml`.

    Raises:
        OSError: no such file, or one that cannot be read.
        ValueError: what is wrong with the content, in words.
    """
    if path.exists() and not path.is_file():
        raise ValueError("no regular file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    return parse(content.decode())


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: no JSON; NaN or infinity, which JSON does not have; a key that occurs twice; more than the bounds.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_make_object,
            parse_int=lambda digits: int(_check_digits(digits)),
            parse_float=_make_float,
            parse_constant=_refuse_constant,
        )
    except RecursionError as error:
        raise _make_depth_error() from error
    _check_depth(value)
    return value


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_unique([key for key, _ in pairs])
    return dict(pairs)


def _check_unique(keys: list[str]) -> None:
    if len(set(keys)) < len(keys):
        raise ValueError(f"the key {abbreviate(Counter(keys).most_common(1)[0][0], quoted=True)} twice")


def _make_float(digits: str) -> float:
    value = float(_check_digits(digits))
    if not math.isfinite(value):
        raise ValueError(f"the number {digits}, beyond double precision")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which JSON does not have")


def _check_digits(digits: str) -> str:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return digits


def _check_depth(value: Any) -> None:
    containers, depth = [value], 0
    while containers := [inner for inner in containers if isinstance(inner, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise _make_depth_error()
        containers = [inner for outer in containers for inner in (outer.values() if isinstance(outer, dict) else outer)]


def _make_depth_error() -> ValueError:
    return ValueError(f"values nested more than {MAX_DEPTH} deep")


def _make_count_error() -> ValueError:
    return ValueError(f"more than {MAX_NODES} values, aliases written out")


def parse_yaml(text: str) -> Any:
    """Parse YAML of plain values; no tag constructs an object.

    Raises:
        ValueError: no YAML, a key that occurs twice, a value within itself, more than the bounds.
    """
    if len(text) > MAX_LETTERS:
        raise ValueError(f"more than {MAX_LETTERS} letters")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _YamlCheck().measure(root)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise _make_depth_error() from error
    except OverflowError as error:
        raise ValueError(str(error)) from error
    except (
        IndexError,
        KeyError,
        AttributeError,
        TypeError,
    ) as error:  # of PyYAML, for a scalar unlike its explicit tag
        raise ValueError("a value that is not of the kind that its tag says") from error


class _Loader(yaml.SafeLoader):
    """Loader that stops at the bounds. It is the one in Python, as deep nesting overflows the stack of the one in C."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._count, self._depth = 0, -1

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, within the bounds."""
        self._count, self._depth = self._count + 1, self._depth + 1
        if self._count > MAX_NODES:
            raise _make_count_error()
        if self._depth > MAX_DEPTH:
            raise _make_depth_error()
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _YamlCheck:
    """Check of the nodes of a YAML document, in which each alias is the node that it stands for."""

    def __init__(self) -> None:
        self._sizes: dict[int, tuple[int, int] | None] = {}
        """(values, depth) of each node with its aliases written out, by id; None while it is measured."""

    def measure(self, node: yaml.Node) -> tuple[int, int]:
        """Measure the number of values, and the depth, of a node with its aliases written out.

        Raises:
            ValueError: a value within itself, a key that occurs twice, more than the bounds.
        """
        if id(node) in self._sizes:
            size = self._sizes[id(node)]
            if size is None:
                raise ValueError("an alias of a value within this value")
            return size
        self._sizes[id(node)] = None
        sizes = [self.measure(child) for child in self._list_children(node)]
        count = 1 + sum(size[0] for size in sizes)
        depth = max((size[1] for size in sizes), default=0) + isinstance(node, yaml.CollectionNode)
        if count > MAX_NODES:
            raise _make_count_error()
        if depth > MAX_DEPTH:
            raise _make_depth_error()
        self._sizes[id(node)] = count, depth
        return count, depth

    @staticmethod
    def _list_children(node: yaml.Node) -> list[yaml.Node]:
        if isinstance(node, yaml.MappingNode):
            _check_unique([key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
            return [child for pair in node.value for child in pair]
        if isinstance(node, yaml.ScalarNode):
            if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
                _check_digits(node.value)
            return []
        return list(node.value)


_KINDS = {"extra_forbidden": 0, "value_error": 1}
"""Faults that explain others, first the best."""


class Fault(NamedTuple):
    """First fault of a document that describes something."""

    path: tuple[str, ...]
    """Keys and numbers that lead to it."""
    is_unknown_key: bool
    text: str
    """The fault in words, with the path and the value got."""


def explain_invalid(error: ValidationError, content: Any) -> Fault:
    """Find the first fault that pydantic found in a document; where it tried alternatives, of the one that fits best.

    Args:
        error: what pydantic raised.
        content: the document that was validated; names of alternatives, which pydantic puts into paths, are not in it.
    """
    errors = [(_find_path(details, content), details) for details in error.errors(include_url=False)]
    start, details = errors[0]
    start = start[:-1] if details["type"] == "missing" else start
    near = [(path, details) for path, details in errors if path[: len(start)] == start]
    deepest = max(len(path) for path, _ in near)
    near = [each for each in near if len(each[0]) == deepest]
    # a misspelt key explains a missing one, and what a check says fits better than that other kinds do not
    path, first = min(near, key=lambda each: _KINDS.get(each[1]["type"], len(_KINDS)))
    alike = [details for other, details in near if other == path]
    explained = [details for details in alike if details["type"] in _KINDS] or alike
    words = dict.fromkeys(details["msg"].removeprefix("Value error, ") for details in explained)
    said = " or ".join([next(iter(words)), *(word.removeprefix("Input should be ") for word in list(words)[1:])])
    is_said = first["type"] in ("missing", "union_tag_invalid") or " got " in f" {said}"
    got = "" if is_said else f", got {abbreviate(first['input'], quoted=True)}"
    where = f"{'.'.join(path)}: " if path else ""
    return Fault(path, first["type"] == "extra_forbidden", f"{where}{said}{got}")


def _find_path(details: ErrorDetails, content: Any) -> tuple[str, ...]:
    """Find the path of a fault: the parts of pydantic's that are keys of the document, or would be."""
    path: list[str] = []
    for number, part in enumerate(details["loc"], 1):
        is_last = number == len(details["loc"])
        if isinstance(content, dict) and (part in content or (is_last and details["type"] == "missing")):
            content = content.get(part)
        elif isinstance(part, int) and isinstance(content, list | tuple) and part < len(content):
            content = content[part]
        else:
            continue
        path.append(str(part))
    return tuple(path)
