"""Compile the native library with whatever C compiler is here: `python build.py` beside the sources.

Used by the package's own build (hatch_build.py), so it needs nothing but the standard library. There is one object per
instruction set; which one runs is decided when the library is loaded.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY = HERE / ("libframecast.dylib" if sys.platform == "darwin" else "libframecast.so")
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
PORTABLE = {"portable": ("-DWIDTH=4",)}
X86 = {
    **PORTABLE,
    "avx2": ("-DWIDTH=8", "-mavx2", "-mfma"),
    "avx512": ("-DWIDTH=16", "-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma"),
}


class NoCompiler(Exception):
    """No C compiler is here, or it cannot compile the kernels; the message says what it said."""


def build(target: Path = LIBRARY) -> Path:
    """Compile and link the library.

    The library is linked to no OpenMP: at run time it takes torch's.

    Raises:
        NoCompiler: nothing was built, and a library that was there before is untouched.
    """
    compiler = _compiler()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / target.name
        for openmp in (("-fopenmp",), ()):
            try:
                _compile(compiler, made, openmp)
                break
            except NoCompiler:
                if not openmp:
                    raise
        beside = target.with_suffix(".new")
        shutil.copy2(made, beside)
        os.replace(beside, target)
    return target


def _compiler() -> list[str]:
    named = os.environ.get("CC") or next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
    if not named or shutil.which(named.split()[0]) is None or sys.platform == "win32":
        raise NoCompiler(f"no C compiler found ({named or 'cc, gcc, clang'})")
    return named.split()


def _compile(compiler: list[str], made: Path, openmp: tuple[str, ...]) -> None:
    x86 = platform.machine().lower() in ("x86_64", "amd64") and sys.maxsize > 2**32
    objects = [made.with_suffix(".main.o")]
    define = ("-DFC_X86",) if x86 else ()
    jobs = [[*compiler, *FLAGS, *openmp, *define, "-c", "framecast.c", "-o", str(objects[0])]]
    for name, flags in (X86 if x86 else PORTABLE).items():
        objects.append(made.with_suffix(f".{name}.o"))
        jobs.append([*compiler, *FLAGS, *openmp, *flags, f"-DISA={name}", "-c", "isa.c", "-o", str(objects[-1])])
    processes = [subprocess.Popen(job, cwd=HERE, stderr=subprocess.PIPE, text=True) for job in jobs]
    said = [process.communicate()[1] for process in processes]
    if any(process.returncode for process in processes):
        raise NoCompiler("the compiler failed:\n" + "".join(said)[-2000:])
    loose = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
    link = [*compiler, "-shared", *loose, *map(str, objects), "-o", str(made)]
    linked = subprocess.run(link, stderr=subprocess.PIPE, text=True, check=False)
    if linked.returncode:
        raise NoCompiler("the linker failed:\n" + linked.stderr[-2000:])


def wheel_tag() -> str:
    """Tag of a wheel that holds the library: any Python, this platform."""
    return f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


if __name__ == "__main__":
    try:
        print(build())
    except NoCompiler as problem:
        sys.exit(str(problem))
