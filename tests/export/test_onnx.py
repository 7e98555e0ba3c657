"""Exported models forecast as framecast does: every network, over sizes, with missing pixels, covariates, gaps, bases."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.contract.networks import STACKS, VARIANTS

import framecast
from framecast.errors import CheckpointError, InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.nn.rollout import rollout
from framecast.transforms.normalize import DBZ, Log, Normalizer, Range, Standard
from framecast.types import Channel

pytest.importorskip("onnxscript")
runtime = pytest.importorskip("framecast.runtime")
pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

HIGH = 50.0
TOLERANCE = 2e-5
"""Largest difference to framecast's kernels over ten steps, of the value range: rounding of single precision, summed in
another order."""
HEIGHT, WIDTH = 6, 8
STEPPED = [name for name, config in VARIANTS.items() if config.feeds_back]
"""Networks that go from frame to frame; the others are refused."""
USUAL = {"lstm", "convlstm", "predrnn", "mim"}
"""Networks that are tested always, one of each kind of state; the other variants take minutes."""
NORMALIZERS: tuple[Normalizer, ...] = (
    Range(low=0, high=HIGH),
    DBZ(high=60, rain_rate=True),
    Log(low=0, high=HIGH, offset=0.5),
    Standard(mean=(20.0, 20.0), std=(15.0, 14.0)),
)
FILLS = ("low", "mean", "last")


def make_forecaster(name: str, **options: Any) -> Forecaster:
    """Patches, normalizer, fill, mask and covariates in turn, so that each variant has some of them."""
    number = list(VARIANTS).index(name)
    covariates = (Channel(name="hour", low=0, high=24),) if number % 2 else ()
    height, width = find_size(name)
    spec = framecast.FrameSpec(channels=2, height=height, width=width, units="mm/h", high=HIGH, covariates=covariates)
    settings = {"fill": FILLS[number % 3], "mask_channel": number % 3 != 0} | options
    torch.manual_seed(number)
    forecaster = Forecaster(
        VARIANTS[name], spec, NORMALIZERS[0 if VARIANTS[name].value_range else number % 4], 1 + number % 2, **settings
    ).eval()
    with torch.no_grad():
        for key, value in forecaster.named_parameters():
            if "peephole" in key or "norm" in key or "base_head" in key:
                value.add_(torch.randn_like(value) * 0.3)
    return forecaster


def find_size(name: str) -> tuple[int, int]:
    """Find a size that fits the strides of a network and its patches of one or two pixels."""
    return (HEIGHT, WIDTH) if name.split("/")[0] in STACKS else (16, 32)


def make_frames(
    forecaster: Forecaster, batch: int, context: int, horizon: int, height: int, width: int
) -> dict[str, Any]:
    """Frames with missing pixels, and covariates where the model has any; with a place where nothing is seen."""
    random = np.random.default_rng(batch * 100 + height)
    shape = batch, context, forecaster.spec.channels, height, width
    made = {"frames": random.uniform(0, HIGH, shape).astype(np.float32), "valid": random.random(shape) > 0.2}
    made["valid"][:, :, :, 1, 2] = False
    if forecaster.spec.covariates:
        hours = random.uniform(0, 24, (batch, context + horizon, 1, height, width)).astype(np.float32)
        made["covariates"] = np.where(random.random(hours.shape) > 0.1, hours, np.nan).astype(np.float32)
    return made


def export(forecaster: Forecaster, path: Path) -> Any:
    from framecast.export.onnx_file import export_onnx

    return runtime.load(export_onnx(forecaster, path), threads=1)


@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.slow) for name in STEPPED]
)
def test_a_network_forecasts_alike(name: str, tmp_path: Path) -> None:
    forecaster = make_forecaster(name)
    model = export(forecaster, tmp_path / "model.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"), full_check=True)
    assert_clean(tmp_path / "model.onnx")
    rows, columns = find_size(name)
    sizes = [(1, 4, 6, rows, columns), (3, 2, 9, rows, columns)]
    if not forecaster.config.exports_one_size:
        small = rows == HEIGHT
        sizes += [(2, 10, 1, 4, 14), (2, 1, 10, 12, 10)] if small else [(2, 10, 1, columns, rows), (2, 1, 10, 32, 16)]
    for batch, context, horizon, height, width in sizes:
        given = make_frames(forecaster, batch, context, horizon, height, width)
        assert_near(model.predict(horizon=horizon, **given), forecaster.predict(horizon=horizon, **given))
    if forecaster.config.exports_one_size:
        with pytest.raises(InputError, match="was exported for one size"):
            model.predict(**make_frames(forecaster, 1, 2, 1, 2 * rows, 2 * columns), horizon=1)


def assert_near(got: np.ndarray, expected: np.ndarray) -> None:
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    # of exploding forecasts of random weights, the largest value counts as range
    span = max(HIGH, float(np.abs(expected).max()))
    assert np.abs(got - expected).max() <= TOLERANCE * span


def assert_clean(path: Path) -> None:
    """No path of this machine, no trace of the exporter; the names of the axes are ours."""
    content = path.read_bytes()
    for word in (b"stack_trace", b"site-packages", b".py", str(Path.home()).encode(), str(Path.cwd()).encode()):
        assert word not in content
    model = onnx.load(path)
    assert [entry.key for entry in model.metadata_props] == ["framecast"]
    assert not [text for text in find_texts(json.loads(model.metadata_props[0].value)) if text.startswith("/")]
    axes = {
        axis.dim_param for port in (*model.graph.input, *model.graph.output) for axis in port.type.tensor_type.shape.dim
    }
    assert axes <= {"", "batch", "context", "horizon", "height", "width", "context_and_horizon"}


def find_texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in find_texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in find_texts(inner)]
    return [value] if isinstance(value, str) else []


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Forecaster, Any, Path]:
    """A ConvLSTM with mask channel, fill "last", patches of 2, one target and one channel of the past."""
    past = (Channel(name="wind", low=-5, high=5),)
    spec = framecast.FrameSpec(channels=2, height=8, width=8, high=HIGH, past=past, step_minutes=5.0)
    torch.manual_seed(0)
    config = VARIANTS["convlstm"]
    forecaster = Forecaster(config, spec, Range(low=0, high=HIGH), 2, fill="last", mask_channel=True, context=4).eval()
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    return forecaster, export(forecaster, path), path


def test_frames_that_are_not_there_are_predicted(exported: Any) -> None:
    """Gaps are filled by the network's own prediction, for each sequence its own."""
    forecaster, model, _ = exported
    frames = np.random.default_rng(1).uniform(0, HIGH, (2, 5, 2, 8, 12)).astype(np.float32)
    known = np.array([[1, 1, 0, 1, 0], [1, 0, 0, 1, 1]], bool)
    got = model.predict(frames, 3, known=known)
    mask = torch.tensor(np.concatenate([known, np.zeros((2, 2), bool)], 1))
    tensor = torch.tensor(frames)
    valid = torch.tensor(known)[:, :, None, None, None].expand(tensor.shape)
    with torch.inference_mode():
        extra = forecaster.extra(tensor, valid, 7, None, known=mask)
        patches = forecaster.encode(tensor, valid)
        predicted = rollout(forecaster.network, patches, 7, known=mask, extra=extra).frames[:, -3:]
        expected = forecaster.decode(predicted, (8, 12)).numpy()
    assert_near(got, expected)
    changed = frames.copy()
    changed[~known] = np.nan
    np.testing.assert_array_equal(model.predict(changed, 3, known=known), got)
    with pytest.raises(InputError, match="first frame"):
        model.predict(frames, 3, known=~known)


def test_sizes_between_the_patches_are_padded(exported: Any) -> None:
    forecaster, model, _ = exported
    given = make_frames(forecaster, 1, 3, 2, 7, 9)
    assert_near(model.predict(horizon=2, **given), forecaster.predict(horizon=2, **given))


def test_a_forecast_of_past_frames_is_a_forecast(exported: Any) -> None:
    forecaster, model, _ = exported
    given = make_frames(forecaster, 2, 4, 3, 8, 8)
    times = np.datetime64("2026-01-31T23:50") + np.arange(4) * np.timedelta64(5, "m")
    arguments = {"valid": given["valid"], "times": np.stack([times, times])}
    past = framecast.PastFrames.from_arrays(given["frames"], forecaster.spec, **arguments)
    assert isinstance(model, framecast.Predictor)
    got, expected = model.forecast(past, 3), forecaster.forecast(past, 3)
    np.testing.assert_allclose(got.values, expected.values, atol=TOLERANCE * HIGH)
    arrays = model.forecast(runtime.PastArrays(given["frames"], **arguments), 3)
    np.testing.assert_array_equal(arrays.values, got.values)
    np.testing.assert_array_equal(arrays.times, expected.times)
    np.testing.assert_array_equal(arrays.mask, expected.mask.numpy())
    assert got.provenance.as_dict()["model"] == arrays.origin.name == "convlstm"


def test_axes_and_errors_are_those_of_a_forecaster(exported: Any) -> None:
    forecaster, model, _ = exported
    frames = np.random.default_rng(2).uniform(0, HIGH, (4, 2, 8, 8))
    assert model.predict(frames, 2).shape == forecaster.predict(frames, 2).shape == (2, 1, 8, 8)
    assert model.context == 4
    for call in (
        {"frames": frames[:, :1], "horizon": 2},
        {"frames": frames, "horizon": 0},
        {"frames": np.where(frames > 49, np.nan, frames), "horizon": 2},
        {"frames": frames, "horizon": 2, "covariates": frames},
        {"frames": frames, "horizon": 2, "valid": np.ones(3, bool)},
    ):
        with pytest.raises((InputError, UsageError)) as expected:
            forecaster.predict(**call)
        with pytest.raises(type(expected.value)):
            model.predict(**call)


def test_other_files_are_refused(exported: Any, tmp_path: Path) -> None:
    path = exported[2]
    for name, content in (("cut.onnx", path.read_bytes()[:500]), ("text.onnx", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name):
            runtime.load(tmp_path / name)
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "strange.onnx")
    with pytest.raises(CheckpointError, match="another kind"):
        runtime.load(tmp_path / "strange.onnx")
    with pytest.raises(CheckpointError, match=r"no such|No such"):
        runtime.load(tmp_path / "absent.onnx")


WITHOUT_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {"framecast", "numpy", "onnxruntime", "flatbuffers", "packaging"} | STANDARD:
            raise ImportError(f"{name} is not here")

STANDARD = set(sys.stdlib_module_names) | {"google", "coloredlogs", "mpmath", "sympy", "cv2"}
sys.meta_path.insert(0, Refuse())
import numpy as np
import framecast.runtime

model = framecast.runtime.load(sys.argv[1], threads=1)
given = np.load(sys.argv[2])
np.save(sys.argv[3], model.predict(given["frames"], 3, given["valid"]))
past = framecast.runtime.PastArrays(given["frames"], given["valid"])
assert model.forecast(past, 3).values.shape == (2, 1, 3, 1, 8, 12)
assert "torch" not in sys.modules
"""


def test_no_torch_is_needed(exported: Any, tmp_path: Path) -> None:
    """In a process that refuses to import anything but NumPy and onnxruntime."""
    forecaster, model, path = exported
    given = make_frames(forecaster, 2, 4, 3, 8, 12)
    np.savez(tmp_path / "given.npz", **given)
    words = [str(path), str(tmp_path / "given.npz"), str(tmp_path / "out.npy")]
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True, timeout=300
    )
    assert finished.returncode == 0, finished.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), model.predict(horizon=3, **given))


def test_a_step_streams(exported: Any, tmp_path: Path) -> None:
    """The step alone, its state zeros at first: one frame after the other, then its own predictions."""
    import onnxruntime

    from framecast.export.onnx_file import export_onnx

    forecaster = exported[0]
    path = export_onnx(forecaster, tmp_path / "step.onnx", form="step")
    with pytest.raises(CheckpointError, match="a step"):
        runtime.load(path)
    session = onnxruntime.InferenceSession(path.read_bytes())
    sizes = {"batch": 1, "4_rows": 8, "2_rows": 8, "rows": 4, "2_columns": 12, "columns": 6}
    state = {
        port.name: np.zeros([sizes.get(size, size) for size in port.shape], np.float32)
        for port in session.get_inputs()
        if port.name not in ("frame", "known")
    }
    frames = np.random.default_rng(3).uniform(0, HIGH, (1, 4, 2, 8, 12)).astype(np.float32)
    names, got = list(state), []
    for t in range(6):
        feeds = {"frame": frames[:, min(t, 3)], "known": np.array([t < 4])}
        predicted, *after = session.run(None, feeds | state)
        state = dict(zip(names, after, strict=True))
        got.append(predicted)
    assert_near(np.stack(got[3:], 1), forecaster.predict(frames, 3))


def test_a_file_that_exists_stays(exported: Any) -> None:
    from framecast.export.onnx_file import export_onnx

    forecaster, _, path = exported
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"model\.onnx"):
        export_onnx(forecaster, path)
    assert path.read_bytes() == before
