"""The pages in a real browser: no error, nothing fetched, slider, keys and buttons move the frames."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from framecast.evaluation.comparison import compare_runs
from framecast.report import write_report
from framecast.report.comparison_page import write_comparison

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
WIDTHS = (1280, 400)


@pytest.fixture(scope="module")
def pages(runs, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    report = write_report(runs["conv"], out=folder / "report.html", quiet=True, device="cpu").page
    found = compare_runs([runs["conv"], runs["conv-1"], runs["pred"]], device="cpu", quiet=True)
    return {"report": report, "comparison": write_comparison(found, folder / "compare")}


def prefer(browser, **features: str) -> None:
    """Ask for a colour scheme, or less motion, as a reader's settings do."""
    media = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})


@pytest.fixture(params=["report", "comparison"])
def page(request, browser, pages):
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.set_window_size(1280, 900)
    prefer(browser, reduced_motion="reduce")
    browser.get(pages[request.param].as_uri())
    return browser


def one(page, selector: str):
    return page.find_element("css selector", selector)


def shift(page, film: int = 0) -> float:
    """How many frames the picture of a film has been moved to the left."""
    script = """
        const films = document.querySelectorAll(".films:not([hidden]) .film");
        const view = films[arguments[0]].querySelector(".window"), picture = view.firstElementChild;
        return (view.getBoundingClientRect().left - picture.getBoundingClientRect().left) / view.clientWidth;
    """
    return float(page.execute_script(script, film))


def press(page, key: str) -> None:
    one(page, ".lead").send_keys(key)


def test_nothing_is_wrong_and_nothing_is_fetched(browser, pages) -> None:
    for path in pages.values():
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(path.as_uri())
        assert browser.get_log("browser") == []
        asked = [
            entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]
        ]
        assert asked
        assert not [message for message in asked if '"url":"http' in message]


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_its_window(page, width: int, scheme: str, tmp_path: Path) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    prefer(page, color_scheme=scheme, reduced_motion="reduce")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 27)")
    taken = base64.b64decode(page.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})["data"])
    (tmp_path / f"{scheme}-{width}.png").write_bytes(taken)
    assert len(taken) > 20_000


def test_keys_and_slider_move_the_frames(page) -> None:
    from selenium.webdriver.common.keys import Keys

    assert shift(page) == pytest.approx(3, abs=0.02)  # three frames of input, and the first of the forecast is shown
    assert one(page, ".now").text == "forecast, frame +1"
    press(page, Keys.ARROW_RIGHT)
    assert shift(page) == pytest.approx(4, abs=0.02)
    assert shift(page, 1) == pytest.approx(1, abs=0.02)
    press(page, Keys.HOME)
    assert shift(page) == pytest.approx(0, abs=0.02)
    assert one(page, ".now").text == "input, frame -2"
    assert one(page, ".lead").get_attribute("aria-valuetext") == "input, frame -2"
    assert len(page.find_elements("css selector", ".films:not([hidden]) .waiting")) >= 2
    press(page, Keys.END)
    assert shift(page) == pytest.approx(6, abs=0.02)
    page.execute_script("const s = document.querySelector('.lead'); s.value = 2; s.dispatchEvent(new Event('input'))")
    assert shift(page) == pytest.approx(4, abs=0.02)


@pytest.mark.slow
def test_play_and_stop(page) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    before = shift(page)
    press(page, " ")
    assert one(page, ".play").text == "Stop"
    WebDriverWait(page, 10).until(lambda page: abs(shift(page) - before) > 0.5)
    one(page, ".play").click()
    assert one(page, ".play").get_attribute("aria-pressed") == "false"
    still = shift(page)
    page.execute_async_script("setTimeout(arguments[0], 600)")
    assert shift(page) == still


def test_it_plays_by_itself_unless_less_motion_is_asked_for(browser, pages) -> None:
    prefer(browser, reduced_motion="no-preference")
    browser.get(pages["report"].as_uri())
    assert one(browser, ".play").text == "Stop"
    prefer(browser, reduced_motion="reduce")
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert one(browser, ".play").text == "Play"


def test_values_stand_beside_the_pointer(page) -> None:
    from selenium.webdriver import ActionChains

    chart = one(page, "#scores .chart")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    ActionChains(page).move_to_element_with_offset(chart, -chart.size["width"] // 2 + 60, 0).perform()
    tip = one(page, "#scores .tip")
    lines = json.loads(chart.get_attribute("data-lines"))["lines"]
    assert tip.text.splitlines() == ["lead time, frames 1", *(f"{line['name']} {line['y'][0]}" for line in lines)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_from_reading(page, axe: str, scheme: str) -> None:
    prefer(page, color_scheme=scheme, reduced_motion="reduce")
    page.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
    page.execute_script(axe)
    found = page.execute_async_script("axe.run({preload: false}).then(found => arguments[0](found.violations))")
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"][:3]]) for one in serious]


def test_no_chart_stands_alone_in_the_last_row(page) -> None:
    script = """
        return [...document.querySelectorAll(".figures")].filter(grid => grid.offsetParent).map(grid => {
            const tops = [...grid.children].map(figure => Math.round(figure.getBoundingClientRect().top));
            return [tops.length, tops.filter(top => top === Math.max(...tops)).length];
        });
    """
    rows = page.execute_script(script)
    assert rows
    assert all(last > 1 or count == 1 for count, last in rows), rows


def test_samples_are_chosen(page) -> None:
    buttons = page.find_elements("css selector", ".choose")
    buttons[2].click()
    shown = page.find_elements("css selector", ".films")
    assert [one.is_displayed() for one in shown] == [place == 2 for place in range(len(buttons))]
    assert [one.get_attribute("aria-pressed") for one in buttons].index("true") == 2


@pytest.mark.slow
def test_folded_parts_are_printed(page) -> None:
    closed = len(page.find_elements("css selector", "details:not([open])"))
    assert closed >= 1
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.find_elements("css selector", "details:not([open])") == []
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(page.find_elements("css selector", "details:not([open])")) == closed
    assert len(base64.b64decode(page.print_page())) > 20_000
