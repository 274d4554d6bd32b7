# SPDX-License-Identifier: BSD-3-Clause
"""The examples run, and the notebooks of the documentation show what they print and draw."""

import importlib
import os
import re
import warnings
from pathlib import Path

import pytest

from tests.gallery import EXAMPLES, differences, execute, gallery_file, read, script_cells, tidied

_ROOT = Path(__file__).parent.parent
_GALLERY = _ROOT / "docs" / "gallery"
# The documentation shows what the examples print on real data, for those that read any.
_DATA = ["SKLEARN_NEUROX_CONLLU", "SKLEARN_NEUROX_DECODER"]
# They train a language model, whose weights depend on the number of threads.
_TRAINED = {"causal_ablation", "steering"}

_FIGURE = re.compile(r"^# Figure: .", flags=re.M)

_SCRIPT = '''# SPDX-License-Identifier: BSD-3-Clause
"""
A title
=======

What the reader learns.
"""

import sys

# %%
# Text of
#
# two paragraphs.
# %% in the text
x = 1
# A comment on the code.
print("0.5  a ")
print("b")

# %%
import matplotlib.pyplot as plt

_ = plt.plot([1, 2])

# %%
# Only text.

# %%
x
'''


@pytest.fixture
def _notebooks():
    """Skip the test if the extra 'docs' is not installed; where there is data, it must be."""
    if not os.environ.get("SKLEARN_NEUROX_CONLLU"):
        pytest.importorskip("nbclient", reason="the extra 'docs' is not installed")
        pytest.importorskip("matplotlib", reason="the extra 'docs' is not installed")


def _execute(notebook, folder):
    with warnings.catch_warnings():
        # The kernel runs in its own process, reached through asyncio and zmq.
        warnings.simplefilter("ignore")
        return tidied(execute(notebook, folder))


def test_each_figure_of_an_example_is_described():
    for example in EXAMPLES:
        for cell in read(gallery_file(example)).cells:
            data = [output.get("data", {}) for output in cell.get("outputs", [])]
            n_figures = sum("image/png" in kinds for kinds in data)
            n_described = len(_FIGURE.findall(cell.source)) if cell.cell_type == "code" else 0
            assert n_described == n_figures, (example.name, cell.source)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_runs_and_prints_what_its_page_shows(example, tmp_path, _notebooks):
    executed = _execute(read(example), tmp_path)
    assert any(cell.get("outputs") for cell in executed.cells)
    source = example.read_text(encoding="utf-8")
    has_data = all(os.environ.get(name) for name in _DATA if name in source)
    if has_data and example.stem not in _TRAINED:
        wrong = differences(read(gallery_file(example)), executed)
        command = f"python -m tests.gallery examples/{example.name}"
        assert not wrong, "\n".join([*wrong, f"If the new output is right, run: {command}"])


def test_every_example_is_in_the_gallery_and_on_its_page():
    names = sorted(example.stem for example in EXAMPLES)
    assert names == sorted(path.stem for path in _GALLERY.iterdir())
    page = (_ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    assert names == sorted(re.findall(r"^gallery/(\w+)$", page, re.M))


def test_the_gallery_shows_the_present_code_with_outputs_and_figures(_notebooks):
    for example in EXAMPLES:
        source, shown = read(example), read(gallery_file(example))
        command = f"Run: python -m tests.gallery examples/{example.name}"
        assert [(cell.cell_type, cell.source) for cell in source.cells] == [
            (cell.cell_type, cell.source) for cell in shown.cells
        ], command
        assert not any(cell.get("outputs") for cell in source.cells), example.name
        title, introduction = shown.cells[0].source.split("\n\n", 1)
        assert re.fullmatch("# .+", title) and introduction.endswith((".", ")")), example.name
        outputs = [output for cell in shown.cells for output in cell.get("outputs", [])]
        assert any("image/png" in output.get("data", {}) for output in outputs), example.name


def test_the_gallery_is_small_and_has_nothing_that_changes_from_run_to_run():
    sizes = [path.stat().st_size for path in _GALLERY.iterdir()]
    assert sum(sizes) < 3e6 and max(sizes) < 1e6
    for path in _GALLERY.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/tmp|/home|/root|\bat 0x|stderr|traceback|https?://", text), (
            path.name
        )


def test_a_script_becomes_text_and_code():
    assert script_cells(_SCRIPT) == [
        ("markdown", "# A title\n\nWhat the reader learns."),
        ("code", "import sys"),
        ("markdown", "Text of\n\ntwo paragraphs.\n%% in the text"),
        ("code", 'x = 1\n# A comment on the code.\nprint("0.5  a ")\nprint("b")'),
        ("code", "import matplotlib.pyplot as plt\n\n_ = plt.plot([1, 2])"),
        ("markdown", "Only text."),
        ("code", "x"),
    ]


@pytest.mark.slow
def test_execution_keeps_what_is_printed_and_drawn_and_refuses_warnings(tmp_path, _notebooks):
    nbformat = importlib.import_module("nbformat")
    script = tmp_path / "example.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    executed = _execute(read(script), tmp_path)
    nbformat.validate(executed)
    outputs = [cell.get("outputs") for cell in executed.cells]
    assert [len(output or []) for output in outputs] == [0, 0, 0, 1, 1, 0, 1]
    assert outputs[3][0].text == "0.5  a\nb\n"
    assert list(outputs[4][0].data) == ["image/png"]
    assert outputs[6][0].data == {"text/plain": "1"}

    other = nbformat.from_dict(executed)
    assert not differences(executed, other)
    other.cells[3].outputs[0].text = "0.501 a\nb\n"
    assert not differences(executed, other)
    other.cells[3].outputs[0].text = "0.5 c\nb\n"
    other.cells[4].outputs = []
    other.cells[6].outputs[0].data["text/plain"] = "2"
    assert len(differences(executed, other)) == 3

    executed.cells = executed.cells[3:4]
    executed.cells[0].source = "import warnings\nwarnings.warn('look')"
    with pytest.raises(AssertionError, match="look"):
        _execute(executed, tmp_path)
