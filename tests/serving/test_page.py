"""The map page in a real browser: a clean console, no other host, time line, play, curve, probability, Chinese, keys."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
import xarray
from tests.fixtures.served import RealServer

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
ALLOWED = ("data:", "blob:", "chrome", "about:", "devtools:")


@pytest.fixture(scope="module")
def members(knmi: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The forecast of the radar with three members, which differ."""
    out = tmp_path_factory.mktemp("members")
    latest = json.loads((knmi / "latest.json").read_text())
    latest.pop("digest")
    with xarray.open_dataset(knmi / latest["files"][0]) as file:
        name = next(name for name in file.data_vars if file[name].ndim == 3)
        attributes = file[name].attrs
        made = file.assign({name: xarray.concat([file[name], 0.5 * file[name], 2 * file[name]], "realization")})
        made[name].attrs = attributes
        made.to_netcdf(out / latest["files"][0], engine="h5netcdf")
    from framecast.json_files import write_json

    observed = out / ".watch" / "observed"
    observed.mkdir(parents=True)
    for path in (knmi / ".watch" / "observed").iterdir():
        (observed / path.name).write_bytes(path.read_bytes())
    leads = [{"lead_minutes": 5.0, "forecasts": 8, "better": {"extrapolation": 0.75, "persistence": None}}]
    write_json(out / "skill.json", {"leads": leads})
    write_json(out / "latest.json", {**latest, "members": 3})
    return out


@pytest.fixture(scope="module")
def server(members: Path):
    real = RealServer("extrapolation", "--out", str(members))
    real.wait("stale")
    yield real
    real.stop(signal.SIGKILL)


def wait_for(browser, script: str, seconds: float = 60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := browser.execute_script(f"return {script}"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"never: {script}; {browser.get_log('browser')}")


def open_page(browser, server: RealServer, language: str = "en", width: int = 1280) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(f"{server.url}/?lang={language}")
    wait_for(browser, "document.querySelector('.leaflet-image-layer')?.naturalWidth > 0")


def shown(browser) -> int:
    return int(browser.execute_script("return document.getElementById('frame').value"))


def click_map(browser, kind: str) -> None:
    script = """
        const r = document.getElementById("map").getBoundingClientRect();
        const x = r.left + r.width / 2, y = r.top + r.height / 2;
        for (const type of arguments[0].split(" "))
            document.elementFromPoint(x, y).dispatchEvent(
                new MouseEvent(type, {clientX: x, clientY: y, bubbles: true, view: window}));
    """
    browser.execute_script(script, kind)


def test_nothing_is_wrong_and_no_other_host_is_asked(browser, server: RealServer) -> None:
    open_page(browser, server)
    wait_for(browser, "document.querySelectorAll('.leaflet-overlay-pane path').length > 0")
    assert browser.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    assert any(url.endswith("map.json") for url in urls)
    assert not [url for url in urls if not url.startswith((server.url, *ALLOWED))]


def test_the_line_of_time_plays_and_takes_keys(browser, server: RealServer) -> None:
    open_page(browser, server)
    assert shown(browser) == 3, "the first predicted frame, after three observed ones"
    assert "forecast" in browser.find_element("id", "time").text
    assert float(browser.execute_script("return parseFloat(document.getElementById('past').style.width)")) == 50.0
    picture = browser.execute_script("return document.querySelector('.leaflet-image-layer').src")
    body = browser.find_element("tag name", "body")
    body.send_keys("\ue012")
    assert shown(browser) == 2
    assert "observed" in browser.find_element("id", "time").text
    assert browser.execute_script("return document.querySelector('.leaflet-image-layer').src") != picture
    body.send_keys(" ")
    wait_for(browser, "document.getElementById('frame').value != 2")
    assert browser.find_element("id", "play").get_attribute("aria-pressed") == "true"
    browser.find_element("id", "play").click()
    at = shown(browser)
    time.sleep(0.8)
    assert shown(browser) == at


def test_values_curve_and_probability(browser, server: RealServer) -> None:
    open_page(browser, server)
    click_map(browser, "mousemove")
    wait_for(browser, "document.getElementById('under').textContent.length > 0")
    click_map(browser, "mousedown mouseup click")
    wait_for(browser, "document.querySelector('#curve svg .predicted')")
    label = browser.find_element("css selector", "#curve svg").get_attribute("aria-label")
    assert label.count(":") > 3
    select = browser.find_element("id", "layer")
    assert len(select.find_elements("tag name", "option")) > 5
    level = select.find_elements("tag name", "option")[3].get_attribute("value")
    script = "const [s, value] = arguments; s.value = value; s.dispatchEvent(new Event('change'))"
    browser.execute_script(script, select, level)
    wait_for(browser, f"document.querySelector('.leaflet-image-layer').src.includes('threshold={level}')")
    assert browser.find_element("id", "legend").text.split() == [f"{n}0%" for n in range(1, 10)]
    script = "const o = document.getElementById('opacity'); o.value = 0.4; o.dispatchEvent(new Event('input'))"
    browser.execute_script(script)
    assert browser.execute_script("return document.querySelector('.leaflet-image-layer').style.opacity") == "0.4"
    assert browser.get_log("browser") == []


def test_old_data_are_said_in_large_letters_and_skill_is_told(browser, server: RealServer) -> None:
    open_page(browser, server)
    age = browser.find_element("id", "age")
    assert age.text.startswith("Old data: ")
    assert float(age.value_of_css_property("font-size").removesuffix("px")) > 24
    assert browser.find_element("id", "skill").text == (
        "Better than extrapolation in 75 % of 8 forecasts that met the truth."
    )


def test_chinese_and_back(browser, server: RealServer) -> None:
    open_page(browser, server, "zh")
    assert browser.execute_script("return document.documentElement.lang") == "zh-CN"
    assert "资料过旧" in browser.find_element("id", "age").text
    words = browser.execute_script("return document.body.innerText")
    for english in ("observed", "forecast", "Opacity", "Show", "Better"):
        assert english not in words
    browser.find_element("css selector", "button[data-language=en]").click()
    assert "Old data" in browser.find_element("id", "age").text


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_can_be_read_by_all(browser, server: RealServer, axe: str, width: int, scheme: str) -> None:
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    open_page(browser, server, width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_script(axe)
    found = browser.execute_async_script("const end = arguments[0]; axe.run().then(r => end(r.violations))")
    assert [(one["id"], [node["html"][:90] for node in one["nodes"]]) for one in found] == []


def test_the_sign_in_takes_the_token(browser, members: Path) -> None:
    real = RealServer("extrapolation", "--out", str(members), environment={"FRAMECAST_TOKEN": "secret-of-tests"})
    try:
        real.wait("stale")
        browser.get(real.url)
        for given in ("wrong-one", "secret-of-tests"):
            field = browser.find_element("id", "token")
            field.send_keys(given)
            field.submit()
            time.sleep(0.5)
        wait_for(browser, "document.querySelector('.leaflet-image-layer')?.naturalWidth > 0")
    finally:
        real.stop(signal.SIGKILL)
