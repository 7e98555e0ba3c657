"""The pages as they are built: without warnings, every link and picture there, and nothing asked of a network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FORMULA = re.compile(r"\$\$.+?\$\$", re.DOTALL)


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


def front(built):
    """The first page."""
    return min((path for path in built if path.name == "index.html"), key=lambda path: len(path.parts))


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
    drawn = [path for path, page in papers.items() if page.count["svg"]]
    assert (len(papers), len(drawn)) == (30, 12)  # those of the newer networks have no drawing
    for path, page in papers.items():
        text = (DOCS / path.relative_to(front(built).parent).with_suffix(".md")).read_text("utf-8")
        blocks = FORMULA.findall(text)
        lines = re.findall(r"(?<!\\)\$[^$\n]+\$", FORMULA.sub("", text))
        assert page.count["math"] == len(blocks) + len(lines) >= 1
        assert page.language == ("zh-CN" if "zh" in path.parts else "en")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    "page",
    ["index", "guides/own_data", "study", "papers/mim", "zh/index", "zh/papers/mim", "zh/guides/radar", "api/index"],
)
def test_pages_open_in_a_browser(built, browser, page, width):
    """No error on the console, and nothing sticks out to the side."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get((front(built).parent / f"{page}.html").as_uri())
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    pictures = "return [...document.images].filter((one) => one.complete && one.naturalWidth === 0).length"
    assert browser.execute_script(pictures) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", ["index", "zh/index"])
def test_everybody_can_use_the_home(built, browser, axe, page, theme):
    browser.get((front(built).parent / f"{page}.html").as_uri())
    browser.execute_script(
        "localStorage.setItem('mode', arguments[0]); localStorage.setItem('theme', arguments[0])", theme
    )
    browser.refresh()
    assert browser.execute_script("return document.documentElement.dataset.theme") == theme
    browser.execute_script(axe)
    found = browser.execute_async_script(
        "axe.run({preload: false}).then(found => arguments[0](found.violations))"  # it may not fetch from file://
    )
    browser.execute_script("localStorage.clear()")
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_zigzag_moves_unless_less_motion_is_asked_for(built, browser):
    moving = {}
    for wish in ("no-preference", "reduce"):
        features = [{"name": "prefers-reduced-motion", "value": wish}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get((front(built).parent / "papers/predrnn.html").as_uri())
        moving[wish] = browser.execute_script(
            "return document.getAnimations().filter((one) => one.animationName?.startsWith('zigzag')).length"
        )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert moving["no-preference"] > 10
    assert moving["reduce"] == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("width", [1280, 400])
def test_no_command_is_cut(built, browser, width):
    """Code wraps where a line is too long for the page: nothing lies behind its right edge."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get((front(built).parent / "guides/own_data.html").as_uri())
    cut = (
        "return [...document.querySelectorAll('div.highlight pre')].filter((one) => one.scrollWidth > one.clientWidth)"
    )
    assert browser.execute_script(f"{cut}.length") == 0
    buttons = "return document.querySelectorAll('div.highlight button.copybtn').length"
    blocks = "return document.querySelectorAll('div.highlight pre').length"
    assert browser.execute_script(buttons) == browser.execute_script(blocks) >= 3


@pytest.mark.slow
def test_chinese_pages_are_navigated_in_chinese(built):
    page = front(built).parent / "zh/guides/radar.html"
    text = page.read_text(encoding="utf-8")
    header = text[text.index("<header") : text.index("</header>")]
    for words in ("指南", "论文导读", "从笔记到 framecast", "搜索"):
        assert words in header
    assert "Guides" not in header
    assert "../../guides/radar.html" in built[page].links


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("word", ["highways", "遗忘门", "饱和"])
def test_both_languages_are_searched(built, browser, word):
    support = pytest.importorskip("selenium.webdriver.support.ui")
    browser.get(f"{front(built).with_name('search.html').as_uri()}?q={word}")
    found = "return document.querySelectorAll('#search-results li a').length"
    support.WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(found) > 0)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
