"""Nobody imports against the layers of .importlinter."""

from pathlib import Path

from importlinter.cli import lint_imports


def test_no_import_goes_up(monkeypatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert lint_imports(no_cache=True) == 0
