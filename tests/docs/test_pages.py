"""The pages' sources: links, twins in both languages, commands, drawings, docstrings. No builder is needed."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import framecast
from framecast.commands import study
from framecast.recipe.recipe import read_recipe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "generated" not in page.parts)
PAPERS = ["convlstm", "predrnn", "predrnn_pp", "mim", "predrnn_v2", "sampling"]
ZOO = ["convgru", "action_predrnn", "motionrnn", "mau", "swinlstm", "phydnet", "predrnn_v3", "e3d_lstm", "simvp"]
"""Papers whose pages have no drawing."""
GUIDES = ["first", "own_data", "radar", "networks", "scores", "study", "checkpoints", "extend", "adapters"]
COMMAND = re.compile(r"^    (framecast .*)$", re.M)


def prose(page: Path) -> str:
    """Without blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_inside_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"https?:|#", target):
            assert (page.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("name", [*PAPERS, *ZOO])
def test_both_languages_show_the_same_equations_code_and_commands(name):
    english, chinese = (
        page.read_text(encoding="utf-8") for page in (DOCS / f"papers/{name}.md", DOCS / f"zh/papers/{name}.md")
    )
    english = english.replace("../../src", "../../../src")
    for pattern in (r"\{literalinclude\} (.*)\n:pyobject: (.*)", r"`([\w.]+ <framecast[\w.]+>)`", r"figures/(\w+)\."):
        shown = re.findall(pattern, english)
        assert shown == re.findall(pattern, chinese)
        assert shown or (name in ZOO and "figures" in pattern)
    said = [[command.split("#")[0].strip() for command in COMMAND.findall(page)] for page in (english, chinese)]
    assert said[0] == said[1] != []
    blocks = [
        [re.sub(r"\\text\{[^}]*\}", "", block) for block in re.findall(r"\$\$\n(.*?)\$\$", page, re.S)]
        for page in (english, chinese)
    ]
    assert blocks[0] == blocks[1] != []


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in (*PAPERS, *ZOO)], ids=str)
def test_trainings_that_pages_show_are_recipes(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for command in COMMAND.findall(page.read_text(encoding="utf-8")):
        words = shlex.split(command, comments=True)
        if words[1] == "train":
            read_recipe(words[2], [words[at + 1] for at, word in enumerate(words) if word == "--set"])


def test_losses_that_the_page_shows_are_recipes():
    blocks = re.findall(r"^```yaml\n(.*?)^```", (DOCS / "losses.md").read_text(encoding="utf-8"), re.M | re.S)
    shown = [term.kind for block in blocks for term in read_recipe(yaml.safe_load(block)).loss.terms]
    assert set(shown) == {"csi", "weights", "facl", "gradient"}


def test_every_study_of_the_pages_exists_and_is_shown():
    studies = study.STUDIES
    shown = {
        name
        for page in PAGES
        for names in re.findall(r"framecast study .*?--what ([\w,]+)", page.read_text(encoding="utf-8"))
        for name in names.split(",")
    }
    assert shown == set(studies)


def test_drawings_are_those_of_the_script(tmp_path):
    subprocess.run([sys.executable, DOCS / "figures/draw.py", tmp_path], check=True)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "figures").glob("*.svg")}
    assert len(drawn) == 2 * (len(PAPERS) + 1), "one for each paper, and the zigzag that moves"


def test_the_reference_begins_with_every_public_name():
    page = (DOCS / "api/index.md").read_text(encoding="utf-8")
    assert {line.rpartition(".")[2] for line in re.findall(r"~(framecast\S+)", page)} == set(framecast.__all__)


def test_docstrings_become_what_sphinx_reads(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from extensions.docstrings import to_rst

    docstring = [
        "Sum.",
        "",
        "    i = W*x",
        "",
        "    f = |x|",
        "",
        "Of W*x, `a*b` and is_.",
        "",
        "* one",
        "",
        "Args:",
        "    x: |x|",
    ]
    assert to_rst(docstring) == [
        *("Sum.", "", "::", "", "    i = W*x", "", "    f = |x|", ""),
        *(r"Of W\*x, `a*b` and is\_.", "", "* one", "", "Args:", r"    x: \|x\|"),
    ]


def test_pages_lead_to_their_twins(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from extensions.languages import find_twin

    pages = {"index", "zh/index", "papers/mim", "zh/papers/mim", "radar", "zh/notes"}
    assert [find_twin(page, pages) for page in ("papers/mim", "zh/papers/mim", "index", "radar", "zh/notes")] == [
        *("zh/papers/mim", "papers/mim", "zh/index", "zh/index", "index")
    ]


def test_every_guide_is_there_in_both_languages():
    english, chinese = ({page.name for page in (DOCS / folder).glob("*.md")} for folder in ("guides", "zh/guides"))
    assert english == chinese
    assert {f"{name}.md" for name in GUIDES} | {"index.md"} == english


def test_the_front_page_is_one_page():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 120


def test_the_citation_is_what_tools_read():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["repository-code"] in project["urls"].values()
    entries = re.findall(r"^@\w+\{(\w+),", (DOCS / "citing.md").read_text(encoding="utf-8"), re.M)
    assert len(set(entries)) == len(entries) >= len(PAPERS)


def test_primes_stand_beside_their_letters(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from extensions.mathml import to_mathml

    equation = to_mathml(r"c' = W'_{xi} * x^2", display=True)
    assert '<mrow><mi>c</mi><mo lspace="0" rspace="0">′</mo></mrow>' in equation
    assert (
        '<msub><mrow><mi>W</mi><mo lspace="0" rspace="0">′</mo></mrow><mrow><mi>x</mi><mi>i</mi></mrow></msub>'
        in equation
    )
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in equation
    assert "a\u00a0b" in to_mathml(r"\text{a b} < 1", display=False)


def test_new_lines_between_chinese_characters_are_no_spaces(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from extensions.languages import joined

    text = "记忆，\n  走之\n字形：\n$x$\n\n* 一\n* 二 a\nb\n\n    code # 走？\n    code\n"
    assert joined(text) == "记忆，走之字形：$x$\n\n* 一\n* 二 a\nb\n\n    code # 走？\n    code\n"
