"""What is built: a wheel for every system, one with kernels where they load, and a source that builds both."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from framecast.kernels.native import build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution, without anything that lies about in a folder where one works."""
    pytest.importorskip("hatchling", reason="the package hatchling is not installed")
    folder = tmp_path_factory.mktemp("sdist")
    build_package(ROOT, "sdist", folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def build_package(folder: Path, kind: str, out: Path, **environment: str) -> list[str]:
    """Build without an environment that is downloaded; torch cannot be imported."""
    code = "import sys; sys.modules['torch'] = None; from hatchling.cli import hatchling; sys.exit(hatchling())"
    words = [sys.executable, "-c", code, "build", "-t", kind, "-d", str(out)]
    path = {"PATH": "/usr/bin:/bin", **environment}
    done = subprocess.run(words, cwd=folder, env=path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [member.name for member in out.iterdir()]


def list_members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


def test_the_wheel_for_every_system(source: Path, tmp_path: Path) -> None:
    build_package(source, "wheel", tmp_path, HATCH_BUILD_NO_HOOKS="true")
    (wheel,) = tmp_path.iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    members = list_members(wheel)
    recipes = {f"framecast/recipes/{path.name}" for path in (ROOT / "src/framecast/recipes").glob("*.yaml")}
    assert len(recipes) > 10
    assert recipes < members
    assert {"framecast/py.typed", "framecast/trained/rain/CARD.md", "framecast/report/template.html"} < members
    assert not [name for name in members if name.endswith((".so", ".dylib")) or "tests/" in name]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the tag is that of Linux")
def test_the_tag_is_that_of_auditwheel(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("auditwheel", reason="the package auditwheel is not installed")
    if not build.LIBRARY.is_file():
        pytest.skip("the kernels are not built here")
    build_package(source, "wheel", tmp_path, HATCH_BUILD_NO_HOOKS="true")
    (pure,) = tmp_path.iterdir()
    tag = build.name_wheel_tag(build.LIBRARY)
    wheel = tmp_path / pure.name.replace("py3-none-any", tag)
    with zipfile.ZipFile(pure) as old, zipfile.ZipFile(wheel, "w") as new:
        place = f"framecast/kernels/native/{build.LIBRARY.name}"
        for name in old.namelist():
            listed = f"{place},,\n".encode() if name.endswith("/RECORD") else b""
            new.writestr(name, old.read(name).replace(b"py3-none-any", tag.encode()) + listed)
        new.write(build.LIBRARY, place)
    words = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert f'"{tag.removeprefix("py3-none-")}"' in " ".join(said.split("The wheel references")[0].split())


def test_the_tag_names_the_newest_version_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "library.so"
    monkeypatch.setattr("sysconfig.get_platform", lambda: "linux-x86_64")
    library.write_bytes(b"\x7fELF\0memcpy\0GLIBC_2.2.5\0GLIBC_2.9\0GLIBC_2.14\0GLIBC_PRIVATE\0libc.so.6\0")
    assert build.name_wheel_tag(library) == "py3-none-manylinux_2_14_x86_64"
    library.write_bytes(b"\x7fELF\0memcpy\0libc.musl-x86_64.so.1\0")
    assert build.name_wheel_tag(library) == "py3-none-linux_x86_64"
    monkeypatch.setattr("sysconfig.get_platform", lambda: "macosx-11.0-arm64")
    assert build.name_wheel_tag(library) == "py3-none-macosx_11_0_arm64"


@pytest.mark.slow
def test_the_wheel_with_kernels(source: Path, tmp_path: Path) -> None:
    build_package(source, "wheel", tmp_path)
    (wheel,) = tmp_path.iterdir()
    if wheel.name.endswith("any.whl"):
        pytest.skip("no C compiler is here")
    assert wheel.name.endswith(build.name_wheel_tag(build.LIBRARY) + ".whl")
    assert f"framecast/kernels/native/{build.LIBRARY.name}" in list_members(wheel)
