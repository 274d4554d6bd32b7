# SPDX-License-Identifier: BSD-3-Clause
"""The examples say what they teach, and their pages show what they draw.

The build of the documentation executes the examples.
"""

import ast
import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_EXAMPLES = sorted((_ROOT / "examples").glob("*/*.py"))
_CONF = f"""
import sys
sys.path.insert(0, {str(_ROOT / "docs" / "_ext")!r})
extensions = ["sphinx_gallery.gen_gallery"]
html_theme = "basic"
exclude_patterns = ["scripts"]
sphinx_gallery_conf = {{
    "examples_dirs": "scripts",
    "gallery_dirs": "examples",
    "filename_pattern": ".",
    "abort_on_example_error": True,
    "reset_modules": ("gallery.refuse_warnings", "matplotlib"),
    "image_scrapers": ("gallery.described_figures",),
    "parallel": 2,
}}
"""
_SCRIPT = '''"""
A title
=======

What the reader learns.
"""

import matplotlib.pyplot as plt

# Figure: A line in
# two panels: "up" & <down>.
plt.plot([1, 2])
# Figure: Bars.
plt.figure().gca().bar([1, 2], [3, 4])
plt.show()

# %%
# Only text.

# %%
print("printed")
'''


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda path: path.name)
def test_an_example_begins_with_what_the_reader_learns_and_describes_a_figure(example):
    code = example.read_text(encoding="utf-8")
    title, line, introduction = ast.get_docstring(ast.parse(code)).split("\n", 2)
    assert line == "=" * len(title) and introduction.startswith("\n")
    assert introduction.endswith((".", ")")) and re.search(r"^# Figure: .", code, re.M)


def test_the_sections_of_the_gallery_are_the_folders_of_examples():
    conf = (_ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    sections = ast.literal_eval(re.search(r"_SECTIONS = (\[.*?\])", conf, re.S)[1])
    assert sorted(sections) == sorted({example.parent.name for example in _EXAMPLES})


def _build(folder, script):
    """Build a gallery of one script."""
    if not os.environ.get("SKLEARN_NEUROX_CONLLU"):
        pytest.importorskip("sphinx_gallery", reason="the extra 'docs' is not installed")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "script.py").write_text(script, encoding="utf-8")
    header = "Examples\n========\n"
    (folder / "scripts" / "GALLERY_HEADER.rst").write_text(header, encoding="utf-8")
    (folder / "conf.py").write_text(_CONF, encoding="utf-8")
    (folder / "index.rst").write_text(f"{header}\n.. toctree::\n\n   examples/index\n")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", str(folder), str(folder / "html")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_page_shows_outputs_and_described_figures(tmp_path):
    done = _build(tmp_path, _SCRIPT)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "examples" / "script.html").read_text(encoding="utf-8")
    described = [html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', page)]
    assert described == ['A line in two panels: "up" & <down>.', "Bars."]
    assert "Only text." in page and "printed" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("# %%\nimport warnings\n\nwarnings.warn('look')\n", "look"),
        ("# %%\npass\n# Figure: None.\n", "draws 0 figures, but 1 comments"),
        ("# %%\n_ = plt.plot([1])\n", "draws 1 figures, but 0 comments"),
    ],
)
def test_warnings_and_figures_without_descriptions_end_the_build(tmp_path, more, message):
    done = _build(tmp_path, f"{_SCRIPT}\n{more}")
    assert done.returncode and message in done.stderr
