# SPDX-License-Identifier: BSD-3-Clause
"""What sphinx-gallery leaves out: descriptions of figures, and examples that may not warn."""

import html
import re
import warnings

from sphinx.errors import ExtensionError
from sphinx_gallery.scrapers import matplotlib_scraper


def described_figures(block, block_vars, gallery_conf):
    """Save the figures of a block; the comments "# Figure: ..." become their alternative texts."""
    # As in a notebook, labels outside the axes are not cut off.
    images = matplotlib_scraper(block, block_vars, gallery_conf, bbox_inches="tight")
    alternatives = re.findall(r":alt: .*", images)
    _, code, line = block
    descriptions = _descriptions(code)
    if len(alternatives) != len(descriptions):
        raise ExtensionError(
            f"{block_vars['src_file']}: the block in line {line} draws {len(alternatives)} "
            f"figures, but {len(descriptions)} comments '# Figure: ...' say what a figure shows."
        )
    # sphinx-gallery writes them into the HTML as they are.
    rest = map(html.escape, descriptions)
    return re.sub(r"(?<=:alt: ).*", lambda _: next(rest), images)


def _descriptions(code):
    """Return the texts of the comments that describe the figures of a block, in order."""
    found = re.findall(r"^# Figure: (.*(?:\n# (?!Figure: ).*)*)", code, flags=re.M)
    return [text.replace("\n# ", " ") for text in found]


def refuse_warnings(gallery_conf, example):
    """Make every warning in an example an error; a process of its own executes the examples."""
    warnings.simplefilter("error")
    # One process executes several examples, and they may read the same texts.
    warnings.filterwarnings("ignore", "(?s).* for the third time in this process")
