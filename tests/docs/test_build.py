"""The pages as they are built: without warnings, every link and picture there, and nothing asked of a network."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """What a page has and what it asks for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.count = {"math": 0, "svg": 0}
        self.language = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "html":
            self.language = values["lang"]
        if tag in self.count:
            self.count[tag] += 1
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag in ("script", "img", "source", "iframe") and "src" in values:
            self.loaded.append(values["src"])
        elif tag == "link" and values.get("rel") in ("stylesheet", "preload", "icon"):
            self.loaded.append(values["href"])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("docs")
    words = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(out / "trees"), "docs", str(out / "html")]
    done = subprocess.run([sys.executable, "-m", "sphinx", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {path: Page(path) for path in (out / "html").rglob("*.html") if "_static" not in path.parts}


@pytest.mark.slow
def test_every_link_and_picture_is_there(built):
    lost = []
    for path, page in built.items():
        for link in {*page.links, *page.loaded}:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("#"):
                continue
            target = (path.parent / unquote(parts.path)).resolve()
            anchors = built[target].anchors if target in built else {parts.fragment, unquote(parts.fragment)}
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in anchors):
                lost.append((path.name, link))
    assert lost == []


@pytest.mark.slow
def test_nothing_is_asked_of_a_network(built):
    assert [
        link for page in built.values() for link in page.loaded if urlsplit(link).scheme or link.startswith("//")
    ] == []


@pytest.mark.slow
def test_equations_drawings_and_languages(built):
    papers = {path: page for path, page in built.items() if path.parent.name == "papers" and path.stem != "index"}
    assert len(papers) == 12
    for path, page in papers.items():
        assert page.count["math"] >= 3
        assert page.count["svg"] >= 1
        assert page.language == ("zh-CN" if "zh" in path.parts else "en")
