"""benchmarks/gpu.py, gone through on a CPU with small networks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_in_one_line() -> None:
    done = run()
    assert done.returncode == 2
    assert done.stderr.startswith("no CUDA device here")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_trial_on_the_cpu(tmp_path: Path) -> None:
    page, out = tmp_path / "page.md", tmp_path / "gpu.json"
    page.write_text("before\n<!-- gpu table: begin -->\nold\n<!-- gpu table: end -->\nafter\n")
    said = [
        "--device",
        "cpu",
        "--tiny",
        "--models",
        "predrnn_v2",
        "--seconds",
        "3600",
        "--out",
        str(out),
        "--page",
        str(page),
    ]
    done = run(*said)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 9 + 6 * 2, "training in nine ways, two forecasts in those that are not compiled"
    assert {row["what"] for row in rows} == {"train", "predict 1", "predict 2"}
    assert all(row["ms"] > 0 and row["launches"] > 0 for row in rows)
    text = page.read_text()
    assert text.startswith("before\n<!-- gpu")
    assert text.endswith("end -->\nafter\n")
    assert "old" not in text
    assert all(f"| {way} |" in text for way in ("plain fp32", "eager bf16", "compiled tf32"))
