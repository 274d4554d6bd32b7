# SPDX-License-Identifier: BSD-3-Clause
"""Snippets that people copy must run, each page in its own process, and print what it shows."""

from pathlib import Path

import pytest

from tests.fresh_processes import anew, forks, fresh_processes
from tests.page_outputs import (
    agree,
    differences,
    outputs,
    snippets,
    with_outputs,
)

_ROOT = Path(__file__).parent.parent
_PAGES = [
    page
    for page in [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
    if snippets(page.read_text(encoding="utf-8"))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", _PAGES, ids=lambda path: path.name)
def test_snippets_of_a_page_run_in_order_and_print_what_it_shows(page, tmp_path, run_fresh):
    text = page.read_text(encoding="utf-8")
    wrong = differences(text, outputs(run_fresh, text, tmp_path))
    command = f"python -m tests.page_outputs {page.relative_to(_ROOT)}"
    assert not wrong, "\n".join([*wrong, f"If the new output is right, run: {command}"])


def test_outputs_are_written_below_snippets_and_only_there(tmp_path):
    def page(first, second, third):
        return (
            f"```python\nprint('0.5  a')\n```\n\n{first}Text.\n\n```text\nno output\n```\n\n"
            f"```python\nx = 1\n```\n\n{second}```sh\nls\n```\n\n"
            f"```python\nfor x in range(15):\n    print(x)\n```\n{third}"
        )

    old = page("```text\nold\n\nold\n```\n\n", "```text\nold\n```\n\n", "")
    with fresh_processes("") as run:
        printed = outputs(run, old, tmp_path)
    assert printed == ["0.5  a", "", "\n".join(map(str, range(15)))]
    shown = "\n".join(map(str, range(13)))
    new = with_outputs(old, printed)
    assert new == page("```text\n0.5  a\n```\n\n", "", f"\n```text\n{shown}\n...\n```\n")
    assert with_outputs(new, printed) == new
    assert not differences(new, printed) and len(differences(old, printed)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("make", [forks, anew])
def test_code_runs_in_a_process_of_its_own(make, tmp_path):
    code = "import os, sys; print(sys.argv[1:], __name__, os.getcwd()); left = 1"
    with make("import json") as run:
        for _ in range(2):
            assert run(code, "a", "b", cwd=tmp_path) == f"['a', 'b'] __main__ {tmp_path}\n"
        with pytest.raises(AssertionError, match="name 'left' is not defined"):
            run("left")


def test_outputs_agree_in_words_exactly_and_in_numbers_to_a_tolerance():
    for shown, printed in [
        ("score 0.951", "score 0.953"),
        ("0.0", "-0.0"),
        ("a  -0.53", "a -0.54"),
        ("1.2e-05", "1.4e-05"),
        ("(200, 2688)", "(200, 2688)"),
        ("2442 weights", "2440 weights"),
        ("hidden.3.1 1.00\n...", "hidden.3.1 1.00\nand\nmore"),
        ("a\n...", "a\n..."),
        ("fit 1.5 s", "fit 29 s"),
    ]:
        assert agree(f"{shown}\n", printed), shown
    for shown, printed in [
        ("score 0.951", "score 0.981"),
        ("score 0.951", "accuracy 0.951"),
        ("12 neurons", "13 neurons"),
        ("12 sentences", "13 sentences"),
        ("fit 1.5 s", "rank 1.5 s"),
        ("hidden.3.100", "hidden.3.101"),
        ("layer3", "layer4"),
        ("1 2", "1"),
        ("a", "a\nb"),
        ("a\nb\n...", "a\nb"),
        ("b\n...", "a\nb\nc"),
        ("0.5", "nan"),
        ("", "a"),
    ]:
        assert not agree(f"{shown}\n", printed), shown
