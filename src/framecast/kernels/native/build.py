"""Build of the native library with the C compiler of this machine: `python build.py` in its folder.

Used by the package's own build (hatch_build.py), so it needs nothing but the standard library. There is one object per
instruction set; which one runs is decided when the library is loaded.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY = HERE / ("libframecast.dylib" if sys.platform == "darwin" else "libframecast.so")
# Not -ffast-math: it would cancel the rounding to integers in expm1_, and need not keep NaN.
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
PORTABLE = {"portable": ("-DWIDTH=4",)}
X86 = {
    **PORTABLE,
    "avx2": ("-DWIDTH=8", "-mavx2", "-mfma"),
    "avx512": ("-DWIDTH=16", "-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma"),
}


class NoCompiler(Exception):
    """No C compiler is here, or it cannot compile the kernels; the message holds its output."""


def build(target: Path = LIBRARY) -> Path:
    """Compile and link the library.

    The library is linked to no OpenMP: at run time it takes torch's.

    Raises:
        NoCompiler: nothing was built, and a library that was there before is untouched.
    """
    compiler = _find_compiler()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / target.name
        for openmp in (("-fopenmp",), ()):
            try:
                _compile(compiler, library, openmp)
                break
            except OSError as problem:
                raise NoCompiler(f"the compiler does not run: {problem}") from problem
            except NoCompiler:
                if not openmp:
                    raise
        copy = target.with_name(f".building-{target.name}")
        try:
            # Replaced at once: a process that has loaded the old library keeps it, one that loads never sees half a file.
            shutil.copy2(library, copy)
            os.replace(copy, target)
        except OSError as problem:
            raise NoCompiler(f"the library cannot be put into place: {problem}") from problem
    return target


def _find_compiler() -> list[str]:
    """Find the C compiler: the one of CC, else cc, gcc or clang; as a command."""
    named = os.environ.get("CC") or next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
    words = [named] if shutil.which(named) else shlex.split(named)  # a path with spaces, or a compiler with flags
    if not words or shutil.which(words[0]) is None or sys.platform == "win32":
        raise NoCompiler(f"no C compiler found ({named or 'cc, gcc, clang'})")
    return words


def _compile(compiler: list[str], library: Path, openmp: tuple[str, ...]) -> None:
    x86 = platform.machine().lower() in ("x86_64", "amd64") and sys.maxsize > 2**32
    sets = X86 if x86 else PORTABLE
    jobs = {}
    for name, flags in sets.items():
        command = [
            *compiler,
            *FLAGS,
            *openmp,
            *flags,
            f"-DISA={name}",
            "-c",
            "isa.c",
            "-o",
            _name_object(library, name),
        ]
        jobs[name] = subprocess.Popen(command, cwd=HERE, stderr=subprocess.PIPE, text=True)
    errors = {name: process.communicate()[1] for name, process in jobs.items()}
    good = [name for name, process in jobs.items() if process.returncode == 0]
    if "portable" not in good:
        raise NoCompiler("the compiler failed:\n" + errors["portable"][-2000:])
    # An old compiler may not know the newest instructions; the others are none the worse for it.
    define = [f"-DFC_{name.upper()}" for name in good]
    main = [*compiler, *FLAGS, *openmp, *define, "-c", "framecast.c", "-o", _name_object(library, "main")]
    loose = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
    link = [
        *compiler,
        "-shared",
        *loose,
        *(_name_object(library, name) for name in (*good, "main")),
        "-o",
        str(library),
    ]
    for command in (main, link):
        result = subprocess.run(command, cwd=HERE, stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode:
            raise NoCompiler("the compiler failed:\n" + result.stderr[-2000:])


def _name_object(library: Path, name: str) -> str:
    return str(library.with_suffix(f".{name}.o"))


def name_wheel_tag(library: Path = LIBRARY) -> str:
    """Name the tag of a wheel that holds the library: any Python, and the systems on which it loads.

    On Linux that is every one whose glibc has the versions of symbols that the library asks for (PEP 600), which is what
    pip compares. It is linked to nothing but glibc, and chooses its instructions when it is loaded.
    """
    platform_tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    versions = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", library.read_bytes())
    if platform_tag.startswith("linux_") and versions:  # none with another C library, as musl
        major, minor = max((int(major), int(minor)) for major, minor in versions)
        platform_tag = platform_tag.replace("linux", f"manylinux_{major}_{minor}", 1)
    return f"py3-none-{platform_tag}"


if __name__ == "__main__":
    try:
        print(build())
    except NoCompiler as problem:
        sys.exit(str(problem))
