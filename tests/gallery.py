# SPDX-License-Identifier: BSD-3-Clause
"""Execute the examples, and store what they print and draw as notebooks in ``docs/gallery``.

A script becomes a notebook: its docstring and the comments below ``# %%`` are the text. The
documentation shows the executed notebooks. Tests execute the examples again and compare.
"""

import argparse
import ast
import os
import re
import tempfile
from pathlib import Path

from tests.page_outputs import agree, tidy

_ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(
    path for path in (_ROOT / "examples").iterdir() if path.suffix in (".py", ".ipynb")
)
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_SHOWN = ("image/png", "text/html", "text/plain")
# Sharp on a high-resolution screen; the documentation shows 100 dots of the figure per inch.
_STYLE = "figure.dpi: 150\n"
# tqdm asks for ipywidgets.
_WARNINGS = "error::FutureWarning,ignore:IProgress not found"


def gallery_file(example):
    """Return the path of the executed notebook of an example."""
    return _ROOT / "docs" / "gallery" / f"{example.stem}.ipynb"


def read(path):
    """Return a script or notebook as a notebook; a script has no outputs."""
    import nbformat

    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return nbformat.reads(text, as_version=4)
    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    cells = [make[kind](source) for kind, source in script_cells(text)]
    return nbformat.v4.new_notebook(cells=cells, metadata=_METADATA)


def script_cells(text):
    """Return the cells of a script: pairs of "markdown" or "code" and the source."""
    docstring = ast.parse(text).body[0]
    title, _, introduction = docstring.value.value.strip().partition("\n")
    cells = [("markdown", f"# {title}\n{introduction.partition(chr(10))[2]}")]
    rest = "\n".join(text.split("\n")[docstring.end_lineno :])
    for number, block in enumerate(re.split(r"^# %%\n", rest, flags=re.M)):
        # Above the first mark, there is only code.
        comment = re.match(r"(?:#.*\n)*", block)[0] if number else ""
        cells.append(("markdown", re.sub(r"^# ?", "", comment, flags=re.M)))
        cells.append(("code", block[len(comment) :]))
    return [(kind, source.strip("\n")) for kind, source in cells if source.strip()]


def execute(notebook, folder):
    """Execute a notebook in a folder, in a process of its own; a warning is an error."""
    import nbclient

    (folder / "matplotlibrc").write_text(_STYLE, encoding="utf-8")
    client = nbclient.NotebookClient(
        notebook,
        timeout=900,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    settings = {"PYTHONPATH": _ROOT, "PYTHONWARNINGS": _WARNINGS, "IPYTHONDIR": folder / "ipython"}
    client.execute(env=os.environ | {name: str(value) for name, value in settings.items()})
    wrong = [output.text for output in _outputs(notebook) if output.get("name") == "stderr"]
    assert not wrong, "\n".join(wrong)
    return notebook


def _outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def tidied(notebook):
    """Remove what changes from one run to the next, and what the documentation does not show."""
    notebook.metadata = _METADATA
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
    for output in _outputs(notebook):
        if output.output_type == "stream":
            output.text = tidy(output.text) + "\n"
            continue
        kinds = ["image/png"] if "image/png" in output.data else _SHOWN
        output.data = {kind: output.data[kind] for kind in kinds if kind in output.data}
        output.metadata = {}
    return notebook


def differences(shown, executed):
    """Return a message for each cell with other text or another number of figures."""
    return [
        f"The cell\n{cell.source}\nprints\n{printed}\nbut the documentation shows\n{text}"
        for cell, (text, n_shown), (printed, n_drawn) in zip(
            executed.cells, map(_shown, shown.cells), map(_shown, executed.cells), strict=True
        )
        if not agree(text, printed) or n_shown != n_drawn
    ]


def _shown(cell):
    """Return what a cell prints, and its number of figures."""
    outputs = cell.get("outputs", [])
    data = [output.get("data", {}) for output in outputs]
    texts = [output.get("text", "") for output in outputs]
    texts += [kinds.get("text/plain", "") for kinds in data if "image/png" not in kinds]
    return tidy("\n".join(filter(None, texts))), sum("image/png" in kinds for kinds in data)


def main():
    import nbformat

    parser = argparse.ArgumentParser(prog="python -m tests.gallery", description=__doc__)
    parser.add_argument("examples", type=Path, nargs="+", help="scripts and notebooks")
    for example in parser.parse_args().examples:
        with tempfile.TemporaryDirectory() as folder:
            notebook = tidied(execute(read(example), Path(folder)))
        nbformat.validate(notebook)
        text = nbformat.writes(notebook)
        gallery_file(example).write_text(text.rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
