"""Brackets and colons in names are printed as they are: no table, line, bar or help takes them for markup."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from framecast.bench.tables import Sheet
from framecast.cli import app
from framecast.cli.options import make_console
from framecast.commands.models import CatalogueRow, ModelCatalogue
from framecast.commands.study import StudyOutcome
from framecast.evaluation.comparison import _make_table
from framecast.evaluation.tables import print_by_lead, print_means, print_skill
from framecast.metrics.registry import METRICS
from framecast.metrics.summary import Estimate, Summary
from framecast.models.cost import Cost
from framecast.progress import Bar

NAMES = ("predrnn[128,128]", "run [bold]1[/bold]", "kind:warning:", "a[/]b")
"""Names that markup would change, or that are wrong markup."""
ESTIMATE = Estimate(1.0, (0.5, 1.5), [1.0], [(0.5, 1.5)])


def printed(show) -> str:
    """What is printed on a console that takes markup, as rich's own does."""
    console = Console(width=300)
    with console.capture() as capture:
        show(console)
    return capture.get()


def test_tables_of_scores() -> None:
    summaries = {
        name: {"mse": Summary(METRICS["mse"](), ESTIMATE, [3], [9], {}, {NAMES[0]: ESTIMATE})} for name in NAMES
    }
    for show in (print_means, print_skill):
        text = printed(lambda console, show=show: show(console, summaries))
        assert all(name in text for name in NAMES)
    text = printed(lambda console: print_by_lead(console, summaries, 1))
    assert all(name in text for name in NAMES)
    table = _make_table({name: {"mse[x]": ESTIMATE} for name in NAMES}, [f"1 run [{n}]" for n in range(4)])
    text = printed(lambda console: console.print(table))
    assert all(name in text for name in (*NAMES, "mse[x]", "1 run [3]"))


def test_tables_of_studies_benchmarks_and_networks() -> None:
    study = StudyOutcome({"gates": Path("a[1]b")}, {"gates": {name: {"share[o]": 0.5} for name in NAMES}}, ["[note]"])
    text = printed(study.print)
    assert all(name in text for name in (*NAMES, "share[o]", "a[1]b", "[note]"))
    text = printed(Sheet("Speed [s]", ("name", "kind [x]"), [(name, "[cpu]") for name in NAMES], ("[note]",)).print)
    assert all(name in text for name in (*NAMES, "Speed [s]", "kind [x]", "[cpu]", "[note]"))
    rows = {name: CatalogueRow("[family]", 2017, "title [2017]", Cost(*range(len(Cost._fields)))) for name in NAMES}
    text = printed(ModelCatalogue(rows, (1, 8, 8)).print)
    assert all(name in text for name in (*NAMES, "[family]", "title [2017]"))


def test_lines_and_bars(capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        make_console().print(name)
        bar = Bar(name, 3)
        bar.update(1, name)
        bar.say(name)
        bar.close()
    out, err = capsys.readouterr()
    assert all(name in out for name in NAMES)
    assert all(name in err for name in NAMES)


def test_help_names_every_default() -> None:
    """Those in brackets are part of the help's text."""
    for command in ("inspect", "evaluate", "train", "predict", "report", "compare", "race", "study", "bench", "demo"):
        text = CliRunner().invoke(app, [command, "--help-all"], env={"COLUMNS": "250", "TERM": "dumb"}).output
        assert "[default: " in text
    text = CliRunner().invoke(app, ["inspect", "--help-all"], env={"COLUMNS": "250", "TERM": "dumb"}).output
    assert "[default: runs/inspect-NAME-N.png]" in text
    assert "%Y%m%d_%H%M" in text
    text = CliRunner().invoke(app, ["models", "--help"], env={"COLUMNS": "250", "TERM": "dumb"}).output
    assert "hidden=[128,128]" in text


def test_inspect_of_names_with_brackets(tmp_path: Path) -> None:
    folder = tmp_path / "radar[1] [red]x"
    folder.mkdir()
    frames = np.random.default_rng(0).integers(0, 255, (30, 16, 16), np.uint8)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number}.png")
    result = CliRunner().invoke(app, ["inspect", str(folder), "--no-picture"])
    assert result.exit_code == 0, result.output
    assert re.search(r"framecast train \w+ --data '.*radar\[1\] \[red\]x'", result.output)


def test_inspect_of_one_frame_proposes_no_training(tmp_path: Path) -> None:
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "only.png")
    result = CliRunner().invoke(app, ["inspect", str(tmp_path), "--no-picture"])
    assert result.exit_code == 0, result.output
    assert "framecast train" not in result.output
    assert "none: no sequence has two frames, one to begin with and one to predict" in result.output
    found = json.loads(CliRunner().invoke(app, ["inspect", str(tmp_path), "--no-picture", "--json"]).output)
    assert (found["proposal"], found["command"], found["windows"]) == (None, None, None)
