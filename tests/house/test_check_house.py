"""Each rule of the house refuses what it is there for, and the house keeps them all."""

from pathlib import Path

import pytest
from tests.house import check_house

HOUSE = Path(__file__).parents[2] / "src"


def test_the_house_keeps_its_rules() -> None:
    assert check_house.find_faults(HOUSE) == []


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"long.py": "x = 1\n" * 321}, "long.py: 321 lines"),
        ({"deep.py": "def f():\n" + "    x = 1\n" * 60}, "deep.py:1 f: 61 lines"),
        ({f"f{number}.py": "" for number in range(18)}, "18 files, at most 17"),
        ({"a/x.py": "class Plan: ...\n", "b/y.py": "class Plan: ...\n"}, "class Plan: in "),
        ({"of.py": '"""Of the channels."""\n'}, "of.py:1: a docstring that begins with 'Of'"),
        (
            {"same.py": 'class A:\n    b: int\n    """The same in words."""\n'},
            "same.py:3: a docstring that begins with 'The same'",
        ),
    ],
)
def test_a_fault_is_refused(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    faults = check_house.find_faults(tmp_path)
    assert len(faults) == 1, faults
    assert fault in faults[0]


def test_what_is_well_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Offsets of frames."""\n\n\nclass A:\n    """Frames."""\n')
    assert check_house.find_faults(tmp_path) == []
