"""Section of a report: pictures of a run's studies."""

from __future__ import annotations

import base64
from pathlib import Path

from framecast.report.blocks import Block, Picture, Section, Text

KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp"}
LIMIT = 2_500_000
"""Size of all pictures in a page, bytes, at most; the others are named."""


def make_studies_section(folder: Path, limit: int = LIMIT) -> Section | None:
    """Section with all pictures under `study/` of a run; None if there are none.

    Args:
        folder: of the run.
        limit: size of all pictures, bytes, at most; the others are named.
    """
    paths = sorted(path for path in (folder / "study").rglob("*") if path.suffix in KINDS)
    blocks: list[Block] = []
    omitted = []
    for path in paths:
        name = path.relative_to(folder / "study").as_posix()
        if path.stat().st_size > limit:
            omitted.append(name)
            continue
        limit -= path.stat().st_size
        code = base64.b64encode(path.read_bytes()).decode()
        blocks.append(Picture(Path(name).with_suffix("").as_posix(), f"data:{KINDS[path.suffix]};base64,{code}"))
    if omitted:
        blocks.append(Text(f"Too large for this page, see the run's folder study: {', '.join(omitted)}"))
    return Section("study", "Studies", blocks) if blocks else None
