"""What only Unix has is not imported when a module is: framecast can be imported on Windows."""

import subprocess
import sys

CODE = """
import builtins, importlib, pkgutil

found = builtins.__import__

def guarded(name, globals=None, *rest, **options):
    importer = (globals or {}).get("__name__", "")
    if name in {"fcntl", "grp", "posix", "pwd", "resource", "termios"} and importer.startswith("framecast"):
        raise ImportError(f"{importer} imports {name}")
    return found(name, globals, *rest, **options)

builtins.__import__ = guarded
import framecast

names = [info.name for info in pkgutil.walk_packages(framecast.__path__, "framecast.")]
for name in names:
    if not name.endswith(("__main__", "native.libframecast")):
        importlib.import_module(name)
print(len(names))
"""


def test_no_module_needs_unix_to_be_imported() -> None:
    finished = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr.splitlines()[-1]
    assert int(finished.stdout) > 150
