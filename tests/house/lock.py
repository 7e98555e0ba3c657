"""Writes requirements.lock: every package of the tests and checks, with its version and the hashes of its files.

python tests/house/lock.py     needs uv and the package registries; see SECURITY.md for its use

torch and what its CUDA builds draw are left out: torch is pinned by constraints.txt, and comes from the index of its CPU
builds, whose hashes are others.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
OF_TORCH = ["torch", "triton", "cuda-bindings", "cuda-pathfinder", "cuda-toolkit"]
OF_TORCH += [f"nvidia-{name}" for name in ("cublas", "cuda-cupti", "cuda-nvrtc", "cuda-runtime", "cudnn-cu13", "cufft")]
OF_TORCH += [f"nvidia-{name}" for name in ("cufile", "curand", "cusolver", "cusparse", "cusparselt-cu13", "nccl-cu13")]
OF_TORCH += [f"nvidia-{name}" for name in ("nvjitlink", "nvshmem-cu13", "nvtx")]
HEAD = "# Made by: python tests/house/lock.py. torch is pinned in constraints.txt; install it first. See SECURITY.md."


def main() -> None:
    """Resolve anew; what is locked stays unless pyproject.toml asks for more."""
    if shutil.which("uv") is None:
        sys.exit("uv is not installed: pip install uv")
    words = [
        "uv",
        "pip",
        "compile",
        "pyproject.toml",
        "--extra",
        "dev",
        "-c",
        "constraints.txt",
        "--python-version",
        "3.11",
    ]
    words += ["--generate-hashes", "--no-header", "--no-annotate", "--quiet", "--output-file", str(LOCK)]
    words += [word for name in OF_TORCH for word in ("--no-emit-package", name)]
    subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    LOCK.write_text(f"{HEAD}\n{LOCK.read_text().split(HEAD)[-1].lstrip()}")


if __name__ == "__main__":
    main()
