"""Protocols of published benchmarks: test windows, sizes, metrics, and the scores that were published with them.

Each is a YAML file here, read into a frozen `Protocol`; `open_protocol` opens the test windows of a user's copy of its
data. `framecast protocol NAME RUN --data DIR` scores a model on them.
"""

from framecast.protocols.definition import Column, Protocol, PublishedTable, find_protocol, list_protocols
from framecast.protocols.window_source import WindowSource, open_protocol

__all__ = [
    "Column",
    "Protocol",
    "PublishedTable",
    "WindowSource",
    "find_protocol",
    "list_protocols",
    "open_protocol",
]
