"""One thread for each test process and those that it starts: more stand in each other's way and change the last bits."""

import importlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from tests.fixtures.commands import unchecked

from framecast import kernels

CHECKED = {"contract", "forecasting", "golden", "metrics", "motion", "transforms"}
"""Folders whose fast tests look at the shapes of all arrays."""
AXE = "4.14.1"
"""Version of axe-core, which looks for what keeps people from reading a page."""
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
# A busy machine is slow now and then, so no example is timed.
settings.register_profile("framecast", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("framecast")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests take the time that they take; only fast ones are ended when they hang."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(autouse=True)
def shapes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Shapes are looked at where arrays are what a test is about, and everywhere where slow tests run, too.

    It takes half the time of what commands, pages and trainings do.
    """
    is_whole = request.config.option.markexpr != "not slow"
    room = request.path.relative_to(request.config.rootpath / "tests").parts[0]
    with nullcontext() if is_whole or room in CHECKED else unchecked():
        yield


@pytest.fixture(autouse=True)
def usual_kernels() -> Iterator[None]:
    """No test leaves its arithmetic to the next."""
    yield
    if kernels.get_precision() != "auto":
        kernels.set_precision("auto")
    kernels.set_memory("fast")
    kernels.set_backend(None)
    torch.set_flush_denormal(False)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations write their scores and no pictures, which take most of their time and are looked at elsewhere."""
    target = "framecast.evaluation.suite.EvaluationSuite.write"
    monkeypatch.setattr(target, lambda _, board, folder: board.write(folder / "scores.json"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real one without a window, that keeps what pages say on its console and ask of the network."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not (found and driver):
        pytest.skip("no chromium with chromedriver on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for word in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    failure = importlib.import_module("selenium.common.exceptions").WebDriverException
    try:
        opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        opened.set_page_load_timeout(60)  # five minutes else, for every page of a browser that cannot show one
        opened.set_script_timeout(60)
        opened.get("data:text/html,<title>shown</title>")
    except failure as error:
        pytest.skip(f"{found} does not open a page here: {error}")
    yield opened
    opened.quit()


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, fetched once through npm into pytest's cache."""
    kept = getattr(request.config, "cache", None)  # none where pytest runs without
    cache = tmp_path_factory.mktemp("axe-core") if kept is None else kept.mkdir("axe-core")
    archive = cache / f"axe-core-{AXE}.tgz"
    if not archive.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no npm on the path, which fetches axe-core")
        command = [npm, "pack", "--silent", f"axe-core@{AXE}", "--pack-destination", str(cache)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot fetch axe-core: {done.stderr.strip()[-200:]}")
    with tarfile.open(archive) as packed:
        script = packed.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()
