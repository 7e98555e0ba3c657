"""Drawings of docs/figures inside the page instead of beside it, so that they follow its light and dark colours."""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx


def _inline(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    if app.builder.format != "html":
        return
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"])
        if path.parent.name == "figures" and path.suffix == ".svg":
            image.replace_self(nodes.raw("", f'<div class="drawing">{path.read_text()}</div>', format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Before the page is written."""
    app.connect("doctree-resolved", _inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
