"""Which commands set the arithmetic of their process before they compute."""

import pytest
import typer
from click.testing import CliRunner

from framecast.cli import app

COMPUTING = {
    *("demo", "train", "resume", "evaluate", "protocol", "calibrate", "report", "compare", "race", "study"),
    *("predict", "watch", "export", "bench", "hindcast", "verify", "serve"),
}
OTHERS = {"models", "doctor", "inspect", "data", "convert", "push"}


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for each time that numbers near zero are let be zero."""
    asked: list[bool] = []
    monkeypatch.setattr("framecast.devices.flush_subnormals", lambda: asked.append(True))
    return asked


def test_every_command_is_one_or_the_other() -> None:
    assert set(typer.main.get_command(app).commands) == COMPUTING | OTHERS  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", [["evaluate", "no-run", "--data", "no-file"], ["resume", "no-run"]])
def test_a_command_that_computes_flushes_first(words: list[str], flushed: list[bool]) -> None:
    result = CliRunner().invoke(typer.main.get_command(app), words)
    assert result.exception is not None, "there is no such run"
    assert flushed == [True]


@pytest.mark.parametrize("name", sorted(COMPUTING))
def test_all_of_them_do(name: str, flushed: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    monkeypatch.setattr(command, "callback", lambda **values: None)
    command.invoke(typer.Context(command))
    assert flushed == [True]


def test_help_and_models_do_not(flushed: list[bool]) -> None:
    for words in (["train", "--help"], ["models"]):
        assert CliRunner().invoke(typer.main.get_command(app), words).exit_code == 0
    assert flushed == []
