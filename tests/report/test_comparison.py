"""Runs side by side: who may be compared, means over seeds, paired differences, races."""

from __future__ import annotations

import io
import itertools
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.fixtures.commands import unchecked
from tests.fixtures.outline import Outline
from tests.fixtures.tiny import tiny, trained

from framecast import json_files
from framecast.commands.race import RaceOptions as Race
from framecast.commands.race import race
from framecast.devices import Launch
from framecast.errors import InputError, UsageError
from framecast.evaluation.comparison import Comparison, _group_runs, compare_runs
from framecast.evaluation.prepare import EvaluationOptions
from framecast.metrics import MSE, Paired, Scores, summarise
from framecast.report.comparison_page import write_comparison
from framecast.runs.record import read_record
from framecast.training.budget import read_budget
from framecast.training.start import measure_pace


def scores(seed: int, bias: float = 0.0, sequences: int = 12) -> Scores:
    """Errors that depend on the sequence much more than on the forecast."""
    made = Scores([MSE()], 2, keep=sequences)
    generator = torch.Generator().manual_seed(7)
    hard = torch.rand(sequences, 1, 1, 1, 1, generator=generator, dtype=torch.float64) / 2
    noise = torch.rand(sequences, 2, 1, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) / 50
    made.update((hard + noise + bias).expand(-1, 2, 1, 4, 4), torch.zeros(sequences, 2, 1, 4, 4, dtype=torch.float64))
    return made


def test_one_training_is_estimated_as_ever() -> None:
    one = scores(0)
    assert Paired({"a": [one]}).estimate_scores()["a"]["mse"] == summarise({"a": one}, ())["a"]["mse"].score


def test_entries_are_means_over_their_trainings() -> None:
    both = [scores(0), scores(1)]
    paired = Paired({"a": both, "b": [scores(2)]})
    means = [one.mean()["mse"] for one in both]
    assert paired.estimate_scores()["a"]["mse"].mean == pytest.approx(sum(means) / 2, rel=1e-12)
    assert paired.measure_spread()["a"]["mse"] == (min(means), max(means))


def test_paired_intervals_see_what_unpaired_ones_cannot() -> None:
    """A small bias on sequences of very different difficulty; against itself there is no difference at all."""
    paired = Paired({"a": [scores(0)], "b": [scores(0, bias=0.02)], "same": [scores(0)]})
    low, high = paired.estimate_differences("a")["b"]["mse"].mean_interval
    first, second = (paired.estimate_scores()[name]["mse"].mean_interval for name in "ab")
    assert 0 < low < high
    assert first[1] > second[0]
    difference = paired.estimate_differences("a")["b"]["mse"]
    assert difference.mean == pytest.approx(scores(0, bias=0.02).mean()["mse"] - scores(0).mean()["mse"], rel=1e-9)
    assert paired.estimate_differences("a")["same"]["mse"].mean_interval == (0, 0)
    assert set(paired.estimate_differences("a")) == {"b", "same"}


@pytest.fixture(scope="module")
def compared(runs) -> Comparison:
    return compare_runs([runs["conv"], runs["conv-1"], runs["pred"]], device="cpu", quiet=True)


def test_seeds_of_one_recipe_are_one_entry(compared: Comparison) -> None:
    assert compared.groups == {"convlstm": ["conv", "conv-1"], "predrnn": ["pred"]}
    assert list(compared.estimates) == ["convlstm", "predrnn", "persistence", "mean", "blank", "linear"]
    assert list(compared.differences) == ["predrnn"]
    said = compared.as_dict()
    single = [said["scores"][run]["sse"]["mean"] for run in ("conv", "conv-1", "pred")]
    assert said["estimates"]["convlstm"]["sse"]["mean"] == pytest.approx(sum(single[:2]) / 2, rel=1e-12)
    difference = said["differences"]["predrnn"]["sse"]
    assert difference["mean"] == pytest.approx(single[2] - sum(single[:2]) / 2, rel=1e-9)
    assert difference["mean_interval"][0] <= difference["mean"] <= difference["mean_interval"][1]
    assert "Same budget: 6 iterations of 2 sequences" in compared.budget


def test_page_of_a_comparison(compared: Comparison, tmp_path: Path) -> None:
    text = write_comparison(compared, tmp_path / "out").read_text()
    outline = Outline(text)
    assert all(source.startswith("data:") for source in outline.loaded)
    for word in ("Differences from convlstm", "error of pred", "2 seeds", "Same budget", "Training loss", "conv-1"):
        assert word in text, word
    said = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert said["reference"] == "convlstm"
    console = Console(width=100, file=io.StringIO())
    compared.print(console)
    printed = console.file.getvalue()
    for word in ("Less convlstm", "2 runs", "parameters", "ssim", "persistence"):
        assert word in printed


def test_other_data_are_refused(runs, tmp_path: Path) -> None:
    other = {
        "hash of the data": {"data": {"moving_mnist": {"size": 32, "digits": 2, "validation": 4, "test": 5}}},
        "hash of the split": {"data": {"moving_mnist": {"size": 32, "digits": 1, "validation": 4, "test": 6}}},
        "context and horizon": {"context": 4},
    }
    for number, (what, fields) in enumerate(other.items()):
        run = trained(tiny(train={"steps": 1, "batch_size": 2}, **fields), tmp_path / str(number))
        with pytest.raises(UsageError, match=f"{what} of {number}: got") as refused:
            compare_runs([runs["conv"], run], device="cpu", quiet=True)
        assert ("data.moving_mnist: {" in str(refused.value)) == ("data" in fields)
    for few in ([runs["conv"]], [runs["conv"], runs["conv"]]):
        with pytest.raises(UsageError, match="two or more"):
            compare_runs(few, quiet=True)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("shrink", 2, "height of the frames"),
        ("missing", 0.5, "data.missing"),
        ("range", (0.0, 2.0), "high of the frames"),
    ],
)
def test_the_same_file_seen_in_another_way_is_refused(tmp_path: Path, field: str, value: object, said: str) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).random((6, 7, 16, 16), dtype=np.float32))
    data = {"source": str(tmp_path / "noise.npy"), "dims": "nthw", "range": (0.0, 1.0)}
    train = {"steps": 1, "batch_size": 1}
    one, other = (
        trained(tiny(data=fields, train=train), tmp_path / name)
        for name, fields in (("one", data), ("other", data | {field: value}))
    )
    with pytest.raises(UsageError, match=f"{said} of other"):
        compare_runs([one, other], device="cpu", quiet=True)


def test_who_chose_on_the_split_is_said(runs, tmp_path: Path) -> None:
    found = compare_runs([runs["conv"], runs["pred"]], EvaluationOptions(split="val"), device="cpu", quiet=True)
    assert "was chosen on this split" in write_comparison(found, tmp_path / "val").read_text()


def test_runs_that_got_less_far_or_have_one_seed_are_entries_of_their_own(runs) -> None:
    one, other = (read_record(runs[name]) for name in ("conv", "conv-1"))
    stopped = other._replace(training=other.training[:3], validations=[], model={})
    assert _group_runs({"a": one, "b": other}) == {"convlstm": ["a", "b"]}
    assert _group_runs({"a": one, "b": stopped}) == {"a": ["a"], "b": ["b"]}
    assert _group_runs({"a": one, "b": one}) == {"a": ["a"], "b": ["b"]}


def test_numbers_of_somebody_else_are_not_overwritten(compared: Comparison, tmp_path: Path) -> None:
    (tmp_path / "compare.json").write_text("mine")
    with pytest.raises(UsageError, match=r"compare\.json"):
        write_comparison(compared, tmp_path)
    assert (tmp_path / "compare.json").read_text() == "mine"
    assert not (tmp_path / "compare.html").exists()


def run_race(asked: Race, out: Path) -> tuple[Comparison, Path]:
    with unchecked():
        return race(asked, out, device="cpu", quiet=True)


def test_a_schedule_beyond_the_budget_is_refused(tmp_path: Path) -> None:
    asked = Race(
        ("convlstm", "predrnn"), read_budget("4steps"), 1, (*OVERRIDES, "sampling={kind: scheduled, stop: 50}")
    )
    with pytest.raises(UsageError, match=r"probability 0\.92 at the last of 4 iterations"):
        run_race(asked, tmp_path / "race")
    assert not (tmp_path / "race").exists()  # so that the same --out serves the mended command


def test_data_that_changed_since_are_refused(runs, tmp_path: Path) -> None:
    copies = []
    for name in ("conv", "pred"):
        copies.append(tmp_path / name)
        shutil.copytree(runs[name], copies[-1])
        data = json_files.read_json(copies[-1] / "data.json")
        json_files.write_json(copies[-1] / "data.json", {**data, "fingerprint": "0" * 16})
    with pytest.raises(InputError, match="expected 0000000000000000, as trained"):
        compare_runs(copies, device="cpu", quiet=True)


def test_budgets_that_differ_are_said(runs, tmp_path: Path) -> None:
    longer = trained(tiny(train={"steps": 7, "batch_size": 2, "log_every": 1}), tmp_path / "longer")
    found = compare_runs([runs["conv"], longer], EvaluationOptions(limit=2), device="cpu", quiet=True)
    assert found.budget.startswith("Budgets differ: conv 6 iterations of 2 sequences; longer 7 iterations")
    assert found.groups == {"conv": ["conv"], "longer": ["longer"]}


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("90s", 90, "seconds"), ("10min", 600, "seconds"), ("1.5h", 5400, "seconds"), (" 2000 steps", 2000, "steps")],
)
def test_budgets_in_words(text: str, amount: float, unit: str) -> None:
    assert read_budget(text)[:2] == (amount, unit)


@pytest.mark.parametrize("text", ["", "10", "0min", "-3s", "ten minutes", "5 days"])
def test_no_budgets(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        read_budget(text)


OVERRIDES = (
    *("model.hidden=[4]", "model.kernel_size=3", "patch=8", "context=3", "horizon=3", "train.batch_size=2"),
    "data.moving_mnist={size: 32, digits: 1, test: 3, validation: 2}",
)


def test_a_race_trains_compares_and_goes_on(tmp_path: Path) -> None:
    asked = Race(("convlstm", "predrnn"), read_budget("4steps"), 2, OVERRIDES)
    out = tmp_path / "race"
    found, page = run_race(asked, out)
    names = [f"{model}-seed{seed}" for seed in (0, 1) for model in asked.models]
    assert list(found.records) == names
    assert found.groups == {model: [f"{model}-seed{seed}" for seed in (0, 1)] for model in asked.models}
    assert found.budget.startswith("Same budget: 4 iterations of 2 sequences each, in ")
    assert "Same budget: 4 iterations of 2 sequences each" in page.read_text()
    weights = {name: found.records[name].model["sha256"] for name in names}
    assert len(set(weights.values())) == 4
    (out / "predrnn-seed1").rename(tmp_path / "lost")
    again, _ = run_race(asked, out)
    assert {name: again.records[name].model["sha256"] for name in names} == weights
    with pytest.raises(UsageError, match="race: seeds"):
        run_race(asked._replace(seeds=3), out)
    with pytest.raises(UsageError, match="two or more"):
        run_race(asked._replace(models=("mim",)), tmp_path / "alone")


@pytest.mark.parametrize(("computed", "pace"), [(2.0, 1.0), (0.25, 0.25)])
def test_a_pace_is_measured_for_as_long_as_asked(computed: float, pace: float, monkeypatch) -> None:
    """The clock's on a machine of one's own, the processor's where others compute too."""
    now, used = itertools.count(), itertools.count(step=30 * computed)
    clocks = SimpleNamespace(perf_counter=lambda: float(next(now)), process_time=lambda: float(next(used)))
    monkeypatch.setattr("framecast.training.start.time", clocks)
    recipe = Race(("convlstm",), read_budget("8s"), 1, (*OVERRIDES, "train.growth=[]")).make_recipe("convlstm", 0, 100)
    assert measure_pace(recipe, Launch("cpu"), seconds=30.0) == pytest.approx(pace)
    assert next(now) == 31


def test_time_becomes_iterations(tmp_path: Path, monkeypatch) -> None:
    took = {"convlstm": 0.5, "predrnn": 2.0}
    monkeypatch.setattr(
        "framecast.training.budget.measure_pace", lambda recipe, place, seconds: took[recipe.model.name]
    )
    asked = Race(("convlstm", "predrnn"), read_budget("8s"), 1, OVERRIDES)
    found, _ = run_race(asked, tmp_path / "race")
    assert {name: one.iterations for name, one in found.records.items()} == {"convlstm-seed0": 16, "predrnn-seed0": 4}
    assert "8s of iterations each" in found.budget
    assert "convlstm 16, predrnn 4" in found.budget
    recipe = found.records["convlstm-seed0"].recipe
    assert recipe.sampling.probabilities(10, recipe.train.steps)[1] == 0  # 5/8 of 16: the schedule came to its end
    assert len(found.records["predrnn-seed0"].validations) == 4


def spending(runs: dict, tmp_path: Path, factor: float, **fields: object) -> list[Path]:
    """Two runs, of which the second one is said to have taken `factor` times as long; and other fields of timing."""
    copies = []
    for name, times in (("conv", 1.0), ("pred", factor)):
        copies.append(tmp_path / name)
        shutil.copytree(runs[name], copies[-1])
        events = [json.loads(line) for line in (copies[-1] / "timing.jsonl").read_text().splitlines()]
        changed = {"seconds_per_step": times, "cpu_seconds_per_step": 2 * times, **fields}
        lines = [json.dumps({**event, **changed} if event["event"] == "timing" else event) for event in events]
        (copies[-1] / "timing.jsonl").write_text("\n".join(lines) + "\n")
    return copies


@pytest.mark.parametrize(("factor", "is_same"), [(1.0, True), (1.09, True), (1.2, False), (24.0, False)])
def test_a_budget_of_time_is_stated_as_it_was_spent(runs, tmp_path: Path, factor: float, is_same: bool) -> None:
    found = compare_runs(spending(runs, tmp_path, factor), device="cpu", budget="30s of iterations each", quiet=True)
    assert found.spent.is_same == found.as_dict()["same_budget"] == is_same
    first = "Same budget" if is_same else "Budgets differ"
    assert found.budget.startswith(f"{first}: 30s of iterations each; spent: conv 12.0 s of the processor and ")
    assert ("more than 10 % apart, so no difference has a star" in found.budget) == (not is_same)
    page = write_comparison(found, tmp_path / "out").read_text()
    assert found.budget in page
    console = Console(width=100, file=io.StringIO())
    found.print(console)
    assert ("no stars, as budgets differ" in console.file.getvalue().replace("\n", " ")) == (not is_same)
    marks = [found.mark_difference(by_metric) for by_metric in found.differences["pred"].values()]
    assert is_same or not any(marks)


def test_multiply_adds_of_a_training(runs, tmp_path: Path) -> None:
    found = compare_runs(spending(runs, tmp_path, 1.0), device="cpu", quiet=True)
    for name, facts in found.as_dict()["runs"].items():
        assert facts["training_multiply_adds"] == 3 * 6 * 2 * found.records[name].cost().multiply_adds
        assert facts["cpu_seconds"] == 12.0


def test_one_measure_that_agrees_is_enough_without_a_budget_of_time(runs, tmp_path: Path) -> None:
    assert compare_runs(spending(runs, tmp_path, 24.0), device="cpu", quiet=True).spent.is_same  # 12 sequences each
    longer = trained(tiny(train={"steps": 8, "batch_size": 2, "log_every": 1}), tmp_path / "longer")
    found = compare_runs([runs["conv"], longer], device="cpu", quiet=True)
    assert found.budget.startswith("Budgets differ: conv 6 iterations of 2 sequences; longer 8 iterations")
    cpu = [record.cpu_seconds for record in found.records.values()]
    assert found.spent.is_same == (max(cpu) <= 1.1 * min(cpu))


def test_runs_from_before_processor_time_was_recorded(runs, tmp_path: Path) -> None:
    copies = spending(runs, tmp_path, 1.0)
    text = (copies[0] / "timing.jsonl").read_text().replace("cpu_seconds_per_step", "other")
    (copies[0] / "timing.jsonl").write_text(text)
    found = compare_runs(copies, device="cpu", budget="6s", quiet=True)
    assert "conv 6.0 s by the clock" in found.budget
