"""Times every network on a GPU in every way that framecast can compute there: python benchmarks/gpu.py

Eager, compiled, and the direct form of benchmarks/plain.py, in float32, TF32 and bf16. First a gate: loss and gradients
in each way against float64 on the CPU. Then training steps and forecasts, in turns and rotated, each as the median of
its rounds; launches, peak memory, and the share of what a large matrix product reaches. Writes JSON, and a table into
docs/performance.md where that has the markers. Nothing new begins after --seconds, which compiling counts towards.

--device cpu --tiny goes through all of it with small networks: a test of this file, not a measurement.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_subjects import MODELS, WAYS, Subject, errors, recipe, subjects, too_far
from torch.profiler import ProfilerActivity, profile

from framecast.models.cost import count_cost

BEGIN, END = "<!-- gpu table: begin -->", "<!-- gpu table: end -->"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
LAUNCHES = ("LaunchKernel", "GraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")


def main() -> int:
    """Read the arguments, measure, write."""
    said = arguments()
    if said.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device here: nothing measured; --device cpu --tiny tries the program itself", file=sys.stderr)
        return 2
    end = time.monotonic() + said.seconds
    result: dict[str, Any] = {"device": device_name(said.device), "torch": torch.__version__, "tiny": said.tiny}
    result["errors"] = {model: errors(model, said.device) for model in said.models}
    for model, found in result["errors"].items():
        print(f"{model}: distance from float64 " + ", ".join(f"{name} {error:.1e}" for name, error in found.items()))
        if wrong := too_far(found):
            print(f"{model}: wrong in {', '.join(wrong)}; nothing is timed", file=sys.stderr)
            return 1
    result["roof_tflops"] = {kind: roof(kind, said.device, tiny=said.tiny) for kind in ("fp32", "tf32", "bf16")}
    result["rows"] = [row for model in said.models for row in measured(model, said, end, result["roof_tflops"])]
    text = table(result)
    print(text)
    said.out.write_text(json.dumps(result, indent=1) + "\n")
    insert(said.page, text)
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="small networks and few rounds")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--seconds", type=float, default=420, help="no measurement begins after so many")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--page", type=Path, default=PAGE, help="page that has the markers for the table")
    return parser.parse_args()


def device_name(device: str) -> str:
    """What is measured."""
    return torch.cuda.get_device_name() if device == "cuda" else "CPU, a trial of the program"


def wait(device: str) -> None:
    """Until the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(call: Callable[[], object], device: str, times: int = 1) -> float:
    """Of one call, as the mean of some in a row."""
    wait(device)
    start = time.perf_counter()
    for _ in range(times):
        call()
    wait(device)
    return (time.perf_counter() - start) / times


def roof(kind: str, device: str, *, tiny: bool) -> float:
    """10^12 operations per second of a large matrix product."""
    size = 256 if tiny else 8192
    torch.set_float32_matmul_precision("highest" if kind == "fp32" else "high")
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16 if kind == "bf16" else None) for _ in "ab")
    seconds(lambda: a @ b, device, 3)
    best = min(seconds(lambda: a @ b, device, 5) for _ in range(3))
    return 2 * size**3 / best / 1e12


def measured(model: str, said: argparse.Namespace, end: float, roofs: dict[str, float]) -> list[dict[str, Any]]:
    """Rows of one network: all its subjects in turns, in another order each round."""
    everything = list(subjects(model, said.device, tiny=said.tiny))
    about = {id(subject): warm(subject, said.device) for subject in everything if time.monotonic() < end}
    kept = [subject for subject in everything if id(subject) in about]
    samples: dict[int, list[float]] = {id(subject): [] for subject in kept}
    for turn in range(2 if said.tiny else 5):
        shift = turn * len(kept) // 5
        for subject in kept[shift:] + kept[:shift]:
            if time.monotonic() > end and samples[id(subject)]:
                continue
            first = about[id(subject)]["seconds_once"]
            subject.way.activate()
            samples[id(subject)].append(seconds(subject.call, said.device, max(1, min(20, int(0.1 / first)))))
    if len(kept) < len(everything):
        print(
            f"{model}: {len(everything) - len(kept)} of {len(everything)} rows left out, time was up", file=sys.stderr
        )
    return [row(subject, samples[id(subject)], about[id(subject)], said, roofs) for subject in kept]


def warm(subject: Subject, device: str) -> dict[str, Any]:
    """Call often enough that all is compiled and its graphs are recorded; count launches and memory of one more call."""
    subject.way.activate()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved() if device == "cuda" else 0
    for _ in range(3):
        subject.call()
    once = seconds(subject.call, device)
    peak = torch.cuda.max_memory_reserved() - before if device == "cuda" else None
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as seen:
        subject.call()
        wait(device)
    names = [event.name for event in seen.events()]
    marks = LAUNCHES if device == "cuda" else ("aten::",)
    launches = sum(any(mark in name for mark in marks) for name in names)
    return {"seconds_once": once, "launches": launches, "peak_bytes": peak}


def row(
    subject: Subject, samples: list[float], about: dict[str, Any], said: argparse.Namespace, roofs: dict[str, float]
) -> dict[str, Any]:
    """One row: the median, and what follows from it."""
    middle = statistics.median(samples)
    setting = recipe(subject.model, subject.way, tiny=said.tiny)
    size, frames = (32 if said.tiny else 64), setting.context + setting.horizon
    one = count_cost(setting.model, 1, size, size, patch=setting.patch, frames=frames).multiply_adds
    work = 2 * one * subject.batch * (3 if subject.what == "train" else 1)
    return {
        "model": subject.model,
        "what": subject.what,
        "way": subject.way.name,
        "ms": 1e3 * middle,
        "spread": (max(samples) - min(samples)) / middle,
        "sequences_per_second": subject.batch / middle,
        "launches": about["launches"],
        "peak_mb": None if about["peak_bytes"] is None else about["peak_bytes"] / 2**20,
        "share_of_roof": work / middle / 1e12 / roofs[subject.way.arithmetic],
        "samples": samples,
    }


def table(result: dict[str, Any]) -> str:
    """Markdown: one table for each network, a line for each way."""
    roofs = ", ".join(f"{kind} {value:.1f}" for kind, value in result["roof_tflops"].items())
    lines = [f"{result['device']}, torch {result['torch']}. Matrix product, 10^12 operations/s: {roofs}.", ""]
    lines += ["Each cell: ms (sequences/s, host launches, peak MB, share of the matrix product).", ""]
    for model in dict.fromkeys(row["model"] for row in result["rows"]):
        rows = {(row["way"], row["what"]): row for row in result["rows"] if row["model"] == model}
        heads = list(dict.fromkeys(what for _, what in rows))
        lines += [f"| {model} | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
        for way in WAYS:
            cells = [cell(rows.get((way.name, what))) for what in heads]
            lines.append(f"| {way.name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def cell(found: dict[str, Any] | None) -> str:
    """A cell of the table."""
    if found is None:
        return "-"
    peak = "-" if found["peak_mb"] is None else f"{found['peak_mb']:.0f} MB"
    rate, share = found["sequences_per_second"], found["share_of_roof"]
    return f"{found['ms']:.2f} ({rate:.1f}/s, {found['launches']}, {peak}, {share:.0%})"


def insert(page: Path, text: str) -> None:
    """Put the table between the markers of a page, if it has them."""
    whole = page.read_text(encoding="utf-8") if page.exists() else ""
    if BEGIN not in whole or END not in whole:
        print(f"{page.name} has no markers for the table: nothing written there", file=sys.stderr)
        return
    head, _, rest = whole.partition(BEGIN)
    page.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
