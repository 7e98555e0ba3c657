"""With the native library and without it."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from framecast import kernels
from framecast.kernels import native
from framecast.kernels import native_library as module
from framecast.models import PredRNN
from framecast.nn.rollout import rollout

BUILD = Path(native.__file__).parent / "build.py"


@pytest.fixture
def fresh() -> Iterator[None]:
    module.load_library.cache_clear()
    yield
    module.load_library.cache_clear()


def prediction() -> torch.Tensor:
    torch.manual_seed(0)
    net = PredRNN(hidden=(8, 8), kernel_size=5).build(3, 8, 8)
    with torch.no_grad():
        return rollout(net, torch.rand(2, 3, 3, 8, 8), 4).frames


def test_without_the_library_everything_is_direct(fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.set_precision("highest")
    expected = prediction()
    kernels.set_precision("auto")
    monkeypatch.setattr(module, "NATIVE", tmp_path)
    assert torch.equal(prediction(), expected)
    assert "not built" in kernels.describe_kernels()
    assert module.use_instructions() is None


def test_a_broken_library_is_not_used(fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libframecast.so").write_text("not a library")
    monkeypatch.setattr(module, "NATIVE", tmp_path)
    prediction()
    assert "does not load here" in kernels.describe_kernels()


def test_a_library_of_another_version_is_not_used(fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if module.load_library().handle is None:
        pytest.skip(module.load_library().reason)
    module.load_library.cache_clear()
    monkeypatch.setattr(module, "VERSION", -1)
    assert "of another version" in kernels.describe_kernels()


def test_the_fast_kernels_are_in_use_where_they_are() -> None:
    """The package's own build made them, wherever a compiler is."""
    compilers = [os.environ["CC"]] if "CC" in os.environ else ["cc", "gcc", "clang"]
    if not any(map(shutil.which, compilers)) and module.load_library().handle is None:
        pytest.skip(module.load_library().reason)
    assert module.load_library().handle is not None, module.load_library().reason
    kernels.set_precision("highest")
    direct = prediction()
    kernels.set_precision("auto")
    fast = prediction()
    assert not torch.equal(fast, direct)
    torch.testing.assert_close(fast, direct, rtol=1e-4, atol=1e-6)
    assert kernels.describe_kernels().startswith("fast (Winograd, ")


def test_what_is_being_built_is_not_loaded(fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".building-libframecast.so").write_text("half of it")
    (tmp_path / "libframecast.new").write_text("half of it")
    monkeypatch.setattr(module, "NATIVE", tmp_path)
    assert "not built" in kernels.describe_kernels()


def test_describing_the_kernels_changes_nothing() -> None:
    if module.load_library().handle is None:
        pytest.skip(module.load_library().reason)
    try:
        module.use_instructions("portable")
        assert "portable" in kernels.describe_kernels()
        assert "portable" in kernels.describe_kernels()
    finally:
        module.use_instructions()


def test_a_compiler_in_a_folder_with_a_space(tmp_path: Path) -> None:
    real = shutil.which("cc") or shutil.which("gcc")
    if real is None:
        pytest.skip("no C compiler")
    folder = tmp_path / "my tools"
    folder.mkdir()
    (folder / "cc").write_text(f'#!/bin/sh\nexec {real} "$@" -O0\n')  # quickly
    (folder / "cc").chmod(0o755)
    copy = tmp_path / "native"
    shutil.copytree(BUILD.parent, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    environment = {**os.environ, "CC": str(folder / "cc")}
    words = [sys.executable, str(copy / "build.py")]
    result = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (copy / "libframecast.so").stat().st_size > 10_000


def test_an_old_compiler_makes_the_instructions_that_it_knows(tmp_path: Path) -> None:
    real = shutil.which("cc") or shutil.which("gcc")
    if real is None:
        pytest.skip("no C compiler")
    old = tmp_path / "cc"
    old.write_text(
        f'#!/bin/sh\ncase "$*" in *avx512*) echo "unknown option" >&2; exit 1;; esac\nexec {real} "$@" -O0\n'
    )
    old.chmod(0o755)
    copy = tmp_path / "native"
    shutil.copytree(BUILD.parent, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    environment = {**os.environ, "CC": str(old)}
    result = subprocess.run([sys.executable, str(copy / "build.py")], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    made = ctypes.CDLL(str(copy / "libframecast.so"))
    assert made.fc_best() < 2


def test_a_compiler_that_does_not_run_is_one_clear_line(tmp_path: Path) -> None:
    wrong = tmp_path / "cc"
    wrong.write_bytes(b"\x00\x01")
    wrong.chmod(0o755)
    environment = {**os.environ, "CC": str(wrong)}
    result = subprocess.run([sys.executable, str(BUILD)], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "does not run" in result.stderr
    assert "Traceback" not in result.stderr


def test_no_compiler_is_one_clear_line(tmp_path: Path) -> None:
    words = [sys.executable, str(BUILD)]
    environment = {**os.environ, "CC": str(tmp_path / "no-such-compiler")}
    result = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "no C compiler found" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_failing_compiler_leaves_the_old_library(tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in BUILD.parent.glob("libframecast*")}
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    compiler.chmod(0o755)
    environment = {**os.environ, "CC": str(compiler)}
    result = subprocess.run([sys.executable, str(BUILD)], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "broken" in result.stderr
    assert {path: path.stat().st_mtime_ns for path in BUILD.parent.glob("libframecast*")} == before


@pytest.mark.parametrize("wrong", ["fast", "", "HIGH"])
def test_unknown_words_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="precision"):
        kernels.set_precision(wrong)
    with pytest.raises(ValueError, match="memory"):
        kernels.set_memory(wrong + "est")
