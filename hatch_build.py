"""Builds the native kernels with the package, where a C compiler is; without one the package is pure Python."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path(__file__).parent / "src" / "framecast" / "kernels" / "native"


class NativeKernels(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles into the source tree, so that wheels and editable installs are alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a wheel is made."""
        if self.target_name != "wheel":
            return
        spec = importlib.util.spec_from_file_location("native_build", NATIVE / "build.py")
        assert spec is not None
        assert spec.loader is not None
        native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(native)
        try:
            library = native.build()
        except native.NoCompiler as problem:
            print(f"framecast is installed without its fast kernels: {problem}", file=sys.stderr)
            return
        build_data["artifacts"].append(f"/{library.relative_to(self.root)}")
        build_data["pure_python"] = False
        build_data["tag"] = native.name_wheel_tag(library)
