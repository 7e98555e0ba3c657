"""Each public class and function has an example in its docstring, and it runs as it stands there."""

import doctest
from pathlib import Path

import pytest

import framecast


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", framecast.__all__)
def test_the_example_of_a_public_name_runs(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.DocTestFinder(recurse=False).find(getattr(framecast, name), name, globs={})
    assert found, f"{name} has no >>> example"
    assert found[0].examples, f"{name} has no >>> example"
    report: list[str] = []
    result = doctest.DocTestRunner().run(found[0], out=report.append)
    assert result.failed == 0, "".join(report)
