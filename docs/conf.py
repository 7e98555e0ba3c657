"""How Sphinx builds these pages: `make docs`. What is built opens from disk and asks nothing of a network."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "framecast"
copyright = "the framecast authors, Apache-2.0"
release = metadata.version("framecast")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "extensions.docstrings",
    "extensions.figures",
    "extensions.languages",
    "extensions.mathml",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["extensions", "templates"]
templates_path = ["templates"]

viewcode_follow_imported_members = False  # else an alias of a tuple is sought among the builtins
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# The aliases of jaxtyping by name: Frames says more than Float[Tensor, "B T C H W"], and links to it.
autodoc_type_aliases = {
    name: f"framecast.types.{name}" for name in ("Frame", "Frames", "Hidden", "Known", "Valid", "FrameSpec", "Window")
}
autodoc_default_options = {"exclude-members": "model_config, model_post_init"}
napoleon_numpy_docstring = False
default_role = "code"
# Classes of two modules may share a short name; the reference of either is a page away.
suppress_warnings = ["ref.python"]

html_theme = "pydata_sphinx_theme"
html_title = "framecast"
html_math_renderer = "mathml"
html_search_language = "zh"  # knows English stems too
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_show_search_summary = False  # which would be fetched, and from disk nothing can be
html_sidebars = {"**": ["sidebar-nav-bs"], "index": [], "search": [], "zh/index": []}
html_context = {
    "default_mode": "auto",
    "doors": {  # what stands at the top of every page, in each language
        "en": [
            ("guides/index", "Guides"),
            ("papers/index", "Papers"),
            ("measured", "Measured"),
            ("api/index", "Reference"),
        ],
        "zh": [
            ("zh/guides/index", "指南"),
            ("zh/notes", "从笔记到 framecast"),
            ("zh/papers/index", "论文导读"),
            ("api/index", "接口文档（英文）"),
        ],
    },
}
html_theme_options = {
    "navbar_center": ["doors.html"],
    "navbar_persistent": ["find.html"],
    "navbar_end": ["language.html", "theme-switcher"],
    "article_header_start": [],
    "collapse_navigation": True,  # the buttons that unfold it have no name for a screen reader
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
}
