"""Section: pictures of the studies that were made of a run."""

from __future__ import annotations

import base64
from pathlib import Path

from framecast.report.blocks import Block, Picture, Section, Text

KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp"}
LIMIT = 2_500_000
"""Bytes of pictures that are taken into a page; the others are named."""


def studies_section(folder: Path, limit: int = LIMIT) -> Section | None:
    """All pictures under `study/` of a run, as they are; None if there are none.

    Args:
        folder: of the run.
        limit: bytes.
    """
    paths = sorted(path for path in (folder / "study").rglob("*") if path.suffix in KINDS)
    blocks: list[Block] = []
    left = []
    for path in paths:
        name = path.relative_to(folder / "study").as_posix()
        if path.stat().st_size > limit:
            left.append(name)
            continue
        limit -= path.stat().st_size
        code = base64.b64encode(path.read_bytes()).decode()
        blocks.append(Picture(Path(name).with_suffix("").as_posix(), f"data:{KINDS[path.suffix]};base64,{code}"))
    if left:
        blocks.append(Text(f"Too large for this page, see the run's folder study: {', '.join(left)}"))
    return Section("study", "Studies", blocks) if blocks else None
