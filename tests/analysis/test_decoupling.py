"""Orthogonal and equal increments, points by hand, and the loss that the cosine is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fixtures.cells import SPEC, TwoMemories, batch, forecaster, small

from framecast.analysis import decoupling as module
from framecast.analysis.decoupling import embed, extract_points, measure_decoupling
from framecast.analysis.trace import encode_input
from framecast.errors import InputError, UsageError
from framecast.nn.rollout import rollout

H, W = SPEC.height, SPEC.width


def halves() -> tuple[torch.Tensor, torch.Tensor]:
    """Two maps of two channels that share no pixel."""
    left = torch.zeros(2, H, W, dtype=torch.float64)
    left[:, :, : W // 2] = torch.rand(2, H, W // 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return left, left.flip(-1)


@pytest.mark.parametrize(("factor", "cosine"), [(1.0, 1.0), (-3.0, 1.0), (None, 0.0)])
def test_equal_opposite_and_orthogonal_increments(factor: float | None, cosine: float) -> None:
    left, right = halves()
    found = measure_decoupling(
        forecaster(TwoMemories(left, right if factor is None else factor * left)), [batch()], 3, samples=0
    )
    assert found.layer.tolist() == [1]
    np.testing.assert_allclose(found.cosine, np.full((1, 6), cosine), atol=1e-12)
    assert np.isnan(found.adapted).all()
    assert module.summarise(found) == {"mean |cos|": pytest.approx(cosine)}


def test_layers_are_kept_apart_and_batches_weighted() -> None:
    left, right = halves()
    model = forecaster(TwoMemories(left, right), TwoMemories(left, left))
    found = measure_decoupling(model, [batch(), batch(sequences=1)], 3, samples=0)
    np.testing.assert_allclose(found.cosine, [[0.0] * 6, [1.0] * 6], atol=1e-12)
    assert found.point.shape == (0, 20)


def test_behind_the_adapter_it_is_the_decoupling_loss() -> None:
    model, windows = small("predrnn_v2"), [batch(time=6, sequences=2), batch(time=6, sequences=2)]
    found = measure_decoupling(model, windows, 3)
    assert module.list_remarks(found) == [
        "no t-SNE picture: it needs maps of 10 places or more; train with a smaller patch"
    ]
    with torch.no_grad():
        aux = rollout(model.network, encode_input(model, windows[0], 3).patches, 5, aux=True).aux
        assert model.network.regularizer is not None
        loss = float(model.network.regularizer(aux))
    assert found.adapted.mean() == pytest.approx(loss, rel=1e-9)
    assert abs(found.cosine.mean() - loss) > 1e-3
    assert "mean |cos|, adapted" in module.summarise(found)


@pytest.mark.parametrize("name", ["predrnn", "predrnn_pp", "mim"])
def test_networks_with_two_memories(name: str) -> None:
    found = measure_decoupling(small(name), [batch(time=6)], 3)
    assert found.layer.tolist() == ([1, 3] if name == "predrnn_pp" else [1, 2])
    assert ((found.cosine >= 0) & (found.cosine <= 1)).all()


@pytest.mark.parametrize("name", ["convlstm", "memory_flow", "lstm"])
def test_networks_without_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="does not have two memories"):
        measure_decoupling(small(name), [batch()], 3)


def test_points_by_hand() -> None:
    c = torch.arange(24.0, dtype=torch.float64).reshape(1, 4, 6)
    of_c, of_m = extract_points(c, -2 * c)
    values = torch.tensor([*range(23, 13, -1), *range(10)], dtype=torch.float64)
    torch.testing.assert_close(of_c[0], values / values.norm())
    torch.testing.assert_close(of_m[0], -values / values.norm())


def test_small_maps_are_refused() -> None:
    with pytest.raises(InputError, match="3x3, expected 10 places or more"):
        extract_points(torch.zeros(2, 3, 3), torch.zeros(2, 3, 3))


def test_each_picture_has_the_points_of_one_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(module, "embed", lambda cloud: drawn.append(len(cloud)) or cloud[:, :2])
    left, right = halves()
    model = forecaster(TwoMemories(left, right), TwoMemories(left, left))
    found = measure_decoupling(model, [batch(), batch(sequences=1)], 3, samples=3, pictures=2)
    assert drawn == [4] * 3 * 2 * 2  # two points a channel; samples, layers, steps
    assert len(found.point) == sum(drawn)
    assert sorted(set(found.step.tolist())) == [1, 6]
    assert sorted(set(found.sample.tolist())) == [0, 1, 2]
    np.testing.assert_allclose(np.linalg.norm(found.point, axis=1), 1, rtol=1e-12)
    mine = (found.sample == 1) & (found.point_layer == 1) & (found.step == 6)
    assert found.memory[mine].tolist() == ["c", "c", "m", "m"]
    np.testing.assert_allclose(found.point[mine], extract_points(left, right).flatten(0, 1), rtol=1e-12)
    module.draw(tmp_path, {"run": found}, 3)
    assert {path.name for path in tmp_path.iterdir()} == {"decoupling.png", *(f"tsne-{n}.png" for n in range(3))}


def test_tsne_keeps_two_clouds_apart_and_repeats() -> None:
    pytest.importorskip("sklearn")
    noise = np.random.default_rng(0).normal(0, 0.05, (24, 20))
    noise[:12] += 1
    flat = embed(noise)
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(1)
    assert ((nearest < 12) == (np.arange(24) < 12)).all()
    assert np.array_equal(embed(noise), flat)


def test_without_scikit_learn_there_are_points_but_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    left, right = halves()
    found = measure_decoupling(forecaster(TwoMemories(left, right)), [batch()], 3)
    assert len(found.point) > 0
    assert np.isnan(found.embedded).all()
    assert "pip install 'framecast[study]'" in module.list_remarks(found)[0]
    module.draw(tmp_path, {"run": found}, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["decoupling.png"]
