"""Loggers: each is told the same, goes on in the same run, and whatever it raises never reaches the training."""

import importlib.util
import json
import re
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.fixtures.commands import framecast, unchecked

from framecast import UsageError
from framecast.loggers import GROUP, Loggers, check_loggers
from framecast.recipe.recipe import read_recipe
from framecast.training.start import start

PAGE = (Path(__file__).parents[2] / "docs" / "loggers.md").read_text(encoding="utf-8")
TINY = ["model.hidden=[2]", "patch=8", "context=2", "horizon=2", "train.batch_size=2", "train.log_every=1"]
DATA = ["data.source=moving-mnist", "data.moving_mnist={size: 32}", "validate.sequences=2", "validate.every=2"]
VERDICT = "convlstm loses to persistence, the best baseline"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def install(monkeypatch: pytest.MonkeyPatch, modules: dict[str, str], loggers: dict[str, str]) -> None:
    """Lay a distribution with modules and entry points where Python looks for installed ones."""
    place = Path.cwd() / "site"
    for name, text in modules.items():
        (place / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    about = place / "mine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *(f"{k} = {v}" for k, v in loggers.items())]))
    monkeypatch.syspath_prepend(str(place))


def train(*overrides: str, out: str = "run", steps: int = 2) -> Path:
    with unchecked():
        start(read_recipe("convlstm", [*TINY, *DATA, f"train.steps={steps}", *overrides]), out, quiet=True)
    return Path(out)


def read_points(run: Path) -> dict[str, dict[int, float]]:
    """Points of the curves that a training must have told of, from its own events."""
    points: dict[str, dict[int, float]] = {}
    for line in (run / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        part = {"train": "train", "validation": "validation"}.get(event["event"])
        for name, value in event.items():
            if part and isinstance(value, float) and (part != "train" or name in ("loss", "lr", "gradient_norm")):
                points.setdefault(f"{part}/{name}", {})[event["step"]] = value
    return points


def test_the_logger_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = dict(re.findall(r"```(python|toml)\n(.*?)```", PAGE, re.S))
    loggers = tomllib.loads(blocks["toml"])["project"]["entry-points"][GROUP]
    install(monkeypatch, {"csv_logger": blocks["python"]}, loggers)
    words = [word for value in [*TINY, *DATA] for word in ("--set", value)]
    done = framecast("train", "convlstm", *words, "--steps", 2, "--set", "train.loggers=[csv]", "--out", "run")
    told: dict[str, dict[int, float]] = {}
    *lines, last = Path("run/curves.csv").read_text().splitlines()[1:]
    for step, name, value in (line.split(",") for line in lines):
        told.setdefault(name, {})[int(step)] = float(value)
    assert set(told.pop("train/seconds_per_step")) == {1, 2}
    assert told == read_points(Path("run")) != {}
    assert last.startswith('-1,verdict,"')
    assert last[len('-1,verdict,"') : -1] in done.stdout
    assert not Path("run/tensorboard").exists()


FAILING = """
class Failing:
    def __init__(self, run):
        self.calls = 0
        if run.project == "at once":
            raise ConnectionError("no network\\nand more lines")
    def log(self, values, step):
        self.calls += 1
        raise ConnectionError(f"no network, call {self.calls}")
    log_text = log_file = log
    def close(self, *, complete):
        raise AssertionError("told something after its failure")
"""


@pytest.mark.parametrize("project", ["at once", "later"])
def test_a_logger_that_fails_is_said_once(project: str, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    install(monkeypatch, {"failing_logger": FAILING}, {"failing": "failing_logger:Failing"})
    without = train("train.loggers=[]", out="without", steps=3)
    run = train("train.loggers=[failing]", f"train.project={project}", steps=3)
    assert (run / "events.jsonl").read_bytes() == (without / "events.jsonl").read_bytes()
    said = [line for line in capfd.readouterr().err.splitlines() if "logger" in line]
    assert len(said) == 1
    assert said[0].startswith("logger failing failed, and is told nothing more: ConnectionError: no network")
    assert said[0].endswith("events.jsonl has everything")


RECORDING = """
import json
class Recording:
    def __init__(self, run):
        self.file = open(run.folder / "told.jsonl", "a")
        self.tell("run", run.id, run.step, run.name, run.project, run.list_settings()["train.loggers"])
    def tell(self, *what):
        self.file.write(json.dumps(what) + "\\n")
    def log(self, values, step):
        self.tell("log", sorted(values), step)
    def log_text(self, name, text):
        self.tell("text", name)
    def log_file(self, name, path):
        self.tell("file", name, path.name)
    def close(self, *, complete):
        self.tell("close", complete)
        self.file.close()
"""


def test_a_resumed_run_goes_on_in_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"recording_logger": RECORDING}, {"recording": "recording_logger:Recording"})
    with monkeypatch.context() as patch:
        patch.setattr("framecast.training.loop.TrainingState.iterate", interrupt_at(2))
        with pytest.raises(KeyboardInterrupt):
            train("train.loggers=[recording]", "train.project=rain", "train.checkpoint_every=1", steps=3)
    done = framecast("resume", "run", "--quiet")
    told = [json.loads(line) for line in Path("run/told.jsonl").read_text().splitlines()]
    number = json.loads(Path("run/loggers.json").read_text())["id"]
    assert [entry for entry in told if entry[0] == "run"] == [
        ["run", number, step, "run", "rain", ["recording"]] for step in (0, 1, 3)
    ], done
    assert [entry[1] for entry in told if entry[0] == "close"] == [False, True, True]
    assert [entry[1:] for entry in told if entry[0] in ("text", "file")] == [
        ["verdict"],
        ["loss", "loss.png"],
        ["report", "report.html"],
    ]


def interrupt_at(step: int):
    from framecast.training.state import TrainingState

    iterate = TrainingState.iterate

    def interrupted(state, batches):
        if state.step + 1 == step:
            raise KeyboardInterrupt
        return iterate(state, batches)

    return interrupted


def test_what_is_not_there_is_refused_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"train\.loggers: got 'tensorbord'.*did you mean tensorboard\?"):
        train("train.loggers=[tensorbord]")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"got wandb, and no package wandb.*pip install 'framecast\[wandb\]'"):
        check_loggers(["wandb"])
    check_loggers(None)
    Path("run").mkdir()
    Loggers(None, Path("run"), step=0, project=None, say=pytest.fail).close(complete=True)
    assert not any(Path("run").iterdir())


def log_twice(name: str, project: str | None = "rain") -> Path:
    """Log a run of a few points, stop, and go on with it; fail where a logger does."""
    run = Path("runs") / "mine"
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(read_recipe("convlstm", [*TINY, f"train.loggers=[{name}]"]).yaml())
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc00000030101"
        "00c9fe92ef0000000049454e44ae426082"
    )
    (run / "loss.png").write_bytes(pixel)
    (run / "report.html").write_text("<!doctype html><title>mine</title>")
    for begin, complete in ((0, False), (2, True)):
        loggers = Loggers([name], run, step=begin, project=project, say=pytest.fail)
        for step in (begin + 1, begin + 2):
            loggers.log({"train/loss": 1 / step, "train/lr": None, "train/gradient_norm": float("nan")}, step)
        if complete:
            loggers.log_text("verdict", VERDICT)
            loggers.log_file("loss", run / "loss.png")
            loggers.log_file("report", run / "report.html")
        loggers.close(complete=complete)
    return run


def need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed")


@pytest.mark.filterwarnings("ignore")
def test_tensorboard() -> None:
    need("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(log_twice("tensorboard") / "tensorboard"))
    events.Reload()
    assert {e.step: round(e.value, 4) for e in events.Scalars("train/loss")} == {1: 1, 2: 0.5, 3: 0.3333, 4: 0.25}
    tags = events.Tags()
    assert tags["scalars"] == ["train/loss"]
    assert tags["images"] == ["loss"]
    assert events.Tensors("verdict/text_summary")[0].tensor_proto.string_val[0].decode() == VERDICT


@pytest.mark.filterwarnings("ignore")
def test_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    need("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = log_twice("wandb")
    number = json.loads((run / "loggers.json").read_text())["id"]
    files = sorted((run / "wandb").glob(f"offline-run-*-{number}*/*.wandb"))
    assert len(files) == 2, "both under the one id, by which wandb sync joins them"
    deadline = time.monotonic() + 60
    while VERDICT.encode() not in (told := b"".join(file.read_bytes() for file in files)):
        assert time.monotonic() < deadline  # its service writes on for a moment after the end
        time.sleep(0.2)
    for text in ("train/loss", "convlstm", "rain"):
        assert text.encode() in told
    assert b"gradient_norm" not in told


@pytest.mark.filterwarnings("ignore")
def test_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    need("mlflow")
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (Path.cwd() / "mlruns").as_uri())
    log_twice("mlflow")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("rain").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "mine"
    points = client.get_metric_history(run.info.run_id, "train/loss")
    assert {p.step: p.value for p in points} == {1: 1, 2: 1 / 2, 3: 1 / 3, 4: 1 / 4}
    assert run.data.params["model.name"] == "convlstm"
    assert run.data.params["train.batch_size"] == "2"
    assert run.data.tags["verdict"] == VERDICT
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["loss.png", "report.html"]


@pytest.mark.filterwarnings("ignore")
def test_trackio(monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    need("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(Path.cwd() / "trackio"))
    for module in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, module)  # it reads the variable once
    import trackio

    run = log_twice("trackio", project=None)
    name = f"mine-{json.loads((run / 'loggers.json').read_text())['id']}"
    (found,) = trackio.Api().runs("framecast")
    assert found.name == name
    told = trackio.SQLiteStorage.get_logs("framecast", name)
    assert {entry["step"]: entry["train/loss"] for entry in told if "train/loss" in entry} == {
        step: 1 / step for step in (1, 2, 3, 4)
    }
    assert VERDICT in json.dumps(told)
    assert found.config["model.name"] == "convlstm"
    assert capfd.readouterr().out == ""


def test_the_project_and_loggers_change_no_number() -> None:
    recipe = read_recipe("convlstm", ["train.loggers=[mlflow]", "train.project=rain"])
    assert recipe.digest == read_recipe("convlstm").digest
    assert yaml.safe_load(recipe.yaml())["train"]["loggers"] == ["mlflow"]
