"""The page of studies: what each shows, in words, and what its letters mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.fixtures.outline import Outline

from framecast.commands.study import study_runs
from framecast.commands.study_kinds import STUDIES, StudyOptions
from framecast.report.studies import CAPTIONS, make_studies_section, write_studies


def test_every_study_has_a_caption() -> None:
    assert set(CAPTIONS) == set(STUDIES)


def test_study_ends_in_its_page(runs, tmp_path: Path) -> None:
    options = StudyOptions(["schedules", "memory"], sequences=1)
    done = study_runs([str(runs["pred"])], {}, options, out=tmp_path / "study", device="cpu", quiet=True)
    assert done.page == tmp_path / "study" / "study-1.html"
    assert done.as_dict()["page"] == str(done.page)
    text = done.page.read_text()
    outline = Outline(text)
    assert len(outline.loaded) == 2
    assert all(source.startswith("data:image/") for source in outline.loaded)
    for word in (
        "L1 g: what the lowest layer would write",
        "layers of the network, from the bottom",
        "largest learning rate",
    ):
        assert word in text
    again = study_runs([str(runs["pred"])], {}, options, out=tmp_path / "study", device="cpu", quiet=True)
    assert again.page.name == "study-2.html"
    assert again.folders["memory"].name == "memory-2"
    assert done.page.read_text() == text


def test_a_report_explains_the_pictures_that_it_shows(tmp_path: Path) -> None:
    folder = tmp_path / "study" / "gradients-1"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "gradients.png")
    section = make_studies_section(tmp_path)
    assert [type(block).__name__ for block in section.blocks] == ["Folded", "Text", "Picture"]
    assert section.blocks[1].text == CAPTIONS["gradients"]
    assert make_studies_section(tmp_path / "study") is None


def test_what_is_too_large_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.report.studies.PAGE_LIMIT", 10)
    Image.new("RGB", (8, 8)).save(tmp_path / "memory.png")
    path = write_studies(tmp_path, {"memory": tmp_path}, {"memory": {"a": {"h, rms": 1.0}}}, ["left out of a: b"], "a")
    text = path.read_text()
    assert f"Too large for this page, see the folder {tmp_path.name}: memory.png" in text
    assert "left out of a: b" in text
