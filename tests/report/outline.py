"""What a page holds."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "br"}


class Outline(HTMLParser):
    """Fails where tags do not close or rows of a table differ in their cells; keeps ids, links and what is loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.unnamed: list[str] = []
        self.rows: list[int] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes) -> None:
        said = dict(attributes)
        self.ids |= {said["id"]} if "id" in said else set()
        self.loaded += [said[key] for key in ("src", "srcset") if key in said]
        self.links += [said["href"]] if "href" in said else []
        if tag == "img" and not said.get("alt"):
            self.unnamed.append(tag)
        if tag == "tr":
            self.rows.append(0)
        elif tag in ("td", "th"):
            self.rows[-1] += 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes) -> None:
        pass

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag
        if tag == "table":
            assert len(self.rows) > 1
            assert len(set(self.rows)) == 1
            self.rows = []
