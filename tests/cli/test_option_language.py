"""One language of options: one meaning for one name, one definition, panels, old names, typos, quiet."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from tests.fixtures.commands import framecast
from typer.core import TyperArgument

from framecast.cli import app
from framecast.cli.failures import name_options
from framecast.cli.help.panels import PANELS, RARE, RENAMED
from framecast.errors import InputError, UsageError, find_nearest

READING = ("--var", "--frames", "--grey", "--shrink", "--range", "--units", "--dims", "--times", "--step-minutes")


def walk(command: object, name: str = "") -> Iterator[tuple[str, object]]:
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from walk(inner, f"{name} {word}".strip())
    else:
        yield name, command


COMMANDS = dict(walk(typer.main.get_command(app)))
OPTIONS = {
    name: {option.opts[0]: option for option in command.params if not isinstance(option, TyperArgument)}
    for name, command in COMMANDS.items()
}


def test_every_option_stands_in_one_panel() -> None:
    listed = [name for names in PANELS.values() for name in names.split()]
    assert len(listed) == len(set(listed))
    used = {name for options in OPTIONS.values() for name in options}
    assert used == set(listed)
    assert set(RARE.split()) <= used


def test_an_old_name_is_no_option_of_the_command_that_had_it() -> None:
    was = {
        "--baseline": "evaluate report compare",
        "--batches": "bench",
        "--digits": "data moving-mnist",
        "--frames": "report",
        "--gif": "predict",
        "--model": "train resume evaluate report compare race study predict",
        "--pictures": "study",
        "--scale": "evaluate",
        "--sequences": "study",
    }
    assert was.keys() == RENAMED.keys()
    for old, commands in was.items():
        for command in [commands] if commands == "data moving-mnist" else commands.split():
            assert old not in OPTIONS[command]
            told = framecast(*command.split(), old, "3", code=2).stderr
            (new,) = (name for name in RENAMED[old].split() if name in OPTIONS[command])
            assert f"got {old}; it is {new} now" in told


def test_commands_that_read_data_take_the_same_options() -> None:
    readers = [name for name, options in OPTIONS.items() if "--dims" in options]
    expected = "inspect train evaluate calibrate race study predict watch serve hindcast verify"
    assert set(readers) == set(expected.split())
    for name in readers:
        reading = set(READING) - (
            {"--frames"} if name in ("watch", "serve") else set()
        )  # its frames are those that come
        assert reading <= OPTIONS[name].keys()
        for option in reading:
            assert OPTIONS[name][option].help == OPTIONS["train"][option].help
    for option in ("--context", "--horizon", "--batch-size", "--lr", "--set"):
        assert {"train", "race"} <= {name for name in OPTIONS if option in OPTIONS[name]}


def test_lists_are_plural_and_what_is_repeated_is_singular() -> None:
    for options in OPTIONS.values():
        for name, option in options.items():
            if option.metavar == "A,B" and name not in ("--frames", "--what", "--var", "--product"):
                assert name.endswith("s"), name
            if option.multiple:
                assert not name.endswith("s") or name in ("--class", "--axis"), name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_about_a_page(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    short = framecast(*name.split(), "--help").stdout
    assert len(short.splitlines()) <= 55, short
    rare = [option for option in OPTIONS[name] if option in RARE.split()]
    assert not any(re.search(rf"{option}\b(?!-)", short) for option in rare)
    whole = framecast(*name.split(), "--help-all").stdout
    assert all(option in whole for option in OPTIONS[name])
    assert ("--help-all" in short) == bool(rare)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--contxt", "--context"),
        ("--epochs", "--steps"),
        ("--learning-rate", "--lr"),
        ("--batch", "--batch-size"),
        ("--output", "--out"),
        ("--variable", "--var"),
    ],
)
def test_a_typo_gets_the_option_that_was_meant(typed: str, meant: str) -> None:
    assert f"did you mean {meant}?" in framecast("train", "convlstm", typed, "3", code=2).stderr


def test_nothing_near_is_not_proposed() -> None:
    assert find_nearest("xyz", ["context", "horizon", "lr"]) is None
    assert find_nearest("x" * 5000, ["context"]) is None
    assert "did you mean" not in framecast("train", "convlstm", "--xyzzy", "3", code=2).stderr


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("train", "lienar", "--data", "n.npy"), "linear"),
        (("train", "predrnn++", "--data", "n.npy"), "predrnn_pp"),
        (("train", "convlstm", "--data", "n.npy", "--set", "hiden=[4]"), "model.hidden"),
        (("train", "convlstm", "--data", "n.npy", "--set", "trian.workers=4"), "train.workers"),
        (("evaluate", "rian", "--data", "n.npy"), "rain"),
        (("predict", "seasnal:12h", "n.npy", "--out", "y.npy"), "seasonal:12h"),
        (("evaluate", "mean", "--data", "n.npy", "--metrics", "mea"), "mae"),
    ],
)
def test_names_too(words: tuple[str, ...], near: str, tmp_path: Path) -> None:
    np.save(tmp_path / "n.npy", np.random.default_rng(0).random((60, 8, 8), np.float32))
    code = 4 if words[1] in ("rian", "seasnal:12h") else 2
    assert f"did you mean {near}?" in framecast(*words, cwd=tmp_path, code=code).stderr


def test_what_needs_a_training_and_what_needs_none(tmp_path: Path) -> None:
    np.save(tmp_path / "n.npy", np.random.default_rng(0).random((60, 8, 8), np.float32))
    told = framecast("predict", "linear:24h", "n.npy", "--out", "y.npy", cwd=tmp_path, code=4).stderr
    assert "framecast train linear:24h --data DATA --out runs/linear" in told
    told = framecast("train", "extrapolation", "--data", "n.npy", cwd=tmp_path, code=2).stderr
    assert "extrapolation needs no training: framecast predict extrapolation FILE" in told


def test_errors_name_options_of_the_command_line() -> None:
    assert name_options(InputError("a.nc: variable", got="x")).startswith("a.nc: --var: got x")
    assert name_options(UsageError("train.lr", got=-1)).startswith("--lr: got -1")
    assert name_options(UsageError("x", got=1, fix="lower train.lr, or set train.clip=1")).endswith(
        "lower --lr, or say --set train.clip=1"
    )
    assert name_options(UsageError("x", got=1, fix="say model='own:Net'")).endswith("say --class own:Net")
    assert name_options(UsageError("--set train.lr=fast", got="fast")).startswith("--set train.lr=fast")


def test_quiet_prints_what_was_made_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "n.npy", rng.random((24, 8, 8), np.float32))
    words = (
        "--data",
        tmp_path / "n.npy",
        "--context",
        2,
        "--horizon",
        2,
        "--steps",
        1,
        "--batch-size",
        1,
        "--lr",
        1e-3,
    )
    small = ("--set", "model.hidden=[2]", "--set", "validate.sequences=1")
    done = framecast("train", "convlstm", *words, *small, "--out", tmp_path / "run", "--quiet")
    assert (done.stdout, done.stderr) == (f"{tmp_path / 'run'}\n", "")
    recipe = (tmp_path / "run" / "recipe.yaml").read_text()
    assert all(line in recipe for line in ("lr: 0.001", "batch_size: 1"))
    said = framecast("predict", tmp_path / "run", tmp_path / "n.npy", "--out", tmp_path / "y.npy", "--quiet")
    assert (said.stdout, said.stderr) == (f"{tmp_path / 'y.npy'}\n", "")
    page = framecast("report", tmp_path / "run", "--quiet", "--limit", 1)
    assert (page.stdout, page.stderr) == (f"{tmp_path / 'run' / 'report.html'}\n", "")
