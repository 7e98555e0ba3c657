"""Numbers, counts, durations, options and commands as short texts for people."""

from __future__ import annotations

import html
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def format_duration(seconds: float) -> str:
    """Format a duration: 12.3 s, 4.2 min, 3.1 h."""
    for factor, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * factor:
            return f"{seconds / factor:.1f} {unit}"
    return f"{seconds:.1f} s"


def shorten(text: str, width: int = 200) -> str:
    """Shorten a text of others to one line, cut between words where it is longer; a single long word is cut anywhere."""
    words = " ".join(text.split())
    if len(words) <= width:
        return words
    whole = words[: width - 3].rsplit(" ", 1)[0] if " " in words[: width - 3] else words[: width - 3]
    return f"{whole.rstrip(' ,;')} ..."


def format_number(value: float) -> str:
    """Format a number with three significant digits; a dash for NaN."""
    if math.isnan(value):
        return "-"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def format_count(count: int | float) -> str:
    """Format a count in at most four digits: 950, 12.3 k, 4.03 M."""
    for factor, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= factor:
            return f"{count / factor:.3g}{letter}"
    return f"{count:.0f}"


def format_bytes(size: int) -> str:
    """Format a size in memory or on a disk, bytes: 1.85 GB."""
    return f"{format_count(size)}{'B' if size >= 1000 else ' B'}"


def format_options(options: dict[str, Any]) -> str:
    """Format options in parentheses, with a space before them; an empty text for no options."""
    return f" ({', '.join(f'{key} {_format_value(value)}' for key, value in options.items())})" if options else ""


def format_command(*words: object) -> str:
    """Format the words of a command as a line for a shell: those with spaces, brackets and the like in quotes.

    A `Path` that begins with a dash is written as ./-name, as it would be taken for an option.
    """
    return shlex.join(f"./{word}" if isinstance(word, Path) and str(word)[:1] == "-" else str(word) for word in words)


def describe_object(kind: str, facts: Sequence[tuple[str, str]]) -> str:
    """Describe an object in one line, for its repr.

    Args:
        kind: its class.
        facts: name and text of each.
    """
    return f"{kind}({', '.join(shorten(f'{name} {text}') for name, text in facts)})"


def make_html(title: str, facts: Sequence[tuple[str, str]], table: str = "") -> str:
    """Make the HTML of an object for a notebook: a title, facts, and a table of its own, if it has one.

    Args:
        title: what it is.
        facts: as for `describe_object`; all are escaped.
        table: HTML that has been escaped.
    """
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(shorten(text))}</td></tr>'
        for name, text in facts
    )
    return f"<div><strong>{html.escape(title)}</strong><table>{rows}</table>{table}</div>"


def make_html_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Make an HTML table of texts, which are escaped; the first cell of each row is its name."""
    cells = [[html.escape(cell) for cell in row] for row in rows]
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heading)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in cells
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _format_value(value: Any) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list | tuple) else str(value)
