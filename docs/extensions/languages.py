"""Pages under zh/ are Chinese: they say so, for fonts and screen readers, and a new line in their source is no space."""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.search.zh import SearchChinese

_HAN, _STOPS = r"\u4e00-\u9fff", "，。：；、？！（）《》“”"
_BREAK = re.compile(rf"(?<=[{_HAN}{_STOPS}])\n {{0,2}}(?=[{_HAN}{_STOPS}])|(?<=[{_STOPS}])\n {{0,2}}(?=[\w$`\[{{(])")

_RUNS = re.compile(rf"[{_HAN}]{{2,}}")


def joined(text: str) -> str:
    """Without the new lines that browsers would show as spaces between Chinese characters."""
    return _BREAK.sub("", text)


def _join(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname.startswith("zh/"):
        source[0] = joined(source[0])


def _language(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    if pagename.startswith("zh/"):
        context["language"] = "zh-CN"


class SearchBoth(SearchChinese):
    """English words by their stem; Chinese runs as they are, parts of which are found, and their pairs of characters."""

    language_name = "English"  # Sphinx 9 names the stemmer so, and has no Chinese one

    def split(self, input: str) -> list[str]:
        """Words that are looked up."""
        runs = _RUNS.findall(input)
        return [*runs, *(run[at : at + 2] for run in runs for at in range(len(run) - 1)), *super().split(input)]


def setup(app: Sphinx) -> dict[str, bool]:
    """For every page."""
    app.add_search_language(SearchBoth)
    app.connect("source-read", _join)
    app.connect("html-page-context", _language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
