"""README and the guides, read as a user does: every command runs as it stands there, in its order, in an empty folder.

Options behind the words of the page make trainings small; data of the page's names are small, too.
"""

from __future__ import annotations

import re
import runpy
import shutil
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
from tests.docs.story import ROOT, make_missing, make_small, read_commands
from tests.fixtures.commands import framecast, unchecked

GUIDES = sorted(ROOT.glob("docs/guides/*.md"))
PAGES = [ROOT / "README.md", ROOT / "docs/index.md", ROOT / "docs/zh/notes.md", *GUIDES]
"""Pages whose commands are run; the Chinese guides have the same ones."""
LONG = {"notes.md", "own_data.md"}
"""Pages with twenty trainings and forecasts, whose kinds of commands and data other fast tests run, too."""
COLUMNS = 100
"""The widest command that a laptop and a page of the documentation show on one line."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run_other(words: list[str], folder: Path) -> None:
    """What is no command of framecast: each kind is run, or compared with what it speaks of."""
    match words:
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        case ["pip", "install", *requirements]:
            for part in re.findall(r"\[(.*?)\]", " ".join(requirements)):
                assert set(part.split(",")) <= set(PROJECT["optional-dependencies"])
        case ["git", "clone", address]:
            assert address in PROJECT["urls"].values()
        case ["cd", "framecast"] | ["source", ".venv/bin/activate"]:
            pass
        case ["cp", source, target]:
            shutil.copy(ROOT / source, folder / target)
        case ["python", script, *rest]:
            run_script(script, rest, folder)
        case ["torchrun", *launch] if "framecast" in launch:  # tests/faults/test_agents.py runs several processes
            rest = launch[launch.index("framecast") :]
            framecast(*make_small(" ".join(rest)), cwd=folder)
        case _:
            pytest.fail(f"no test knows how to run {words}")


def run_script(script: str, words: list[str], folder: Path) -> None:
    path = ROOT / script
    assert path.exists()
    if script.startswith("docs/"):
        return  # pictures of pages are drawn from data that are not ours to ship
    words = [*words[:1], "2"] if words else words
    with pytest.MonkeyPatch.context() as patch, unchecked(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.chdir(folder)
        patch.setattr(sys, "argv", [script, *words])
        patch.syspath_prepend(str(path.parent))
        runpy.run_path(str(path), run_name="__main__")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] if page.name in LONG else []) for page in PAGES], ids=name_page
)
def test_every_command_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for line in read_commands(page):
        words = line.split("#")[0].split()
        if words[0] == "framecast":
            make_missing(tmp_path, line)
            framecast(*make_small(line), cwd=tmp_path)
        else:
            run_other(words, tmp_path)


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("docs/zh/guides/*.md")], ids=name_page)
def test_commands_are_not_wider_than_a_page(page: Path) -> None:
    code = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    assert [line for line in code if len(line) - 4 > COLUMNS] == []


@pytest.mark.parametrize("guide", sorted(path.name for path in ROOT.glob("docs/guides/*.md")))
def test_guides_have_the_same_commands_in_both_languages(guide: str) -> None:
    english, chinese = (read_commands(ROOT / folder / guide) for folder in ("docs/guides", "docs/zh/guides"))
    assert [line.split("  #")[0] for line in english] == [line.split("  #")[0] for line in chinese]
