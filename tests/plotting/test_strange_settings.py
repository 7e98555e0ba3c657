"""A matplotlibrc in the current folder, which may be a stranger's, changes no figure and is not read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import framecast

HOUSE = Path(framecast.__file__).parent
PROGRAM = """
from framecast.plotting import figure
import matplotlib
print(matplotlib.rcParams["lines.linewidth"])
"""


def test_settings_of_a_stranger(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 77\n")
    environment = {**os.environ, "PYTHONPATH": str(HOUSE.parent), "MPLCONFIGDIR": str(tmp_path / "own")}
    words = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "1.5\n"


def test_whoever_imports_matplotlib_has_plotting_imported_before() -> None:
    for path in HOUSE.rglob("*.py"):
        package = path.relative_to(HOUSE).parts[0]
        if package != "plotting" and re.search(r"^\s*(?:from|import) matplotlib", path.read_text(), re.MULTILINE):
            imports = re.findall(r"^(?:from|import) (\S+)", (HOUSE / package / "__init__.py").read_text(), re.MULTILINE)
            assert next(name for name in imports if name.startswith("framecast")) == "framecast.plotting", path
