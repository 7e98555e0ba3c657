"""What only Unix has is guarded: without it framecast is imported, trains, forecasts and scores, by direct kernels."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.portability import MODULES, NAMES, find_faults

SOURCE = Path(__file__).parents[2] / "src" / "framecast"

IMPORT_ALL = """
import builtins, importlib, pkgutil, types
import framecast

UNIX, NAMES = {modules!r}, {names!r}
found = builtins.__import__

def guarded(name, globals=None, *rest, **options):
    importer = (globals or {{}}).get("__name__", "")
    if name in UNIX and importer.startswith("framecast"):
        raise ImportError(f"{{importer}} imports {{name}}")
    return found(name, globals, *rest, **options)

builtins.__import__ = guarded
modules = [info.name for info in pkgutil.walk_packages(framecast.__path__, "framecast.")]
modules = [name for name in modules if not name.endswith(("__main__", "native.libframecast", "native.build"))]
modules = [importlib.import_module(name) for name in modules]
"""
HIDE = """
import warnings
warnings.simplefilter("ignore")

class Windows(types.ModuleType):  # a module without the names that only Unix has
    def __init__(self, module):
        super().__init__(module.__name__)
        self.module = module
    def __getattr__(self, name):
        if name in NAMES[self.module.__name__]:
            raise AttributeError(f"module {self.module.__name__!r} has no attribute {name!r}")
        return getattr(self.module, name)

hidden = 0
for module in modules:
    for name in NAMES:
        if isinstance(vars(module).get(name), types.ModuleType):
            setattr(module, name, Windows(vars(module)[name]))
            hidden += 1
from pathlib import Path
from framecast import files, memory_usage
from framecast.kernels import native_library
files.WINDOWS = True
nothing = Path("nothing")
native_library.NATIVE = memory_usage.GROUP_ROOT = nothing
memory_usage.STATUS = memory_usage.MEMINFO = memory_usage.GROUPS = nothing
"""
TRAIN = """
import numpy as np
run = framecast.train("convlstm", "moving-mnist", "runs/tiny", steps=2, hidden=[4], patch=8, batch_size=2, context=3,
                      horizon=2, moving_mnist={"size": 32}, sequences=2, quiet=True)
framecast.resume("runs/tiny", quiet=True)
frames = np.random.default_rng(0).random((3, 32, 32), np.float32)
assert run.load().predict(frames, horizon=2).shape == (2, 32, 32)
assert run.evaluate(limit=2).metrics
print(len(modules), hidden, framecast.kernels.describe_kernels())
"""


def test_what_only_unix_has_is_not_needed_and_imports_do_not_warn(tmp_path: Path) -> None:
    code = IMPORT_ALL.format(modules=set(MODULES), names={name: set(names) for name, names in NAMES.items()})
    words = [sys.executable, "-W", "error", "-c", code + HIDE + TRAIN]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    imported, hidden, kernels = finished.stdout.split(maxsplit=2)
    assert int(imported) > 150
    assert int(hidden) > 5
    assert kernels.startswith("direct")
    assert (tmp_path / "runs" / "tiny" / "model" / "model.json").is_file()


def test_what_only_unix_has_is_guarded() -> None:
    faults = [
        f"{path.relative_to(SOURCE)}:{line}: {name}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line, name in find_faults(ast.parse(path.read_text("utf-8")))
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import fcntl", ["fcntl"]),
        ("def f():\n    from resource import getrusage", ["resource"]),
        ("from signal import SIGKILL", ["signal.SIGKILL"]),
        ("def f():\n    return os.fork()", ["os.fork"]),
        ("x = mmap.MAP_PRIVATE", ["mmap.MAP_PRIVATE"]),
        ("try:\n    import pwd\nexcept OSError:\n    pass", ["pwd"]),
        ("def f():\n    if WINDOWS:\n        x = 1\n    return os.getuid()", ["os.getuid"]),
        ("x = path.read_text()", ["read_text without an encoding"]),
        ("try:\n    import pwd\nexcept ImportError:\n    pass", []),
        ("def f():\n    if WINDOWS:\n        return 0\n    import fcntl\n    return os.O_DIRECTORY", []),
        ("x = os.getuid() if False else 0\nif hasattr(os, 'fork'):\n    os.fork()", ["os.getuid"]),
        ("signal.SIGTERM, os.kill, path.read_text('utf-8')", []),
    ],
)
def test_a_fault_is_found(text: str, names: list[str]) -> None:
    assert [name for _, name in find_faults(ast.parse(text))] == names
