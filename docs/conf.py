# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx configuration. The build needs no network access."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
_BELOW = {"user_guide": "guide", "api": "api", "examples": "examples"}
sys.path[:0] = [str(_HERE.parent), str(_HERE / "_ext")]

import other_projects  # noqa: E402
import public_names  # noqa: E402

from sklearn_neurox._version import __version__  # noqa: E402

project = "sklearn-neurox"
author = "The sklearn-neurox developers"
copyright = "the sklearn-neurox developers"  # noqa: A001
release = version = __version__

extensions = [
    "citations",
    "mathml",
    "myst_parser",
    "name_pages",
    "numpydoc",
    "other_projects",
    "public_names",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
# sphinx-gallery executes the examples, and makes their pages in the folder `examples`.
_SECTIONS = [
    "first_steps",
    "layers_and_neurons",
    "rows_targets_models",
    "cause_and_effect",
    "large_data",
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "examples",
    "subsection_order": [f"../examples/{section}" for section in _SECTIONS],
    "filename_pattern": ".",
    "backreferences_dir": "examples/backreferences",
    "doc_module": ("sklearn_neurox",),
    "exclude_implicit_doc": {r"\._"},
    "log_level": {"backreference_missing": "info"},
    "abort_on_example_error": True,
    "reset_modules": ("gallery.refuse_warnings", "matplotlib"),
    "image_scrapers": ("gallery.described_figures",),
    "image_srcset": ["2x"],
    "show_signature": False,
    "write_computation_times": False,
    # The examples run in processes of their own.
    "parallel": 2,
}
exclude_patterns = ["_build"]
default_role = "py:obj"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# The docstrings state the types; in signatures they would be very long.
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_aliases = other_projects.aliases() | public_names.aliases()
numpydoc_xref_ignore = "all"
toc_object_entries_show_parents = "hide"

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "sklearn-neurox"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "navigation_with_keys": False,
    "header_links_before_dropdown": 5,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Show the sidebar only where a page has subpages; other pages need the width for tables.
_NAVIGATION = ["sidebar-nav-bs"]
html_sidebars = {
    page.stem: _NAVIGATION if (_HERE / _BELOW.get(page.stem, "-")).is_dir() else []
    for page in _HERE.glob("*.md")
} | dict.fromkeys(["guide/**", "api/**", "examples/**"], _NAVIGATION)
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
