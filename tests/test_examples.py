# SPDX-License-Identifier: BSD-3-Clause
"""Examples and snippets that people copy must run, each page in its own process."""

import ast
import importlib
import os
import warnings
from pathlib import Path

import pytest

from tests.page_outputs import (
    agree,
    differences,
    output_file,
    outputs,
    run,
    snippets,
    tidy,
    with_outputs,
)

_ROOT = Path(__file__).parent.parent
_EXAMPLES = sorted((_ROOT / "examples").glob("*.py"))
_NOTEBOOKS = sorted((_ROOT / "examples").glob("*.ipynb"))
_PAGES = [
    page
    for page in [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
    if snippets(page.read_text(encoding="utf-8"))
]


# The documentation shows what the examples print on real data, for those that read any.
_DATA = ["SKLEARN_NEUROX_CONLLU", "SKLEARN_NEUROX_DECODER"]
# They train a language model, whose weights depend on the number of threads.
_TRAINED = {"causal_ablation", "steering"}


@pytest.mark.slow
@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda path: path.name)
def test_example_runs_and_prints_what_its_page_shows(example, tmp_path):
    source = example.read_text(encoding="utf-8")
    printed = tidy(run(source, tmp_path))
    assert printed
    has_data = all(os.environ.get(name) for name in _DATA if name in source)
    if has_data and example.stem not in _TRAINED:
        shown = output_file(example).read_text(encoding="utf-8")
        command = f"python -m tests.page_outputs examples/{example.name}"
        assert agree(shown, printed), f"It prints\n{printed}\nIf that is right, run: {command}"


@pytest.mark.slow
@pytest.mark.parametrize("page", _PAGES, ids=lambda path: path.name)
def test_snippets_of_a_page_run_in_order_and_print_what_it_shows(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    wrong = differences(text, outputs(text, tmp_path))
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
    printed = outputs(old, tmp_path)
    assert printed == ["0.5  a", "", "\n".join(map(str, range(15)))]
    shown = "\n".join(map(str, range(13)))
    new = with_outputs(old, printed)
    assert new == page("```text\n0.5  a\n```\n\n", "", f"\n```text\n{shown}\n...\n```\n")
    assert with_outputs(new, printed) == new
    assert not differences(new, printed) and len(differences(old, printed)) == 3


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


def test_the_page_of_examples_shows_each_with_its_output():
    page = (_ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    for example in _EXAMPLES:
        for path in (example, output_file(example)):
            assert path.is_file() and page.count(f"{path.name}\n") == 1, path
        assert f"{{download}}`{example.name} <../examples/{example.name}>`" in page
    assert {path.stem for path in output_file(_EXAMPLES[0]).parent.iterdir()} == {
        example.stem for example in _EXAMPLES
    }


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
