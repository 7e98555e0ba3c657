"""Adds the keys of new networks to state_keys.json; those that stand there are never touched."""

import json
from pathlib import Path

from tests.contract.networks import ALL, network

path = Path(__file__).parent / "state_keys.json"
frozen = json.loads(path.read_text()) if path.exists() else {}
for name in ALL:
    frozen.setdefault(name, {key: list(value.shape) for key, value in network(name).state_dict().items()})
path.write_text(json.dumps(frozen, indent=0) + "\n")
