# SPDX-License-Identifier: BSD-3-Clause
"""Show the numbers of references where docstrings cite them.

numpydoc makes the labels of references unique, such as ``R1a2b-1``, and shows their numbers again.
It does not find the citations in pages that are written in Markdown.
"""

import re

from docutils import nodes
from sphinx import addnodes


def _show_numbers(app, doctree):
    for citation in doctree.findall(addnodes.pending_xref):
        if citation.get("refdomain") == "citation":
            for label in list(citation.findall(nodes.Text)):
                label.parent.replace(label, nodes.Text(re.sub(r"\[R[0-9a-f]+-", "[", label)))


def setup(app):
    """Register the event handler with Sphinx."""
    app.connect("doctree-read", _show_numbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
