# SPDX-License-Identifier: BSD-3-Clause
"""The Sphinx extension that shows executed notebooks as pages."""

import base64
import html
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

_EXTENSIONS = Path(__file__).parent.parent / "docs" / "_ext"
_PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 900, 300)

_CODE = """x = '```'
# Figure: A line in
# two panels: "up" & <down>.
# Figure: Bars.
"""


def _notebook(title, introduction, outputs):
    image = {"image/png": base64.b64encode(_PNG + title.encode()).decode()}
    found = {
        "printed": {"output_type": "stream", "name": "stdout", "text": ["``` & <b>\n", "x_\n"]},
        "drawn": {"output_type": "display_data", "data": image, "metadata": {}},
        "table": {
            "output_type": "execute_result",
            "data": {
                "text/html": ["<table>\n", "\n", "<td>a cell</td></table>"],
                "text/plain": "t",
            },
        },
        "number": {"output_type": "execute_result", "data": {"text/plain": ["4", "2"]}},
    }
    cells = [
        {"cell_type": "markdown", "source": [f"# {title}\n", "\n", introduction]},
        {"cell_type": "code", "source": _CODE, "outputs": [found[name] for name in outputs]},
        {"cell_type": "markdown", "source": "Some *text*."},
        {"cell_type": "code", "source": "pass", "outputs": []},
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build a small documentation with two notebooks; every warning is an error."""
    if not os.environ.get("SKLEARN_NEUROX_CONLLU"):
        for package in ("sphinx", "myst_parser"):
            pytest.importorskip(package, reason="the extra 'docs' is not installed")
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "gallery").mkdir()
    every = _notebook(
        "A *first* look",
        "Do all agree with A et al. (2020)? We do.",
        ["printed", "drawn", "table", "drawn"],
    )
    # The name is that of a script, so that there is one to download.
    (folder / "gallery" / "quickstart.ipynb").write_text(every, encoding="utf-8")
    plain = _notebook("Second", "No figure", ["number"])
    (folder / "gallery" / "second.ipynb").write_text(plain, encoding="utf-8")
    conf = f"import sys\nsys.path.insert(0, {str(_EXTENSIONS)!r})\n"
    conf += "extensions = ['myst_parser', 'gallery']\nhtml_theme = 'basic'\n"
    (folder / "conf.py").write_text(conf, encoding="utf-8")
    index = "# Index\n\n```{gallery}\ngallery/quickstart\ngallery/second\n```\n"
    (folder / "index.md").write_text(index, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-d", str(folder / "trees")]
    command += [str(folder), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def _images(page):
    return re.findall(r'<img [^>]*src="([^"]+)"', page)


@pytest.mark.slow
def test_a_page_shows_text_code_outputs_and_downloads(built):
    page = (built / "gallery" / "quickstart.html").read_text(encoding="utf-8")
    shown = re.sub(r"<[^>]+>", "", page[page.index("<h1>") :]).replace("&#39;", "'")
    assert (
        "Do all agree with A et al. (2020)? We do." in shown
        and "x = '```'" in shown
        and "Some text." in shown
    )
    assert "``` &amp; &lt;b&gt;\nx_\n" in shown
    assert "<table>\n\n<td>a cell</td></table>" in page
    assert [Path(image).name for image in _images(page)] == ["quickstart-1.png", "quickstart-2.png"]
    for image in _images(page):
        assert (built / "gallery" / image).read_bytes().startswith(_PNG)
    assert page.count("width: 600px") == 2
    alts = [html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', page)]
    assert alts == ['A line in two panels: "up" & <down>.', "Bars."]
    downloads = re.findall(r'href="([^"]*_downloads[^"]*)"', page)
    assert [Path(link).name for link in downloads] == ["quickstart.py", "quickstart.ipynb"]
    assert all((built / "gallery" / link).is_file() for link in downloads)

    plain = (built / "gallery" / "second.html").read_text(encoding="utf-8")
    assert "42" in plain and not _images(plain) and "second.ipynb" in plain
    assert "second.py" not in plain


@pytest.mark.slow
def test_the_index_has_a_card_for_each_page(built):
    page = (built / "index.html").read_text(encoding="utf-8")
    cards = page.split("gallery-card")[1:]
    assert len(cards) == 2
    for card, name in zip(cards, ("quickstart", "second"), strict=True):
        assert f'href="gallery/{name}.html"' in card
    assert _images(cards[0]) == ["_images/quickstart-1.png"] and not _images(cards[1])
    assert "A first look" in cards[0] and "Second" in cards[1]
    assert "al. (2020)?" in cards[0] and "We do." not in cards[0] and "No figure" in cards[1]
