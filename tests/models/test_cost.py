import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from rich.console import Console
from tests.fixtures.commands import unchecked

from framecast import kernels
from framecast.commands.demo import make_demo_recipe, run_demo
from framecast.models import MIM, MODELS, ConvLSTM, PredRNN, PredRNNPP
from framecast.models.cost import count_cost
from framecast.nn.rollout import rollout

FULL = (128,) * 4


@pytest.mark.parametrize(
    ("config", "giga"), [(ConvLSTM(hidden=FULL), 56.8), (PredRNN(hidden=FULL), 116.0), (PredRNNPP(hidden=FULL), 171.7)]
)
def test_multiply_adds_are_the_published_ones(config, giga: float) -> None:
    assert count_cost(config, 1, 64, 64, patch=4, frames=20).multiply_adds / 1e9 == pytest.approx(giga, abs=0.06)


@pytest.mark.parametrize("kind", MODELS.values(), ids=list(MODELS))
def test_each_step_costs_the_same(kind, monkeypatch: pytest.MonkeyPatch) -> None:
    size = {"patch": 4, "frames": 7}
    found = count_cost(kind(), 1, 16, 12, **size)
    monkeypatch.setattr("framecast.models.cost.COUNTED", 6)
    assert found == count_cost(kind(), 1, 16, 12, **size)


@pytest.mark.parametrize("config", [ConvLSTM(hidden=(4, 4)), PredRNN(hidden=(4, 4)), MIM(hidden=(4, 4))])
def test_memory_is_what_autograd_keeps(config) -> None:
    kept: dict[int, int] = {}
    network = config.build(16, 5, 4)
    owned = {p.data_ptr() for p in network.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in owned:
            kept[tensor.data_ptr(), tensor.storage_offset()] = tensor.numel() * tensor.element_size()
        alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []
    kernels.set_precision("highest")  # the count is that of the direct kernels
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            rollout(network, torch.rand(1, 6, 16, 5, 4), 5)
    finally:
        kernels.set_precision("auto")
    assert count_cost(config, 1, 18, 15, patch=4, frames=6).training_bytes == pytest.approx(sum(kept.values()), rel=0.1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_demo_tells_the_whole_story(tmp_path: Path, capsys) -> None:
    with unchecked():
        run_demo(tmp_path / "run", Console(width=140), steps=3)
    told = capsys.readouterr().out
    for word in ("persistence", "blank", "strip.png", "report.html", "framecast predict", "that of a blank"):
        assert word in told
    folder = tmp_path / "run" / "evaluations" / "test-1"
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["sequences"] == 64
    assert scores["scores"]["blank"]["sse"]["mean"] == pytest.approx(160, rel=0.05)
    for picture in (
        folder / "strip.png",
        folder / "forecast.gif",
        folder / "scores.png",
        tmp_path / "run" / "loss.png",
    ):
        with Image.open(picture) as opened:
            opened.verify()
    assert make_demo_recipe().context == 10
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"{scores['scores']['predrnn']['sse']['mean']:.3g}" in page
    assert "64 sequences of split test" in page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_the_whole_demo_is_fifteen_percent_below_blank(tmp_path: Path) -> None:
    scores = run_demo(tmp_path / "run", Console(quiet=True), quiet=True).scores
    sse = {name: found.mean()["sse"] for name, found in scores.items()}
    assert sse["predrnn"] < 0.85 * sse["blank"]
    assert sse["predrnn"] < 0.6 * sse["persistence"]
