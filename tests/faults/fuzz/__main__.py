"""Fuzzes readers one after another: python -m tests.faults.fuzz FOLDER SECONDS_OF_EACH [KIND ...]; JSON lines."""

import subprocess
import sys

from tests.data.formats.test_damaged_files import KINDS

folder, seconds, kinds = sys.argv[1], sys.argv[2], sys.argv[3:] or KINDS
codes = []
for kind in kinds:
    words = [sys.executable, "-m", "tests.faults.fuzz.readers", kind, f"{folder}/{kind.replace(' ', '_')}", seconds]
    codes.append(subprocess.run(words, check=False).returncode)
sys.exit(any(codes))
