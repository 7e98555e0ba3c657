"""Pictures of the map page in headless Chromium: desk (1280 pixels), phone (400) and dark.

python docs/figures/page.py http://127.0.0.1:8000/ docs
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver

VIEWS = {"desk": (1280, 800, "light"), "dark": (1280, 800, "dark"), "phone": (400, 800, "light")}
LONGEST = 300.0
"""Seconds for a page."""
IS_DRAWN = """
    const picture = document.querySelector(".leaflet-image-layer");
    return picture?.complete && picture.naturalWidth > 0 && document.querySelectorAll("#map path").length > 0;
"""


def draw(url: str, folder: Path) -> None:
    """Draw the page in each view, and print what it said on its console."""
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    browser.set_page_load_timeout(LONGEST)
    try:
        for name, (width, height, scheme) in VIEWS.items():
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            browser.get(url)
            end = time.monotonic() + LONGEST
            while not browser.execute_script(IS_DRAWN) and time.monotonic() < end:
                time.sleep(0.2)
            time.sleep(1.0)  # the map fades in
            shot = base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])
            Image.open(io.BytesIO(shot)).convert("RGB").save(folder / f"serving-{name}.webp", quality=82)
            print(name, browser.get_log("browser"))
    finally:
        browser.quit()


if __name__ == "__main__":
    draw(sys.argv[1], Path(sys.argv[2]))
