"""Pages under zh/ say that they are Chinese, for hyphens, fonts and screen readers."""

from typing import Any

from sphinx.application import Sphinx


def _language(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    if pagename.startswith("zh/"):
        context["language"] = "zh-CN"


def setup(app: Sphinx) -> dict[str, bool]:
    """For every page."""
    app.connect("html-page-context", _language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
