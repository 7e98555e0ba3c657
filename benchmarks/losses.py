"""What each loss buys and costs on rain: `python benchmarks/losses.py --out runs/losses` prints a Markdown table.

Trains the recipe convlstm_rain_radar with each loss and seed, and scores each on the validation split, raw and with
the values of its base. Each training has a folder of its own; the same command goes on where it was stopped, and more
losses or seeds may be asked for later. Other steps, data or settings need another --out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from framecast.errors import FramecastError, UsageError
from framecast.evaluation.prepare import EvaluationOptions, evaluate_run
from framecast.json_files import read_json, write_json
from framecast.recipe.recipe import Recipe, read_recipe
from framecast.training.start import resume, start

RECIPE = "convlstm_rain_radar"
CSI = {"kind": "csi", "thresholds": [15, 25, 35], "width": 2, "weight": 0.014}
WEIGHTS = {"kind": "weights", "thresholds": [15, 25, 35], "weights": [1, 2, 5, 10]}
FACL = {"kind": "facl", "correlation_weight": 0.05}
GRADIENT = {"kind": "gradient", "weight": 0.1}
LOSSES: dict[str, dict[str, Any]] = {
    "mse": {},
    "mse + csi": {"terms": [CSI]},
    "mse + 3 csi": {"terms": [{**CSI, "weight": 0.042}]},
    "weights": {"kind": "none", "terms": [WEIGHTS]},
    "facl": {"kind": "none", "terms": [FACL]},
    "mse + facl": {"terms": [FACL]},
    "mse + gradient": {"terms": [GRADIENT]},
    "mse + csi, early leads": {"terms": [{**CSI, "lead_weights": 0.85}]},
}
"""Losses by name; their weights were chosen by the sizes of the terms, and not tuned."""
THRESHOLDS, SCALE = (15, 25, 35), 16
COLUMNS = {
    "mse x 1e3": ("mse", 1e3),
    **{f"CSI {threshold}": (f"csi@{threshold}", 1.0) for threshold in THRESHOLDS},
    f"FSS 25, {SCALE} px": (f"fss@25/{SCALE}px", 1.0),
    "rapsd, dB": ("rapsd", 1.0),
}
"""Name and factor of the metric of each column."""


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", metavar="FILE", help="files of rain; by default those of the recipe")
    parser.add_argument("--steps", type=int, help="iterations of each training; by default those of the recipe")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each loss, with seeds from 0")
    parser.add_argument(
        "--losses", nargs="+", choices=LOSSES, default=list(LOSSES), metavar="LOSS", help=str([*LOSSES])
    )
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="of the recipe"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, new or to be gone on with")
    asked = parser.parse_args()
    if asked.seeds < 1:
        parser.error(f"--seeds: got {asked.seeds}, expected 1 or more")
    return asked


def make_recipe(asked: argparse.Namespace, loss: str, seed: int) -> Recipe:
    """Make the recipe of one training."""
    values: dict[str, Any] = {"seed": seed, "loss": {"context": False, **LOSSES[loss]}}
    if asked.data:
        values["data.source"] = [str(Path(file).absolute()) for file in asked.data]
    if asked.steps is not None:
        values["train.steps"] = asked.steps
    return read_recipe(RECIPE, asked.settings, values)


def check_question(asked: argparse.Namespace) -> None:
    """Note what all runs of the folder have in common, or compare with what is noted there.

    Raises:
        UsageError: the runs of the folder are others.
    """
    common = json.loads(json.dumps(make_recipe(asked, "mse", 0).identity()))
    common |= {"data": [str(Path(file).absolute()) for file in asked.data or []] or "of the recipe", "losses": LOSSES}
    path = asked.out / "question.json"
    if not path.is_file():
        asked.out.mkdir(parents=True, exist_ok=True)
        write_json(path, common, indent=2)
        return
    noted = read_json(path)
    if different := [key for key, value in common.items() if noted.get(key) != value]:
        expected = f"what its runs began with (different: {', '.join(different)})"
        raise UsageError(str(asked.out), got="another question", expected=expected, fix="choose another --out")


def score(asked: argparse.Namespace, loss: str, seed: int, *, with_bases: bool) -> dict[str, dict[str, Any]]:
    """Train, or go on with it, and score; what is done already is read."""
    run = asked.out / f"{loss.replace(' ', '').replace(',', '-')}-{seed}"
    scores = run.with_name(f"{run.name}-scores{'-beside-bases' if with_bases else ''}")
    if not (scores / "scores.json").is_file():
        if (run / "recipe.yaml").is_file():
            resume(run, quiet=not sys.stderr.isatty())
        else:
            start(make_recipe(asked, loss, seed), run, quiet=not sys.stderr.isatty())
        metrics = ("mse", "csi", "fss", "rapsd")
        beside = ("extrapolation", "calibrated") if with_bases else ()
        options = EvaluationOptions("val", metrics, THRESHOLDS, baselines=beside, scales=(SCALE,))
        evaluate_run(str(run), {}, options, scores, quiet=True)
    found: dict[str, dict[str, Any]] = json.loads((scores / "scores.json").read_text())["scores"]
    return found


def make_row(name: str, runs: list[dict[str, Any]]) -> str:
    """Make a line of the table: means over seeds, with their standard deviation where there are several."""
    cells = []
    for metric, factor in COLUMNS.values():
        means = [factor * run[metric]["mean"] for run in runs if run[metric]["mean"] is not None]
        spread = f" ± {statistics.stdev(means):.3f}" if len(means) > 1 else ""
        cells.append(f"{statistics.mean(means):.3f}{spread}" if means else "")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> int:
    """Train, score and print."""
    asked = parse()
    check_question(asked)
    rows: dict[str, list[dict[str, Any]]] = {}
    for loss in asked.losses:
        for seed in range(asked.seeds):
            is_first = (loss, seed) == (asked.losses[0], 0)
            for name, scores in score(asked, loss, seed, with_bases=is_first).items():
                label = name if name in ("extrapolation", "calibrated") else f"{loss}{name.removeprefix('convlstm')}"
                rows.setdefault(label, []).append(scores)
            print(f"{loss}, seed {seed}: done", file=sys.stderr)
    print(f"| | {' | '.join(COLUMNS)} |\n|{'---|' * (1 + len(COLUMNS))}")
    for label, runs in rows.items():
        print(make_row(label, runs))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FramecastError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
