"""Pages of ensembles: stamps, plumes and diagrams with how to read them; nothing of it without members."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.fixtures.outline import Outline

from framecast.commands.calibrate import calibrate_run
from framecast.evaluation.comparison import compare_runs
from framecast.evaluation.joined_runs import prepare_joined
from framecast.evaluation.prepare import EvaluationOptions
from framecast.report import write_report
from framecast.report.comparison_page import write_comparison


@pytest.fixture(scope="module")
def dressed(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds with the errors of their validation digits."""
    copies = []
    for name in ("conv", "conv-1"):
        folder = tmp_path_factory.mktemp("dressed") / name
        shutil.copytree(runs[name], folder)
        calibrate_run(str(folder), [], EvaluationOptions(split="val", limit=2, members=3))
        copies.append(folder)
    return copies


def test_a_page_shows_members_beside_truth(dressed: list[Path], runs: dict[str, Path], tmp_path: Path) -> None:
    options = EvaluationOptions(limit=2, members=8, baselines=["blank"])
    text = write_report(dressed[0], out=tmp_path / "a.html", options=options, quiet=True, device="cpu").page.read_text()
    Outline(text)
    section = text[text.index('<section id="ensemble"') :]
    section = section[: section.index("</section>")]
    names = re.findall(r"<figcaption>([^<]*)</figcaption>", section)
    assert names[:8] == [
        "truth",
        "member 3",
        "mean of all members",
        "member 4",
        "member 1",
        "member 5",
        "member 2",
        "member 6",
    ]
    assert {"Spread against error", "Rank histogram"} <= set(names)
    assert len(re.findall(r"row \d+, column \d+", section)) >= 2
    assert section.count("Flat at 1: truth is like one more member") == 2, "once on pixels, once on means of squares"
    plain = write_report(runs["conv"], out=tmp_path / "b.html", options=EvaluationOptions(limit=2), quiet=True)
    assert 'id="ensemble"' not in plain.page.read_text()


def test_a_comparison_shows_the_ensembles_of_all_entries(dressed: list[Path], tmp_path: Path) -> None:
    options = EvaluationOptions(limit=2, members=4, baselines=[])
    comparison = compare_runs(dressed, options, device="cpu", quiet=True)
    text = write_comparison(comparison, tmp_path).read_text()
    section = text[text.index('<section id="ensemble"') :]
    assert all(name in section for name in comparison.records)
    assert "member 4" in section


def test_seeds_are_members(dressed: list[Path]) -> None:
    suite = prepare_joined(
        [str(run) for run in dressed], {}, EvaluationOptions(limit=2, baselines=["blank"]), device="cpu"
    )
    assert list(suite.forecasts) == ["ensemble of 2 runs", "conv", "conv-1", "blank"]
    scores = suite.score(quiet=True).scores
    assert scores["ensemble of 2 runs"].members == 2
    assert scores["conv"].members == 1
    assert scores["ensemble of 2 runs"].mean()["crps"] < max(scores[name].mean()["crps"] for name in ("conv", "conv-1"))
