"""Equations as MathML, which browsers draw by themselves: no script, no font and no network when a page is read.

MathJax would need one of them, images would not follow the size and colour of the text. An equation that cannot be
converted stops the build.
"""

from math_core import LatexToMathML
from sphinx.application import Sphinx

_CONVERTER = LatexToMathML(annotation=True, fancy_error=False)


def _inline(writer, node) -> None:
    _write(writer, node.astext(), display=False)


def _display(writer, node) -> None:
    writer.body.append('<div class="math-display">')
    _write(writer, node.astext(), display=True)


def _write(writer, latex: str, *, display: bool) -> None:
    from docutils.nodes import SkipNode

    writer.body.append(_CONVERTER.convert_with_local_state(latex, displaystyle=display))
    if display:
        writer.body.append("</div>\n")
    raise SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
