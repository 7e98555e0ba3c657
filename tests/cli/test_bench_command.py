"""The file, the page, and the command on a tiny setting."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from framecast.bench import markdown_page, run, tables
from framecast.bench.peak_memory import Job, JobReport, run_alone
from framecast.bench.ratios import TimeSample, compute_ratio
from framecast.bench.results import (
    MemoryResult,
    Results,
    ScalingResult,
    Stamp,
    make_stamp,
    read_results,
    summarise_times,
)
from framecast.bench.scaling import BASE, list_points, resize
from framecast.bench.settings import BENCHED, SETTINGS, Setting
from framecast.cli import app
from framecast.errors import FramecastError, UsageError

PLAIN = "benchmarks.plain:build"
TINY = Setting(
    name="quick",
    size=(32, 32),
    patch=8,
    hidden=(4, 4),
    kernel_size=3,
    context=2,
    horizon=2,
    train_batches=(2,),
    inference_batches=(1,),
)
STAMP = Stamp(versions={"torch": "1"}, code="abc", threads=2)
STANDARD = SETTINGS["standard"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def bench(*words: object, code: int = 0) -> str:
    before = torch.get_num_threads()
    done = CliRunner().invoke(app, ["bench", "--threads", "1", *map(str, words)])
    assert torch.get_num_threads() == before
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def time_part(faster: float, baseline: str = "plain", model: str = "predrnn"):
    samples = [
        TimeSample(contender=name, round=number, wall=wall, cpu=2 * wall, before=1, after=1)
        for number in range(5)
        for name, wall in ((baseline, 8.0), ("fast", 8.0 / faster))
    ]
    return summarise_times(
        STANDARD,
        model,
        "train",
        8,
        stamp=STAMP,
        multiply_adds=10**9,
        roof=1e11,
        samples=samples,
        contenders=[baseline, "fast"],
    )


def growth_point(axis: str, value: int, cpu: float, peak: int, task="inference") -> ScalingResult:
    setting = resize(BASE, axis, value)
    batch = value if axis == "batch" else 1
    return ScalingResult(
        setting=setting,
        model="predrnn",
        task=task,
        batch=batch,
        stamp=STAMP,
        contender="fast",
        axis=axis,
        value=value,
        wall=[cpu, 9.0],
        cpu=[cpu, 9.0],
        peak=peak,
    )


def whole() -> Results:
    held = MemoryResult(
        setting=STANDARD, model="predrnn", task="train", batch=8, stamp=STAMP,
        peaks={"plain": [1000, 1001, 1002], "fast": [850, 700, 701], "low": [600, 500, 700]},
    )  # fmt: skip
    grown = [growth_point("cells", 16, 1.0, 10**8), growth_point("cells", 32, 4.0, 10**8)]
    grown += [growth_point("batch", 4, 2.0, 2 * 10**8), growth_point("batch", 2, 1.0, 10**8)]
    grown += [growth_point("frames", 10, 1.0, 10**8), growth_point("frames", 100, 10.0, 104 * 10**6)]
    results = Results().with_part(held).with_part(time_part(4.1)).with_part(time_part(3.3, model="convlstm"))
    for point in grown:
        results = results.with_part(point)
    return results


def test_the_command_measures_goes_on_and_fills_the_page(tmp_path: Path, monkeypatch) -> None:
    jobs: list[Job] = []

    def pretended(job: Job) -> JobReport:
        jobs.append(job)
        return JobReport(wall=[1.0], cpu=[1.0], peak=10**8)

    monkeypatch.setattr("framecast.bench.run.run_alone", pretended)
    monkeypatch.setattr("framecast.bench.timing.calibrate", lambda: 1.0)  # no pair is dropped on a busy machine
    monkeypatch.setattr("framecast.bench.run.measure_roof", lambda: 1e11)
    monkeypatch.setitem(SETTINGS, "quick", TINY)
    out, place = tmp_path / "bench.json", tmp_path / "page.md"
    place.write_text("# Words\n<!-- bench: speed quick -->\nold\n<!-- bench end -->\nmore words\n")
    words = ["--quick", "--models", "convlstm", "--opponent", PLAIN, "--forms", "direct,fast", "--out", out, "--quiet"]
    assert "convlstm agreement" in bench(*words, "--minutes", 0)
    assert not out.exists()
    said = bench(*words, "--tasks", "train", "--page", place)
    assert "no time left" not in said
    results = read_results(out)
    assert [(p.model, p.task, p.batch, p.contenders) for p in results.times] == [
        ("convlstm", "train", 2, ["plain", "direct", "fast"])
    ]
    part = results.times[0]
    assert {sample.contender for sample in part.samples} == {"plain", "direct", "fast"}
    assert part.multiply_adds > 0
    assert part.roof == 1e11
    assert part.ratios == {name: compute_ratio(part.samples, "plain", name) for name in ("direct", "fast")}
    assert [job.contender for job in jobs] == [PLAIN, "direct", "fast"]
    text = place.read_text()
    assert text.startswith("# Words\n<!-- bench: speed quick -->\n| network |")
    assert text.endswith("<!-- bench end -->\nmore words\n")
    assert "old" not in text
    samples = part.samples
    bench(*words, "--what", "time")
    assert [p.task for p in read_results(out).times] == ["train", "inference"]
    assert read_results(out).times[0].samples == samples  # not measured again
    told = json.loads(bench(*words, "--tasks", "train", "--what", "time", "--again", "--json"))
    assert told["left"] == []
    assert read_results(out).times[-1].samples != samples
    assert len(jobs) == 3


def test_a_part_of_other_code_is_measured_again(tmp_path: Path) -> None:
    plan = run.BenchOptions(SETTINGS["quick"], ["convlstm"], ["train"], None, ["direct"], tmp_path / "b.json", ["time"])
    mark = make_stamp(plan.contenders, 1)
    assert [part.title for part in run._list_measurements(plan, mark)] == [
        "convlstm agreement",
        "convlstm train batch 2, time",
    ]
    assert make_stamp(["direct", PLAIN], 1).code != mark.code
    done = summarise_times(
        plan.setting, "convlstm", "train", 2, stamp=mark, multiply_adds=1, roof=1.0, samples=[], contenders=["direct"]
    )
    Results().with_part(done).write(plan.out)
    assert list(run._list_measurements(plan, mark)) == []
    assert len(list(run._list_measurements(plan, mark.model_copy(update={"code": "other"})))) == 2
    assert len(list(run._list_measurements(plan._replace(again=True), mark))) == 2
    assert len(list(run._list_measurements(plan._replace(contenders=["fast"]), mark))) == 2


def test_growth_is_measured_once(tmp_path: Path, monkeypatch) -> None:
    report = JobReport(wall=[1.0], cpu=[1.0], peak=10**8)
    monkeypatch.setattr("framecast.bench.scaling.run_alone", lambda job: report)
    words = ["--growth", "--quick", "--models", "mim", "--out", tmp_path / "g.json", "--quiet"]
    said = bench(*words)
    assert "8 frames take +0.0% memory beside 4: constant" in said
    assert len(read_results(tmp_path / "g.json").growth) == 16
    monkeypatch.setattr("framecast.bench.scaling.run_alone", None)
    bench(*words)


def test_a_process_of_its_own_tells_its_own_memory(monkeypatch) -> None:
    large = np.ones(10**8)  # 800 MB, which a child would inherit in getrusage
    job = Job(setting=TINY, model="convlstm", task="train", batch=1, contender=PLAIN, threads=1, repeats=2)
    found = run_alone(job)
    assert 10**8 < found.peak < large.nbytes
    assert len(found.wall) == len(found.cpu) == 2
    failed = subprocess.CompletedProcess([], 1, "half a line", "Traceback\nMemoryError: 9 GB\n")
    monkeypatch.setattr("framecast.bench.peak_memory.subprocess.run", lambda *args, **options: failed)
    with pytest.raises(FramecastError, match="exit code 1: MemoryError: 9 GB"):
        run_alone(job)


def test_the_file_is_strict_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    results = whole()
    results.write(path)
    assert read_results(path) == results
    content = json.loads(path.read_text())
    assert set(content) == {"format", "agreements", "times", "memory", "growth"}
    assert {"samples", "ratios", "multiply_adds", "roof", "limit", "stamp", "setting"} <= set(content["times"][0])
    assert content["times"][0]["setting"]["seed"] == 0
    content["surprise"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="framecast bench wrote"):
        read_results(path)
    assert read_results(tmp_path / "none.json") == Results()


def test_a_newer_part_takes_the_place_of_the_older() -> None:
    both = whole().with_part(time_part(2.0))
    assert len(both.times) == 2
    assert both.times[-1].ratios["fast"].wall == pytest.approx(2.0)


def test_targets_stand_beside_the_figures() -> None:
    rows = tables.tabulate_speed(whole(), "standard").rows
    assert [row[:4] for row in rows] == [
        ("convlstm", "train", "8", "plain"), ("", "", "", "fast"),
        ("predrnn", "train", "8", "plain"), ("", "", "", "fast"),
    ]  # fmt: skip
    assert [row[8] for row in rows] == ["", "3.5x missed", "", "4x met"]
    assert rows[3][6] == "4.10x (4.10 to 4.10)"
    assert rows[2][10] == "6%"  # 2 * 3 * 8 * 1e9 operations in 8 s of 1e11
    other = Results().with_part(time_part(9.0, baseline="direct"))
    assert tables.tabulate_speed(other, "standard").rows[1][8] == ""
    held = tables.tabulate_memory(whole(), "standard").rows
    assert [row[6:] for row in held] == [("", ""), ("0.70", "0.8 met"), ("0.60", "0.5 missed")]
    assert {tables.speed_target("standard", model, "train", 8, "fast") for model in BENCHED} == {4.0, 3.5}
    assert (
        tables.speed_target("radar", "mim", "train", 2, "fast")
        == tables.speed_target("kernel3", "mim", "train", 8, "fast")
        == 2.5
    )
    Console(quiet=True).print(tables.tabulate_agreement(whole(), "standard").title)


def test_growth_in_exponents() -> None:
    sheet = tables.tabulate_scaling(whole())
    exponents = {(row[0], row[4]): row[-2:] for row in sheet.rows}
    assert exponents["cells", "32"] == ("1.00", "0.00")
    assert exponents["batch", "4"] == ("1.00", "1.00")
    assert exponents["batch", "2"] == ("", "")
    assert sheet.notes[-1] == "predrnn, fast: 100 frames take +4.0% memory beside 10: constant."
    worse = [growth_point("frames", 10, 1.0, 10**8), growth_point("frames", 100, 1.0, 2 * 10**8)]
    assert tables.describe_memory_growth(worse)[0].endswith("not constant.")
    assert tables.describe_memory_growth([growth_point("frames", 10, 1.0, 1, "train")]) == []


def test_growth_changes_one_size_at_a_time() -> None:
    found = list_points(["mim", "predrnn"], ["train"], ["fast"])
    assert {(p.model, p.value) for p in found if p.axis == "layers"} == {
        *(("mim", n) for n in (2, 4, 8)),
        *(("predrnn", n) for n in (1, 2, 4, 8)),
    }
    for point in found:
        s = point.setting
        sizes = {"batch": point.batch, "cells": s.cells[0], "frames": s.frames, "layers": len(s.hidden)}
        assert sizes == {"batch": 1, "cells": 16, "frames": 20, "layers": 4, point.axis: point.value}


def test_pages_and_pictures(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    names = [*markdown_page.make_blocks(whole())]
    path.write_text("".join(f"<!-- bench: {name} -->\n<!-- bench end -->\n\n" for name in names))
    markdown_page.write_page(path, whole())
    text = path.read_text()
    assert "4x met" in text
    assert "threads, seed 0; code abc" in text
    markdown_page.write_page(path, whole())
    assert path.read_text() == text
    for name in ("performance-speed.png", "performance-growth.png"):
        with Image.open(tmp_path / name) as picture:
            picture.verify()
    for wrong in ("no marker", "<!-- bench: speed nowhere -->\n<!-- bench end -->"):
        with pytest.raises(UsageError, match="page"):
            markdown_page.fill_page(wrong, markdown_page.make_blocks(whole()))
    with pytest.raises(UsageError, match="--page"):
        markdown_page.write_page(tmp_path / "missing.md", whole())


def test_the_page_of_the_repository_has_every_block() -> None:
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    markdown_page.fill_page(text, markdown_page.make_blocks(Results()))
    assert {m["name"] for m in markdown_page._BLOCK.finditer(text)} >= {
        "setup",
        "growth",
        "speed standard",
        "memory standard",
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--models", "predrn"], "--models"),
        (["--forms", "quickly"], "--forms"),
        (["--setting", "huge"], "kernel3"),
        (["--opponent", "benchmarks.plain:nobody"], "--opponent"),
        (["--opponent", PLAIN, "--opponent", PLAIN], "different names"),
        (["--batch-sizes", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_measured_is_said(words: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        bench("--quick", *words, "--out", tmp_path / "b.json")
