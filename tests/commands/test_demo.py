import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from tests.fixtures.commands import unchecked

from framecast.commands.demo import make_demo_recipe, run_demo


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_the_whole_demo_is_a_fifth_below_blank(tmp_path: Path) -> None:
    scores = run_demo(tmp_path / "run", Console(quiet=True), quiet=True).scores
    sse = {name: found.mean()["sse"] for name, found in scores.items()}
    assert sse["predrnn"] < 0.8 * sse["blank"]
    assert sse["predrnn"] < sse["linear"]
    assert sse["predrnn"] < 0.6 * sse["persistence"]
