"""A page forecasts in a browser from disk, as framecast does; what it cannot show is refused; the runtime is checked."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import framecast
from framecast.bases import ExtrapolationBase
from framecast.errors import UsageError
from framecast.export import browser_runtime
from framecast.export.browser_runtime import BINARY, SCRIPT, find_runtime
from framecast.export.gate_maps import GateMaps, describe_gate
from framecast.export.html_file import export_html
from framecast.export.onnx_file import make_model, make_onnx, make_step
from framecast.forecasting.forecaster import Forecaster
from framecast.models import ConvLSTM
from framecast.transforms.normalize import DBZ, Range

pytest.importorskip("onnxscript")
WIDTHS = (1280, 400)
GATE_NAMES = ("input gate i", "forget gate f", "output gate o")


def trace_gates(forecaster: Forecaster, frames: np.ndarray) -> np.ndarray:
    """Maps of the gates as each frame enters, (steps, gates, rows, columns), by the cells' equations."""
    network, maps = forecaster.network, []
    patches = forecaster.encode(torch.from_numpy(frames.round())[None, :, None], None)[0]
    state = network.init_state(patches[:1])
    with torch.no_grad():
        for frame in patches:
            listener = GateMaps(network)
            with listener.listen():
                state = network.emit(frame[None], state).state
            maps.append(torch.cat(list(listener.compute().values())))
    return torch.stack(maps).numpy()


def test_gates_are_further_outputs_of_the_graph() -> None:
    """Beside the same forecast, for any size; cells without gates have none."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    forecaster, frames = make_forecaster(), make_example().round()
    step = make_step(forecaster, with_gates=True)
    assert [describe_gate(name) for name in step.gates] == [f"layer 1, {name}" for name in GATE_NAMES]
    content = make_model(step, "forecast").SerializeToString()
    plain = make_onnx(forecaster).SerializeToString()
    assert len(content) - len(plain) < 40_000, "bytes"
    session = runtime.InferenceSession(content)
    given = {"frames": frames[None, :, None], "horizon": np.array(4), "known": np.ones((1, 5), bool)}
    forecast, maps = session.run(["forecast", "gates"], given)
    own = forecaster.predict(frames, 4)
    np.testing.assert_allclose(forecast[0, :, 0], own, atol=255 * 2e-5)
    assert maps.shape == (1, 8, 3, 8, 10)
    np.testing.assert_allclose(maps[0, :5], trace_gates(forecaster, frames), atol=1e-5)
    (only,) = runtime.InferenceSession(plain).run(None, given)
    np.testing.assert_allclose(only, forecast, atol=1e-4)


def make_forecaster(**options: Any) -> Forecaster:
    spec = framecast.FrameSpec(channels=1, height=32, width=32, units="grey level", high=255.0)
    torch.manual_seed(0)
    return Forecaster(
        ConvLSTM(hidden=(8,), kernel_size=3), spec, Range(low=0, high=255), 4, context=5, **options
    ).eval()


def make_example() -> np.ndarray:
    frames = np.zeros((5, 32, 40), np.float32)
    for t in range(5):
        frames[t, 8:16, 4 + 3 * t : 12 + 3 * t] = 200
    return frames


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of onnxruntime-web, which hold something else."""
    folder = tmp_path_factory.mktemp("web")
    for name in (SCRIPT, BINARY):
        (folder / name).write_text("nothing")
    return folder


def test_nothing_is_asked_of_another_host(tmp_path: Path, stand_in: Path) -> None:
    path = export_html(make_forecaster(), tmp_path / "page.html", example=make_example(), runtime=stand_in)
    text = path.read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:)[^\"]+", text)
    assert "http" not in re.sub(r"<script type=\"text/plain\".*?</script>|http-equiv=", "", text, flags=re.S)
    assert '"shape": [5, 1, 32, 40]' in text
    before = path.read_bytes()
    with pytest.raises(UsageError, match="page"):
        export_html(make_forecaster(), path, runtime=stand_in)
    assert path.read_bytes() == before


def test_what_a_page_cannot_show_is_refused(tmp_path: Path, stand_in: Path) -> None:
    spec = framecast.FrameSpec(channels=1, height=32, width=32, units="dBZ", high=70.0)
    config, base = ConvLSTM(hidden=(4,), kernel_size=3), ExtrapolationBase()
    rain = Forecaster(config, spec, DBZ(), 4, base=base, head="mix", context=5)
    two = Forecaster(config, spec.model_copy(update={"channels": 2}), Range(low=0, high=70), 4)
    for forecaster, words in ((rain, "needs no motion"), (two, "one channel or three")):
        with pytest.raises(UsageError, match=words):
            export_html(forecaster, tmp_path / "page.html", runtime=stand_in)
    with pytest.raises(UsageError, match="example"):
        export_html(make_forecaster(), tmp_path / "page.html", runtime=stand_in, example=np.zeros((3, 2, 32, 32)))
    assert not (tmp_path / "page.html").exists()


def test_another_content_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_runtime.urllib.request, "urlopen", lambda address, timeout: io.BytesIO(b"evil"))
    with pytest.raises(UsageError, match="another content"):
        find_runtime(cache=tmp_path)

    def fail(address: str, timeout: float) -> None:
        raise OSError("no route")

    monkeypatch.setattr(browser_runtime.urllib.request, "urlopen", fail)
    with pytest.raises(UsageError, match="--runtime FOLDER"):
        find_runtime(cache=tmp_path)
    with pytest.raises(UsageError, match="npm pack"):
        find_runtime(tmp_path / "empty")
    kept = tmp_path / f"onnxruntime-web-{browser_runtime.VERSION}"
    kept.mkdir()
    for name in (SCRIPT, BINARY):
        (kept / name).write_text("changed since")
    with pytest.raises(UsageError, match="no answer"):
        find_runtime(cache=tmp_path)


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    """A browser without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium on the path")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        find_runtime()
    except UsageError as error:
        pytest.skip(str(error))
    return export_html(make_forecaster(), tmp_path_factory.mktemp("html") / "page.html", example=make_example())


@pytest.mark.slow
def test_a_page_forecasts_as_framecast_does(opened: Any, page_file: Path, tmp_path: Path) -> None:
    expected = make_forecaster().predict(make_example().round(), 5)
    page = opened.new_page(viewport={"width": WIDTHS[0], "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=120_000)
    assert said == []
    assert not [address for address in asked if address.startswith("http")]
    page.evaluate("clearInterval(timer); show(3)")
    page.select_option("#gate", "layer 1, forget gate f")
    assert page.locator("#gate option").all_inner_texts() == [f"layer 1, {name}" for name in GATE_NAMES]
    shown = float(page.evaluate("document.querySelector('#gate-view').dataset.mean"))
    assert shown == pytest.approx(float(trace_gates(make_forecaster(), make_example())[3, 1].mean()), abs=1e-5)
    assert float(page.evaluate("document.body.dataset.sum")) == pytest.approx(expected.sum(dtype=float), rel=1e-5)
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "forecast.npy")
    np.testing.assert_allclose(np.load(tmp_path / "forecast.npy"), expected, atol=255 * 2e-5)
    np.save(tmp_path / "frames.npy", make_example()[:, :20, :30])  # cut to 20 x 28
    page.set_input_files("#files", tmp_path / "frames.npy")
    page.wait_for_function("document.querySelector('#status').textContent.includes('20 x 28')")
    page.set_input_files("#files", {"name": "no.npy", "mimeType": "application/octet-stream", "buffer": b"nothing"})
    page.wait_for_selector("#status.wrong")
    before = page.inner_text("#status")
    box = page.locator("#view").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 120, steps=8)
    page.wait_for_timeout(300)
    page.mouse.up()
    page.wait_for_function("text => document.querySelector('#status').textContent !== text", arg=before)
    assert page.locator("#past button").count() == 5
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window(opened: Any, page_file: Path, width: int, scheme: str) -> None:
    page = opened.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(page_file.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=120_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 27)")
    page.close()
