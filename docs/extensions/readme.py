"""README is the first page: its links, which start at the root of the repository, are made to start at docs/."""

import re
from pathlib import Path

from sphinx.application import Sphinx

PLACE = "<!-- README -->"
_LINK = re.compile(r"(\]\()(?!https?:|#)([^)#]+)")
_FOLDERS = {"examples": "examples.md", "src/framecast/models": "papers/index.md"}


def moved(text: str) -> str:
    """Markdown of the root as Markdown of docs/."""
    return _LINK.sub(_moved, text)


def _moved(match: re.Match[str]) -> str:
    bracket, target = match.groups()
    if target.startswith("docs/"):
        return bracket + target.removeprefix("docs/")
    return bracket + _FOLDERS.get(target, f"../{target}")


def _include(app: Sphinx, docname: str, source: list[str]) -> None:
    if PLACE in source[0]:
        readme = Path(app.srcdir).parent / "README.md"
        app.env.note_dependency(readme)
        source[0] = source[0].replace(PLACE, moved(readme.read_text(encoding="utf-8")))


def setup(app: Sphinx) -> dict[str, bool]:
    """When a page's source is read."""
    app.connect("source-read", _include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
