"""docs/performance.md: the page's words are written by hand, its tables are put between markers from the JSON file."""

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
    """All blocks by name: `setup`, `growth`, two pictures, and `speed`, `memory`, `agreement` of each setting."""
    found = {"setup": tables.describe_setup(results) or EMPTY, "growth": _table(tables.tabulate_scaling(results))}
    drawn = {"speed": _standard(results), "growth": bool(results.growth)}
    for name, (file, caption) in PICTURES.items():
        found[f"picture {name}"] = f"![{caption}]({file})" if drawn[name] else EMPTY
    for setting in SETTINGS:
        found[f"speed {setting}"] = _table(tables.tabulate_speed(results, setting))
        found[f"memory {setting}"] = _table(tables.tabulate_memory(results, setting))
        found[f"agreement {setting}"] = _table(tables.tabulate_agreement(results, setting))
    return found


def fill_page(page: str, found: dict[str, str]) -> str:
    """The page with each block between its markers, `<!-- bench: NAME -->` and `<!-- bench end -->`.

    Raises:
        UsageError: the page has no markers, or one for a block that does not exist.
    """
    names = [match["name"] for match in _BLOCK.finditer(page)]
    unknown = [name for name in names if name not in found]
    if not names or unknown:
        got = f"blocks {', '.join(unknown)}" if unknown else "no marker <!-- bench: NAME -->"
        raise UsageError("page", got=got, expected=f"blocks among {', '.join(found)}")
    return _BLOCK.sub(lambda match: f"{match['open']}{found[match['name']]}\n{match['close']}", page)


def write_page(path: Path, results: Results) -> None:
    """Fill a page, and draw its pictures beside it.

    Raises:
        UsageError: no such page, or its markers are wrong.
    """
    if not path.is_file():
        raise UsageError("--page", got=f"{path}, which is not there", expected="a page with <!-- bench: NAME --> in it")
    files.write_text(path, fill_page(path.read_text(encoding="utf-8"), make_blocks(results)))
    from framecast.bench import figures

    if _standard(results):
        figures.draw_speed(path.with_name(PICTURES["speed"][0]), results, "standard")
    if results.growth:
        figures.draw_scaling(path.with_name(PICTURES["growth"][0]), results)


def _standard(results: Results) -> bool:
    return any(part.setting.name == "standard" for part in results.times)


def _table(sheet: tables.Sheet) -> str:
    return sheet.markdown() if sheet.rows else EMPTY
