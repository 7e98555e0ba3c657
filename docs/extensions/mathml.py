"""Equations as MathML, which browsers draw by themselves: no script, no font and no network when a page is read.

MathJax would need one of them, images would not follow the size and colour of the text. An equation that cannot be
converted stops the build.
"""

import re
from html import unescape
from typing import Any
from xml.etree import ElementTree

from docutils.nodes import Element, SkipNode
from math_core import LatexToMathML
from sphinx.application import Sphinx

_CONVERTER = LatexToMathML(annotation=True, fancy_error=False)
_HTML_ONLY = re.compile(r"&(?!lt;|gt;|amp;|quot;|apos;)[a-zA-Z]+;")


def to_mathml(latex: str, *, display: bool) -> str:
    """An equation as MathML, its primes beside their letters.

    In fonts for text the sign is raised already; raised again, as by the letter of LaTeX, it is a speck where no font for
    mathematics is installed.
    """
    mathml = _CONVERTER.convert_with_local_state(latex, displaystyle=display)
    root = ElementTree.fromstring(_HTML_ONLY.sub(lambda entity: unescape(entity[0]), mathml))
    for part in root.iter():
        if part.tag in ("msup", "msubsup") and part[-1].text == "′":
            prime = part[-1]
            prime.attrib.update(lspace="0", rspace="0")
            part.remove(prime)
            if part.tag == "msup":
                part.tag = "mrow"
                part.append(prime)
            else:
                base = ElementTree.Element("mrow")
                base.extend([part[0], prime])
                part.tag, part[0] = "msub", base
    return ElementTree.tostring(root, encoding="unicode")


def _inline(writer: Any, node: Element) -> None:
    writer.body.append(to_mathml(node.astext(), display=False))
    raise SkipNode


def _display(writer: Any, node: Element) -> None:
    writer.body.append(f'<div class="math-display">{to_mathml(node.astext(), display=True)}</div>\n')
    raise SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
