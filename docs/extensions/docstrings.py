"""Docstrings are plain text with backticks and indented equations; this makes them what Sphinx reads.

Equations become literal blocks, and the stars of convolutions and bars of absolute values stay themselves.
"""

import re

from sphinx.application import Sphinx

_SECTION = re.compile(r"(Args|Attributes|Examples?|Notes?|Raises|Returns|Yields):$")
_CODE = re.compile(r"(`[^`]*`)")
_MARKUP = re.compile(r"([*|]|(?<=\w)_(?!\w))")


def _escaped(line: str) -> str:
    bullet, text = ("* ", line[2:]) if line.startswith("* ") else ("", line)
    parts = _CODE.split(text)
    return bullet + "".join(part if part.startswith("`") else _MARKUP.sub(r"\\\1", part) for part in parts)


def to_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring as reStructuredText with Google's sections."""
    result: list[str] = []
    heading, literal = "", False
    for line in lines:
        indented = line.startswith("    ")
        if line and not indented:
            heading, literal = line, False
        elif indented and not literal and result and not result[-1] and not _SECTION.match(heading):
            result += ["::", ""]
            literal = True
        result.append(line if literal else _escaped(line))
    return result


_SENTENCES = ("attribute", "data", "property")
_kept: dict[str, list[str]] = {}


def _before(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = to_rst(lines)
    # Napoleon takes what stands before a colon in an attribute's first line for its type; ours are sentences.
    if what in _SENTENCES:
        _kept[name] = lines.copy()
        lines.clear()


def _after(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    if what in _SENTENCES:
        lines[:] = _kept.pop(name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Around napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", _before, priority=100)
    app.connect("autodoc-process-docstring", _after, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
