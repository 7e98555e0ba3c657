"""The lock file names all that the project asks for, in versions that it takes, each with hashes."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.house.audit import find_reason
from tests.house.lock import OF_TORCH

ROOT = Path(__file__).parents[2]
LOCKED = re.compile(r"^([\w.-]+)==(\S+?)(?: ;.*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def list_requirements() -> list[Requirement]:
    """What pyproject.toml asks for, for the tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras, waiting, found = project["optional-dependencies"], [*project["dependencies"], "framecast[dev]"], []
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name == "framecast":
            waiting += [line for extra in requirement.extras for line in extras[extra]]
        else:
            found.append(requirement)
    return found


def test_the_lock_holds_what_is_asked_for() -> None:
    text = (ROOT / "requirements.lock").read_text()
    locked = {canonicalize_name(name): version for name, version, _ in LOCKED.findall(text)}
    assert len(locked) > 100
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert len(lines) == len(locked), "a package without a hash"
    for requirement in list_requirements():
        name = canonicalize_name(requirement.name)
        if name != "torch":
            assert name in locked, f"{name}: python tests/house/lock.py"
            assert requirement.specifier.contains(locked[name]), f"{name}: python tests/house/lock.py"
    assert not locked.keys() & set(OF_TORCH), "torch comes from the index of its CPU builds"


def test_an_audit_without_data_says_so() -> None:
    assert "make audit" in str(find_reason([]))
