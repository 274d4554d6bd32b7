# SPDX-License-Identifier: BSD-3-Clause
"""Render formulas as MathML, which browsers display without fetching any script."""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

_logger = logging.getLogger(__name__)

# Replacements for commands that the converter does not support.
_OTHERWISE = {r"\Big": "", r"\big": "", r"\texttt": r"\text", r"\dots": r"\ldots"}


def _convert(node, as_block):
    tex = re.sub(r"\\[A-Za-z]+", lambda m: _OTHERWISE.get(m[0], m[0]), node.astext())
    try:
        return tex2mathml(tex, as_block=as_block)
    except MathError as error:
        _logger.warning("%s in the formula %s", error, node.astext(), location=node)
        return node.astext()


def _inline(translator, node):
    translator.body.append(_convert(node, as_block=False))
    raise nodes.SkipNode


def _block(translator, node):
    translator.body.append(f'<div class="math">{_convert(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app):
    """Register the math renderer with Sphinx."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline, None), block_renderers=(_block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
