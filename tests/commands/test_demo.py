import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tests.fixtures.commands import unchecked

from framecast.commands import browser_page
from framecast.commands.browser_page import BrowserPage
from framecast.commands.demo import make_demo_recipe, run_demo
from framecast.errors import UsageError
from framecast.export import html_file
from framecast.export.browser_runtime import BrowserRuntime


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for onnxruntime-web and for the model, which tests/export opens in a browser."""
    monkeypatch.setattr(browser_page, "find_runtime", lambda: None)
    monkeypatch.setattr(html_file, "find_runtime", lambda folder: BrowserRuntime(b"script", b"binary"))
    model = SimpleNamespace(SerializeToString=lambda: b"model")
    monkeypatch.setattr(html_file, "make_model", lambda step, form: model)


def wait(page: BrowserPage) -> BrowserPage:
    page._fetching.join(60)
    return page


def test_without_a_runtime_the_demo_says_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise UsageError("https://registry.npmjs.org", got="no answer", expected="the package", fix="--runtime FOLDER")

    monkeypatch.setattr(browser_page, "find_runtime", fail)
    said = wait(BrowserPage()).write(tmp_path, np.zeros((10, 1, 64, 64), np.float32))
    assert "No digits.html" in said
    assert "--runtime FOLDER" in said
    monkeypatch.setattr(BrowserPage, "_fetch", lambda page: __import__("time").sleep(5))
    said = BrowserPage().write(tmp_path, np.zeros((10, 1, 64, 64), np.float32))
    assert "still being fetched" in said
    assert "framecast export digits --to html" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("runtime")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_demo_tells_the_whole_story(tmp_path: Path, capsys) -> None:
    with unchecked():
        run_demo(tmp_path / "run", Console(width=140), steps=3)
    told = capsys.readouterr().out
    for word in ("persistence", "blank", "strip.png", "report.html", "framecast predict rain", "beats extrapolation"):
        assert word in told
    folder = tmp_path / "run" / "evaluations" / "test-1"
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["sequences"] == 64
    assert scores["scores"]["blank"]["sse"]["mean"] == pytest.approx(160, rel=0.05)
    for picture in (
        folder / "strip.png",
        folder / "forecast.gif",
        folder / "scores.png",
        tmp_path / "run" / "loss.png",
        tmp_path / "run" / "rain.gif",
        tmp_path / "run" / "digits.png",
    ):
        with Image.open(picture) as opened:
            opened.verify()
    assert make_demo_recipe().context == 10
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"{scores['scores']['predrnn']['sse']['mean']:.3g}" in page
    assert "64 sequences of split test" in page
    assert '<a href="digits.html">' in page
    shown = (tmp_path / "run" / "digits.html").read_text()
    assert '"shape": [10, 1, 64, 64]' in shown
    assert "digits.html    draw digits" in told
    assert " MB)" in told


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_the_whole_demo_is_a_fifth_below_blank(tmp_path: Path) -> None:
    scores = run_demo(tmp_path / "run", Console(quiet=True), quiet=True).scores
    sse = {name: found.mean()["sse"] for name, found in scores.items()}
    assert sse["predrnn"] < 0.8 * sse["blank"]
    assert sse["predrnn"] < sse["linear"]
    assert sse["predrnn"] < 0.6 * sse["persistence"]
