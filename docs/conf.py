"""Sphinx configuration: what is generated, which extensions read it, and how strict they are.

MMM_XGEN_DOCS_NOTEBOOKS says how the tutorials are run: ``cache`` (the default: those that fit no
model, unless they are unchanged since the last build), ``off``, or ``all`` (also those that fit
models, which needs the extra `recovery` and takes many minutes).
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import gallery  # noqa: E402
import reference  # noqa: E402
import tutorials  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

from mmm_xgen.version import __version__  # noqa: E402

project = "mmm-xgen"
author = "The mmm-xgen developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    # Formulas are set without network.
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "examples", "**/.ipynb_checkpoints"]
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "amsmath"]
myst_heading_anchors = 3

# Types are told by the docstrings, with dims and units.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
# `name` in a docstring becomes a link where it names something documented, else it is emphasised.
default_role = "autolink"
numpydoc_show_class_members = False
nitpicky = True
# Backticks in docstrings also hold names of arguments and of modules without a page. Roles that
# say what they name, as in these pages, have to find it.
nitpick_ignore_regex = [("py:obj", ".*")]

html_theme = "pydata_sphinx_theme"
html_title = f"mmm-xgen {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_theme_options = {
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
}

notebooks_run = os.environ.get("MMM_XGEN_DOCS_NOTEBOOKS", "cache")
if notebooks_run != "all":
    # They leave out fits, whose samplers the documentation does not need.
    os.environ["MMM_XGEN_QUICK"] = "1"
nb_execution_mode = {"cache": "cache", "off": "off", "all": "cache"}[notebooks_run]
nb_execution_excludepatterns = (
    [] if notebooks_run == "all" else [f"**/{name}*" for name in tutorials.SLOW]
)
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_merge_streams = True


def generate(app: Sphinx, _config: object) -> None:
    """Write the pages and pictures that follow from the code; unchanged files stay untouched."""
    target = HERE / "generated"
    tutorials.collect(HERE.parent / "notebooks", target / "tutorials")
    reference.write_pages(target)
    gallery.write_pages(target)


def setup(app: Sphinx) -> None:
    """Generate before the pages are listed."""
    app.connect("config-inited", generate)
