"""Tables of docs/performance.md: put between markers from the JSON file; the words around them are written by hand."""

from __future__ import annotations

import re
from pathlib import Path

from framecast import files
from framecast.bench import tables
from framecast.bench.results import Results
from framecast.bench.settings import SETTINGS
from framecast.errors import UsageError

EMPTY = "Nothing has been measured yet."
PICTURES = {
    "speed": ("performance-speed.png", "CPU seconds of the plain form over those of each form"),
    "growth": ("performance-growth.png", "CPU seconds and peak memory against batch, map, frames and layers"),
}
_BLOCK = re.compile(r"(?P<open><!-- bench: (?P<name>[\w ]+) -->\n).*?(?P<close><!-- bench end -->)", re.DOTALL)


def make_blocks(results: Results) -> dict[str, str]:
    """Make all blocks by name: `setup`, `growth`, two pictures, and `speed`, `memory`, `agreement` of each setting."""
    blocks = {
        "setup": tables.describe_setup(results) or EMPTY,
        "growth": _format_table(tables.tabulate_scaling(results)),
    }
    is_measured = {"speed": _has_standard(results), "growth": bool(results.growth)}
    for name, (file, caption) in PICTURES.items():
        blocks[f"picture {name}"] = f"![{caption}]({file})" if is_measured[name] else EMPTY
    for setting in SETTINGS:
        blocks[f"speed {setting}"] = _format_table(tables.tabulate_speed(results, setting))
        blocks[f"memory {setting}"] = _format_table(tables.tabulate_memory(results, setting))
        blocks[f"agreement {setting}"] = _format_table(tables.tabulate_agreement(results, setting))
    return blocks


def fill_page(page: str, blocks: dict[str, str]) -> str:
    """Put each block between its markers in a page, `<!-- bench: NAME -->` and `<!-- bench end -->`.

    Args:
        page: text of the page.
        blocks: Markdown by name.

    Raises:
        UsageError: the page has no markers, or one for a block that does not exist.
    """
    names = [marker["name"] for marker in _BLOCK.finditer(page)]
    unknown = [name for name in names if name not in blocks]
    if not names or unknown:
        got = f"blocks {', '.join(unknown)}" if unknown else "no marker <!-- bench: NAME -->"
        raise UsageError("page", got=got, expected=f"blocks among {', '.join(blocks)}")
    return _BLOCK.sub(lambda marker: f"{marker['open']}{blocks[marker['name']]}\n{marker['close']}", page)


def write_page(path: Path, results: Results) -> None:
    """Fill a page, and draw its pictures into the page's folder.

    Args:
        path: of the page, Markdown with markers.
        results: measurements.

    Raises:
        UsageError: the page does not exist, or its markers are wrong.
    """
    if not path.is_file():
        raise UsageError("--page", got=f"{path}, which is not there", expected="a page with <!-- bench: NAME --> in it")
    files.write_text(path, fill_page(path.read_text(encoding="utf-8"), make_blocks(results)))
    from framecast.bench import figures

    if _has_standard(results):
        figures.draw_speed(path.with_name(PICTURES["speed"][0]), results, "standard")
    if results.growth:
        figures.draw_scaling(path.with_name(PICTURES["growth"][0]), results)


def _has_standard(results: Results) -> bool:
    return any(part.setting.name == "standard" for part in results.times)


def _format_table(sheet: tables.Sheet) -> str:
    return sheet.to_markdown() if sheet.rows else EMPTY
