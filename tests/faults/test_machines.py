"""Processes of two machines: one decides for all, a failure of one ends all in a line, and the bits are those of one."""

import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.faults.test_processes import free_port
from tests.fixtures.runs import ForkedCommand, command, last_network, run_forked, train_command, wait_for_step

Prepare = Callable[[], object]


def on_machines(
    words: list[str], machines: int = 2, each: int = 1, prepare: Callable[[int], Prepare | None] = lambda number: None
) -> list[ForkedCommand]:
    """Processes that are told what torchrun tells its own on several machines."""
    world, port = machines * each, free_port()
    shared = {"WORLD_SIZE": world, "LOCAL_WORLD_SIZE": each, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared |= {"TORCHELASTIC_RUN_ID": "none"}
    ranks = [{"RANK": n, "LOCAL_RANK": n % each, "GROUP_RANK": n // each, **shared} for n in range(world)]
    return [
        ForkedCommand(words, {key: str(value) for key, value in rank.items()}, prepare(rank["RANK"])) for rank in ranks
    ]


def finish(processes: list[ForkedCommand]) -> list[tuple[int, str]]:
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return [(process.returncode, said) for process, said in zip(processes, errors, strict=True)]


def events(out: Path) -> list[str]:
    return [line for line in (out / "events.jsonl").read_text().splitlines() if '"train"' in line]


def write_gaps(folder: Path) -> str:
    """Frames with missing pixels, other ones in each, so that masks decide what the loss counts."""
    random = np.random.default_rng(0)
    frames = random.random((48, 16, 16), np.float32)
    frames[random.random(frames.shape) < 0.2] = np.nan
    np.save(folder / "gaps.npy", frames)
    return str(folder / "gaps.npy")


GAPS = {"data.moving_mnist": "{}", "data.dims": "thw", "train__batch_size": 8, "data.gap": 0, "data.max_missing": 0.9}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_machines_of_two_equal_one_process(tmp_path: Path, accumulate: int) -> None:
    """Missing pixels, and gradients of several micro-batches: summed in the order of one process, to the bit."""
    given = {**GAPS, "data.source": write_gaps(tmp_path), "train__clip": 0.1}
    words = train_command(tmp_path / "four", 4, train__accumulate=accumulate, **given)
    finished = finish(on_machines(words, 2, 2))
    assert [code for code, _ in finished] == [0] * 4, finished
    alone = run_forked(train_command(tmp_path / "one", 4, train__accumulate=4 * accumulate, **given))
    assert alone.returncode == 0, alone.stderr
    assert events(tmp_path / "four") == events(tmp_path / "one")
    first, second = last_network(tmp_path / "four"), last_network(tmp_path / "one")
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_signal_to_one_machine_stops_both_and_they_resume(tmp_path: Path) -> None:
    plain, stopped = tmp_path / "plain", tmp_path / "stopped"
    assert [code for code, _ in finish(on_machines(train_command(plain, 20)))] == [0, 0]
    both = on_machines(train_command(stopped, 20))
    wait_for_step(stopped, 3, both[0])
    both[1].send_signal(signal.SIGTERM)
    assert [code for code, _ in finish(both)] == [143, 143]
    assert 3 <= len(events(stopped)) < 20
    resumed = finish(on_machines(command("resume", str(stopped), "--device", "cpu", "--quiet")))
    assert [code for code, _ in resumed] == [0, 0], resumed
    assert (stopped / "events.jsonl").read_bytes() == (plain / "events.jsonl").read_bytes()
    first, second = last_network(plain), last_network(stopped)
    assert all(torch.equal(first[key], second[key]) for key in first)


def stand_in(folder: Path) -> None:
    """Work in a folder, as a process of a machine whose storage is its own does."""
    from framecast.training.processes import group

    group.SHARED_SECONDS = 0.5
    os.chdir(folder)


@pytest.mark.parametrize("begun", [False, True])
def test_a_machine_that_does_not_see_the_folder_ends_all_in_a_line(tmp_path: Path, begun: bool) -> None:
    homes = [tmp_path / "0", tmp_path / "1"]
    for home in homes:
        home.mkdir()
    words = train_command(Path("run"), 5)
    if begun:
        assert run_forked(train_command(homes[0] / "run", 5)).returncode == 0
        words = command("resume", "run", "--device", "cpu", "--quiet")
    finished = finish(on_machines(words, prepare=lambda number: partial(stand_in, homes[number])))
    for code, said in finished:
        assert code == 2
        assert len(said.splitlines()) == 1
        assert "no recipe.yaml in it on" in said
        assert "storage that all machines share" in said
    assert "error: process 1 on" in finished[0][1]
    assert not (homes[0] / "run" / "events.jsonl").exists() or begun


def test_a_folder_must_be_named_for_several_machines(tmp_path: Path) -> None:
    words = [word for word in train_command(tmp_path / "run", 5) if word not in ("--out", str(tmp_path / "run"))]
    for code, said in finish(on_machines(words, prepare=lambda number: partial(os.chdir, tmp_path))):
        assert code == 2
        assert "--out: got nothing, expected the folder of a training on 2 machines" in said
    assert not (tmp_path / "runs").exists()


def test_processes_of_one_machine_share_a_numbered_folder(tmp_path: Path) -> None:
    words = [word for word in train_command(tmp_path / "run", 2) if word not in ("--out", str(tmp_path / "run"))]
    finished = finish(on_machines(words, 1, 2, lambda number: partial(os.chdir, tmp_path)))
    assert [code for code, _ in finished] == [0, 0], finished
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["convlstm-1"]


def test_a_folder_that_is_taken_ends_all_in_a_line(tmp_path: Path) -> None:
    assert run_forked(train_command(tmp_path / "run", 2)).returncode == 0
    for code, said in finish(on_machines(train_command(tmp_path / "run", 2))):
        assert code == 2
        assert len(said.splitlines()) == 1
        assert "got a run that exists" in said


def count_reads(folder: Path, rank: int) -> None:
    """Note which frames each process reads, and whether it scans."""
    from framecast.data.sources import file_source

    read, scan = file_source.FileSource.read, file_source.scan_values

    def note(line: str) -> None:
        with (folder / f"reads-{rank}").open("a") as file:
            file.write(line + "\n")

    def noted(self, sequence, start, stop, area=None):
        note(f"{start}")
        return read(self, sequence, start, stop, area)

    def noted_scan(*args, **keywords):
        note("scan")
        return scan(*args, **keywords)

    file_source.FileSource.read, file_source.scan_values = noted, noted_scan


def test_each_process_reads_its_own_windows_alone(tmp_path: Path) -> None:
    """Only the first one scans; of 12 windows, four of which are a batch, each process reads its two of each."""
    given = {**GAPS, "data.source": write_gaps(tmp_path), "train__batch_size": 4, "validate__every": 100}
    both = on_machines(train_command(tmp_path / "run", 3, **given), prepare=lambda n: partial(count_reads, tmp_path, n))
    finished = finish(both)
    assert [code for code, _ in finished] == [0, 0], finished
    lines = (tmp_path / "reads-1").read_text().split()
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    validated = -(-min(4, data["windows"]["val"]) // 2)
    assert "scan" in (tmp_path / "reads-0").read_text().split()
    assert "scan" not in lines
    assert len(lines) <= 1 + 3 * 2 + validated  # one to compare with the first process


def test_other_frames_on_one_machine_end_all_in_a_line(tmp_path: Path) -> None:
    homes = [tmp_path / "0", tmp_path / "1"]
    for number, home in enumerate(homes):
        home.mkdir()
        np.save(home / "frames.npy", np.random.default_rng(number).random((48, 16, 16), np.float32))

    given = {**GAPS, "data.source": str(tmp_path / "here" / "frames.npy")}
    (tmp_path / "here").symlink_to(homes[0])
    words = train_command(tmp_path / "run", 3, **given)
    both = on_machines(words, prepare=lambda number: partial(redirect, homes[number]) if number else None)
    for code, said in finish(both):
        assert code == 3
        assert len(said.splitlines()) == 1
        assert "other frames on" in said


def redirect(home: Path) -> None:
    """Read the frames of this machine, as where the same path holds other files."""
    from framecast.data.windows import dataset

    frames, read = np.load(home / "frames.npy"), dataset.DataSet.window

    def window(self, split, epoch, index):
        found = read(self, split, epoch, index)
        return found._replace(frames=frames[: found.frames.shape[0], None])

    dataset.DataSet.window = window


@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_is_killed_ends_the_other_in_a_line(tmp_path: Path, killed: int) -> None:
    out = tmp_path / "run"
    both = on_machines(train_command(out, 10_000))
    wait_for_step(out, 6, both[1 - killed])
    both[killed].send_signal(signal.SIGKILL)
    finished = finish(both)
    code, said = finished[1 - killed]
    assert code == 9
    assert "another process of this training has ended" in said
    assert "Traceback" not in said
