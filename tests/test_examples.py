# SPDX-License-Identifier: BSD-3-Clause
"""Examples and snippets that people copy must run, each page in its own process."""

import ast
import importlib
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_EXAMPLES = sorted((_ROOT / "examples").glob("*.py"))
_NOTEBOOKS = sorted((_ROOT / "examples").glob("*.ipynb"))
_SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
_PAGES = [
    page
    for page in [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
    if _SNIPPET.search(page.read_text(encoding="utf-8"))
]


def _run(source, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", source],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda path: path.name)
def test_example_runs(example, tmp_path):
    assert _run(example.read_text(encoding="utf-8"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", _PAGES, ids=lambda path: path.name)
def test_snippets_of_a_page_run_in_order(page, tmp_path):
    _run("\n".join(_SNIPPET.findall(page.read_text(encoding="utf-8"))), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", _NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs(notebook, tmp_path, monkeypatch):
    if not os.environ.get("SKLEARN_NEUROX_CONLLU"):
        pytest.importorskip("nbclient", reason="the extra 'docs' is not installed")
    nbformat, nbclient = map(importlib.import_module, ("nbformat", "nbclient"))
    cells = nbformat.read(notebook, as_version=4)
    assert not any(cell.get("outputs") for cell in cells.cells), "outputs are not committed"
    monkeypatch.setenv("PYTHONPATH", str(_ROOT))
    with warnings.catch_warnings():
        # The notebook's kernel runs in its own process, reached through asyncio and zmq.
        warnings.simplefilter("ignore")
        client = nbclient.NotebookClient(
            cells, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
        )
        executed = client.execute()
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert outputs
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


def test_every_example_has_a_title_and_an_introduction():
    for example in _EXAMPLES:
        docstring = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8")))
        title, line, blank, text = docstring.split("\n", 3)
        assert set(line) == {"="} and len(line) == len(title) and not blank and text
