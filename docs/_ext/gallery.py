# SPDX-License-Identifier: BSD-3-Clause
"""Show the executed notebooks of ``docs/gallery``.

A parser turns a notebook into a page: text, code, what the code prints and draws, and links to
download the notebook and the script that it was made from. The comment ``# Figure: ...`` above the
code of a figure is its alternative text. The directive ``gallery`` lists the pages as cards, each
with a figure.
"""

import base64
import json
import os
import re
from pathlib import Path

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

_EXAMPLES = Path(__file__).parents[2] / "examples"
# The figures have 150 dots per inch; an inch is shown as 100 pixels.
_SCALE = 2 / 3


class NotebookParser(MystParser):
    """Read an executed notebook as a page."""

    supported = ("notebook",)

    def parse(self, inputstring, document):
        """Fill the document with the nodes of the page."""
        env = document.settings.env
        cells = json.loads(inputstring)["cells"]
        super().parse("\n\n".join(_page(cells, env, env.docname)), document)


def _page(cells, env, docname):
    """Yield the Markdown blocks of a page."""
    title, *introduction = _source(cells[0]).split("\n")
    found = _figures(cells, env, docname)
    figures = ((_relative(path, env, docname), width) for path, width in found)
    yield title
    yield _downloads(docname, env)
    yield "\n".join(introduction)
    for cell in cells[1:]:
        if cell["cell_type"] == "markdown":
            yield _source(cell)
            continue
        yield _fenced("python", _source(cell))
        descriptions = iter(figure_descriptions(cell))
        for output in cell["outputs"]:
            yield _output(output, figures, descriptions)


def _source(cell):
    return "".join(cell["source"])


def figure_descriptions(cell):
    """Return the texts of the comments that describe the figures of a cell, in order."""
    found = re.findall(r"^# Figure: (.*(?:\n# (?!Figure: ).*)*)", _source(cell), flags=re.M)
    return [text.replace("\n# ", " ") for text in found]


def _downloads(docname, env):
    name = docname.rpartition("/")[2]
    links = [f"{{download}}`Download notebook <{name}.ipynb>`"]
    script = _EXAMPLES / f"{name}.py"
    if script.is_file():
        links.insert(0, f"{{download}}`Download Python script <{_relative(script, env, docname)}>`")
    return _fenced("{rst-class} example-downloads", "") + "\n\n" + " ".join(links)


def _output(output, figures, descriptions):
    data = {kind: "".join(lines) for kind, lines in output.get("data", {}).items()}
    if "image/png" in data:
        path, width = next(figures)
        description = next(descriptions, None)
        if description is None:
            raise ExtensionError(f"{path}: a comment '# Figure: ...' must say what it shows.")
        options = f":alt: {description}\n:width: {width}px"
        return _fenced(f"{{image}} {path}", f"{options}\n:class: example-figure")
    if "text/html" in data:
        return _fenced("{raw} html", f'<div class="example-html">{data["text/html"]}</div>')
    return _fenced("text", data.get("text/plain") or "".join(output["text"]).rstrip("\n"))


def _fenced(what, content):
    longest = max(map(len, re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{what}\n{content}\n{fence}"


def _figures(cells, env, docname):
    """Write the figures of a notebook beside the doctrees; return their paths and widths."""
    folder = Path(env.doctreedir) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    drawn = [
        output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]
    found = []
    for number, encoded in enumerate(drawn, 1):
        png = base64.b64decode("".join(encoded))
        path = folder / f"{docname.rpartition('/')[2]}-{number}.png"
        path.write_bytes(png)
        # The width is in bytes 16 to 19 of every PNG file.
        width = round(_SCALE * int.from_bytes(png[16:20]))
        found.append((path, width))
    return found


def _relative(path, env, docname):
    """Return a path relative to a page, as Sphinx wants it."""
    return Path(os.path.relpath(path, (Path(env.srcdir) / docname).parent)).as_posix()


class Gallery(SphinxDirective):
    """Cards of examples, with links to their pages; the content lists the pages."""

    has_content = True

    def run(self):
        """Return the nodes of the cards, and of the tree of pages."""
        pages = "\n".join(self.content)
        tree = self.parse_text_to_nodes(_fenced("{toctree}", f":hidden:\n\n{pages}"))
        return [*tree, nodes.container("", *map(self._card, self.content), classes=["gallery"])]

    def _card(self, page):
        notebook = Path(self.env.srcdir) / f"{page}.ipynb"
        self.env.note_dependency(notebook)
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        introduction = _source(cells[0]).partition("\n")[2]
        link = addnodes.pending_xref(
            "",
            nodes.inline(),
            refdomain="std",
            reftype="doc",
            reftarget=f"/{page}",
            refexplicit=False,
            refwarn=True,
            refdoc=self.env.docname,
        )
        card = nodes.container("", nodes.paragraph("", "", link), classes=["gallery-card"])
        # "et al." before a bracket does not end a sentence.
        sentence = re.split(r"(?<=[.?!])\s+(?![(\[a-z])", introduction.strip(), maxsplit=1)[0]
        card += self.parse_text_to_nodes(sentence)
        for path, _ in _figures(cells, self.env, page)[:1]:
            uri = _relative(path, self.env, self.env.docname)
            card.insert(0, nodes.image(uri=uri, alt=""))
        return card


def setup(app):
    """Register the parser and the directive with Sphinx."""
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
