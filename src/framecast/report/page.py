"""A page of blocks as one HTML file: style, script, charts and pictures inside, nothing fetched."""

from __future__ import annotations

from importlib import resources
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from framecast import files
from framecast.errors import UsageError
from framecast.report.blocks import Page

GENERATOR = '<meta name="generator" content="framecast'
"""What stands in every page of ours, and so may be written anew."""


def render_page(page: Page) -> str:
    """The HTML."""
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
        page=page, style=style, script=script, version=version("framecast")
    )


def write_page(path: Path, page: Page) -> Path:
    """Write a page; an earlier page of framecast in its place is replaced as a whole.

    Raises:
        UsageError: something else is there, or the folder cannot be written to.
    """
    check_page(path)
    files.write_text(path, render_page(page))
    return path


def check_page(path: Path) -> None:
    """Whether a page can be written here.

    Raises:
        UsageError: something else is there, or the folder cannot be written to.
    """
    if not path.exists():
        files.check_new(path)
    elif not path.is_file() or GENERATOR.encode() not in path.read_bytes()[:2000]:
        fix = "choose another name or move it"
        raise UsageError(str(path), got="something that framecast did not write", expected="a new file", fix=fix)
