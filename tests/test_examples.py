# SPDX-License-Identifier: BSD-3-Clause
"""What people copy runs: the examples and the README's snippets, each in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_EXAMPLES = sorted((_ROOT / "examples").glob("*.py"))
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]


def _run(source, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", source],
        capture_output=True,
        text=True,
        cwd=folder,
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
    snippets = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    assert snippets
    _run("\n".join(snippets), tmp_path)
