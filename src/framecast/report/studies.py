"""Pictures of studies, with captions: section of a run's report, and the page of `framecast study`."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from framecast.formatting import format_number
from framecast.report import page
from framecast.report.blocks import Block, Facts, Folded, Page, Picture, Section, Table, TableCell, Text

KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp"}
LIMIT = 2_500_000
"""Size of all pictures in a report, bytes, at most; the others are named."""
PAGE_LIMIT = 6_500_000
"""Size of all pictures in a page of studies, bytes, at most."""
SYMBOLS = (
    ("L1, L2, ...", "layers of the network, from the bottom, where frames come in, to the top"),
    ("X, H", "frame that a step is fed; hidden state, what a layer hands to the layer above and to its own next step"),
    ("C (c)", "memory that stays in its layer, from step to step"),
    ("M (m)", "memory that rises through all layers, then goes to the bottom of the next step"),
    ("i, f, o", "gates from 0, closed, to 1, open: how much is written into C, is kept of it, is shown of it"),
    ("g", "what a step would write into C, from -1 to 1; the input gate i says how much of it"),
    ("im, fm, gm (i', f', g')", "the same gates and writing of M"),
    ("z, u", "gradient highway of PredRNN++, and its gate"),
    ("z, r, n", "GRU: how much of the state is replaced, how much of it the candidate sees, and the candidate"),
    (
        "D, N, S, T",
        "MIM: difference of hidden states; memories of what changes and of what stays; what replaces f and C",
    ),
    ("step", "frames in their order; the dotted line stands after the last one that was given"),
)
"""Letters of the pictures, in the papers' notation, and their meaning."""
CAPTIONS = {
    "saturation": (
        "Do gates decide, or do they always say the same? The share of gate values that are nearly 0 or "
        "nearly 1, by step and layer (L1 is the lowest). A forget gate that is always 1 only copies its "
        "memory; one that is always 0 forgets."
    ),
    "gradients": (
        "How far back does the error of the last frame reach? The size of its gradient at every earlier step: "
        "a curve that falls steeply to the left says that early frames hardly teach the network anything."
    ),
    "decoupling": (
        "Do the two memories learn different things? |cos| between what is written into C and into M: 0 is "
        "altogether different, 1 the same. In the scatter plots each point is such a piece of writing; two "
        "clouds that part are two kinds."
    ),
    "schedules": (
        "What was the training fed? The probability that a step sees the true frame and not the network's "
        "own, and the learning rate, by iteration; below, which steps of single sequences saw the truth."
    ),
    "memory": (
        "What do memories hold, and what do gates do, where and when? Frames are on the left; each map beside "
        "them is one letter of one layer (L1 g: what the lowest layer would write), bright where it is large, "
        "the number its largest value."
    ),
    "differences": (
        "Does differencing make a series simpler? Variance and autocorrelation r of frames and hidden states, "
        "and of their differences from step to step: r near 1 moves slowly, near 0 is noise."
    ),
    "attention": (
        "Where does the network look? Of MAU the weights of past steps, the newest at the right, for frames that "
        "were given and for its own. Of others maps of how much each place is attended to, bright where it is more."
    ),
    "motion": (
        "Where does MotionRNN move its hidden states? Arrows over the newest given frame, one picture for each layer, "
        "all as long as the way of as many steps."
    ),
    "moments": (
        "Has PhyCell learnt derivatives? Each row is a filter, each column a moment. A filter that is the derivative "
        "that it is meant to be has 1 (red) on the diagonal and 0 (white) elsewhere."
    ),
    "frequency": (
        "Which detail is lost, and when? Power by wavelength of forecast and truth: where the forecast lies "
        "below, it is blurred; the right end of the axis is the finest detail. The error grows with lead time "
        "beside it."
    ),
}
"""Question of each study, and how its pictures are read."""


def make_studies_section(folder: Path, limit: int = LIMIT) -> Section | None:
    """Section with all pictures under `study/` of a run; None if there are none.

    Args:
        folder: of the run.
        limit: size of all pictures, bytes, at most; the others are named.
    """
    paths = sorted(path for path in (folder / "study").rglob("*") if path.suffix in KINDS)
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(path.relative_to(folder / "study").parts[0].rsplit("-", 1)[0], []).append(path)
    blocks: list[Block] = [_explain_symbols()] if paths else []
    for study, members in groups.items():
        blocks += [Text(CAPTIONS[study])] if study in CAPTIONS else []
        shown, limit = _show_pictures(members, folder / "study", limit)
        blocks += shown
    return Section("study", "Studies", blocks) if paths else None


def write_studies(
    folder: Path,
    folders: Mapping[str, Path],
    summaries: Mapping[str, Mapping[str, Mapping[str, float]]],
    notes: Sequence[str],
    subtitle: str,
) -> Path:
    """Write the page of some studies: study-1.html, or the next number that is free.

    Args:
        folder: of the page.
        folders: of each study's pictures.
        summaries: {study: {run: {quantity: value}}}.
        notes: studies that were left out and pictures that are missing, and why.
        subtitle: names of the runs.

    Returns:
        the page's path.
    """
    limit, sections = PAGE_LIMIT, []
    for study, path in folders.items():
        pictures = sorted(picture for picture in path.iterdir() if picture.suffix in KINDS)
        shown, limit = _show_pictures(pictures, path, limit)
        table = _tabulate(study, summaries[study])
        sections.append(Section(study, study.capitalize(), [Text(CAPTIONS[study]), *shown, table]))
    legend: list[Block] = [Facts(SYMBOLS), *([Folded("Left out", text="\n".join(notes))] if notes else [])]
    sections.append(Section("symbols", "What the letters mean", legend))
    lead = f"Why {subtitle} forecasts as it does: {', '.join(folders)}"
    path = next(path for number in count(1) if not (path := folder / f"study-{number}.html").exists())
    return page.write_page(path, Page("Studies", f"Pictures and arrays are in {folder.name}/", sections, lead))


def _explain_symbols() -> Folded:
    return Folded("What the letters in the pictures mean", [Facts(SYMBOLS)])


def _show_pictures(paths: Sequence[Path], root: Path, limit: int) -> tuple[list[Block], int]:
    """Show pictures up to a size, name the others; return the size that is left, too."""
    blocks: list[Block] = []
    omitted = []
    for path in paths:
        name = path.relative_to(root)
        if path.stat().st_size > limit:
            omitted.append(name.as_posix())
            continue
        limit -= path.stat().st_size
        code = base64.b64encode(path.read_bytes()).decode()
        blocks.append(Picture(name.with_suffix("").as_posix(), f"data:{KINDS[path.suffix]};base64,{code}"))
    if omitted:
        blocks.append(Text(f"Too large for this page, see the folder {root.name}: {', '.join(omitted)}"))
    return blocks, limit


def _tabulate(study: str, runs: Mapping[str, Mapping[str, float]]) -> Table:
    quantities = dict.fromkeys(quantity for summary in runs.values() for quantity in summary)
    rows = [
        (
            TableCell(quantity),
            [TableCell(format_number(run[quantity]) if quantity in run else "") for run in runs.values()],
        )
        for quantity in quantities
    ]
    return Table(f"{study.capitalize()} in numbers", [TableCell("quantity"), *map(TableCell, runs)], rows)
