"""framecast protocol: lists, published rows, and scores by the protocol."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.protocols import published_files as published
from typer.testing import CliRunner

from framecast.cli import app
from framecast.commands.protocol import reduce_column
from framecast.errors import UsageError
from framecast.metrics import CSI, Scores, select_metrics
from framecast.protocols import Column, find_protocol, list_protocols

NAMES = {"mmnist", "mfmnist", "kth", "taxibj", "human", "kitti", "weatherbench-t2m", "cikm", "shanghai"}


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["protocol", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_all_protocols_are_listed_and_shown() -> None:
    listed = json.loads(run("--json"))
    assert NAMES | {"sevir-384-13to12"} <= set(listed)
    assert sum(name.startswith("sevir") for name in listed) == 4
    assert all(name in run() for name in NAMES)
    text = run("mmnist")
    assert "14.07" in text
    assert "0.9698" in text
    assert "video_benchmarks.md at c74deb5" in text
    assert json.loads(run("cikm", "--json"))["published"][0]["rows"]["MIM"] == [27.2072, 154.269, 0.7388]
    for name in list_protocols():
        if name.startswith("sevir"):
            assert "five protocols of SEVIR" in run(name).replace("\n", " ")


def test_every_metric_of_a_protocol_can_be_made() -> None:
    for protocol in list_protocols().values():
        names = {m.name for m in select_metrics(protocol.metrics, spec=protocol.spec, thresholds=protocol.thresholds)}
        kinds = names | {name.partition("@")[0] for name in names}
        assert all(column.metric in kinds for column in protocol.columns), protocol.name


def test_a_baseline_by_the_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    windows = published.make_taxibj(tmp_path)
    shown = json.loads(
        run("taxibj", "persistence", "--data", str(tmp_path), "--baselines", "none", "--json", "--quiet")
    )
    errors = (windows[:, 4:].astype(np.float64) - windows[:, 3:4]) / 2
    assert list(shown["rows"]) == ["persistence"]
    row = shown["rows"]["persistence"]
    assert row["MSE"] == pytest.approx((errors**2).sum(axis=(2, 3, 4)).mean(), rel=1e-6)
    assert row["MAE"] == pytest.approx(np.abs(errors).sum(axis=(2, 3, 4)).mean(), rel=1e-6)
    assert not shown["limited"]
    assert shown["windows"] == 3
    assert json.loads((Path(shown["folder"]) / "protocol.json").read_text())["rows"] == shown["rows"]


def test_kelvin_and_the_root_of_all_lead_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    windows = published.make_weatherbench(tmp_path).astype(np.float64)
    shown = json.loads(run("weatherbench-t2m", "persistence", "--data", str(tmp_path), "--json", "--quiet"))
    errors = windows[:, 12:] - windows[:, 11:12]
    row = shown["rows"]["persistence"]
    assert row["MSE"] == pytest.approx((errors**2).mean(), rel=1e-5)
    assert row["RMSE"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)
    assert row["MAE"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)


def test_pooled_counts_are_no_mean_over_lead_times() -> None:
    import torch

    truth, forecast = torch.zeros(1, 2, 1, 4, 4), torch.zeros(1, 2, 1, 4, 4)
    truth[0, 0, 0, :2], forecast[0, 0, 0, :2] = 1.0, 1.0  # 8 hits at the first lead time
    truth[0, 1, 0, 0, :2], forecast[0, 1, 0, 3, :2] = 1.0, 1.0  # 2 misses and 2 false alarms at the second
    scores = Scores([CSI(0.5), CSI(0.9)], 2, "cpu", keep=1)
    scores.update(forecast, truth, None, [0])
    sums = {metric.name: (metric, rows.sum(dim=0)) for metric, rows in scores.by_sequence()}
    assert reduce_column(Column(name="CSI-M", metric="csi"), sums) == pytest.approx(0.5)
    pooled = Column(name="CSI-M", metric="csi", over_leads="pooled", factor=100)
    assert reduce_column(pooled, sums) == pytest.approx(100 * 8 / 12)
    with pytest.raises(UsageError, match="column POD"):
        reduce_column(Column(name="POD", metric="pod"), sums)


def test_a_part_of_the_windows_is_no_score_by_the_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    published.make_mmnist(tmp_path)
    text = run("mmnist", "digits", "--data", str(tmp_path), "--limit", "1", "--baselines", "none")
    assert "only 1 of 3 test windows: no score by the protocol" in text
    assert "digits" in text
    assert "PredRNN++" in text
    assert "written: runs" in text


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean kth"):
        run("kht")
    with pytest.raises(UsageError, match="--data: got nothing, expected the folder with moving_mnist"):
        run("mmnist", "persistence")
    assert find_protocol("mmnist").files[0].md5
