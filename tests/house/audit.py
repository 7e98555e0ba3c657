"""Asks for known vulnerabilities of what requirements.lock names; says why where it cannot.

python tests/house/audit.py              as `make check` calls it: without the network, so it only says how to ask
python tests/house/audit.py --online     pip-audit, which asks pypi.org for each package
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.lock"


def find_reason(words: list[str]) -> str | None:
    """Find out why nothing can be asked; None where it can."""
    if "--online" not in words:
        return "pip-audit has no data offline, and checks use no network; with it: make audit"
    if importlib.util.find_spec("pip_audit") is None:
        return "pip-audit is not installed: pip install pip-audit"
    return None


def main() -> None:
    """Audit, or say why not."""
    reason = find_reason(sys.argv[1:])
    if reason is not None:
        print(f"dependencies not audited: {reason}")
        return
    words = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "-r", str(LOCK)]
    sys.exit(subprocess.run(words, check=False).returncode)


if __name__ == "__main__":
    main()
