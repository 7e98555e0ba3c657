"""Draw all figures of the papers' pages, in both languages.

python docs/figures/draw.py [FOLDER]
"""

import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from figures import drawings, sampling, zigzag  # noqa: E402 -- found beside this file only
from figures.words import CHINESE, ENGLISH  # noqa: E402

PAGES = {
    "convlstm": drawings.convlstm,
    "predrnn": drawings.predrnn,
    "predrnn_pp": drawings.predrnn_pp,
    "mim": drawings.mim,
    "predrnn_v2": drawings.predrnn_v2,
    "sampling": sampling.sampling,
    "zigzag": zigzag.zigzag,
}


def figures() -> Iterator[tuple[str, str]]:
    """File names and their contents."""
    for suffix, words in (("svg", ENGLISH), ("zh.svg", CHINESE)):
        for name, draw in PAGES.items():
            yield f"{name}.{suffix}", draw(words).svg()


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, svg in figures():
        (folder / name).write_text(svg, encoding="utf-8")
