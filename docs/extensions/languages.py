"""Pages under zh/ are Chinese: they say so, for fonts and screen readers, and a new line in their source is no space.

What the theme says on them (search, on this page) is Chinese too, and each page leads to itself in the other language.
"""

import gettext
import re
from pathlib import Path
from typing import Any

import pydata_sphinx_theme
import sphinx
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


def _load_chinese() -> gettext.NullTranslations:
    """The theme's words first, then Sphinx's own."""
    theme = gettext.translation("sphinx", Path(pydata_sphinx_theme.__file__).parent / "locale", ["zh"])
    theme.add_fallback(gettext.translation("sphinx", Path(sphinx.__file__).parent / "locale", ["zh_CN"]))
    return theme


def find_twin(page: str, pages: set[str]) -> str:
    """The page in the other language, or the home of that language where there is none."""
    chinese = page.startswith("zh/")
    twin = page.removeprefix("zh/") if chinese else f"zh/{page}"
    return twin if twin in pages else ("index" if chinese else "zh/index")


def _language(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    context["chinese"] = pagename.startswith("zh/")
    context["twin"] = find_twin(pagename, app.env.found_docs)
    if context["chinese"]:
        context["language"] = "zh-CN"
        context["_"] = context["gettext"] = _load_chinese().gettext


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
