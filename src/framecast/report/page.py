"""HTML file of a page: style, script, charts and images are inside, and nothing is fetched."""

from __future__ import annotations

import os
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from framecast import files
from framecast.errors import UsageError
from framecast.plotting.line_styles import LINE_STYLES
from framecast.report.blocks import Page

GENERATOR = '<meta name="generator" content="framecast'
"""Tag of every page that framecast writes; a file that has it may be replaced."""


def render_page(page: Page) -> str:
    """Render a page as HTML."""
    environment = Environment(
        loader=PackageLoader("framecast.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    folder = resources.files("framecast.report")
    style, script = (Markup((folder / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))
    return environment.get_template("template.html").render(
        page=page, colours=Markup(_list_colours()), style=style, script=script, version=version("framecast")
    )


def _list_colours() -> str:
    """List the colours and dashes of lines as CSS, for light pages, dark ones and paper."""
    light, dark = (
        "".join(f" --c{number}: {colour};" for number, colour in enumerate(colours))
        for colours in ([style.colour for style in LINE_STYLES], [style.dark for style in LINE_STYLES])
    )
    rules = (f".s{number} {{ color: var(--c{number}); fill: currentColor; }}" for number in range(len(LINE_STYLES)))
    return (
        f":root {{{light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{{dark} }} }}\n"
        f"{' '.join(rules)} .dashed .line {{ stroke-dasharray: 5 2.5; }}"
    )


def write_page(path: Path, page: Page) -> Path:
    """Write a page; an earlier page that framecast wrote is replaced as a whole.

    Args:
        path: of the HTML file.
        page: title, subtitle and sections.

    Returns:
        the path.

    Raises:
        UsageError: a file that framecast did not write is there, or the folder cannot be written to.
    """
    check_page(path)
    text = render_page(page)
    if path.exists():
        files.write_text(path, text)
    else:
        with files.staged(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return path


def check_page(path: Path) -> None:
    """Check that a page can be written to a path.

    Raises:
        UsageError: a file that framecast did not write is there, or the folder cannot be written to.
    """
    if os.path.exists(path) and (not path.is_file() or GENERATOR.encode() not in path.read_bytes()[:2000]):
        fix = "choose another name or move it"
        raise UsageError(str(path), got="something that framecast did not write", expected="a new file", fix=fix)
    files.check_replaceable(path)
