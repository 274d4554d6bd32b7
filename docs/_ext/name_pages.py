# SPDX-License-Identifier: BSD-3-Clause
"""Make one page per public name, such as ``api/probes/ElasticNetProbeClassifier``, without files.

The text of a page is made during the build: how to import the name, its docstring, and links to the
pages and examples that mention it. So no page can outlive its name.
"""

import inspect
import json
import re

import mentions
from public_names import SUBPACKAGES, docstring, page_of, public_methods, public_names, resolve
from sphinx.project import Project

import sklearn_neurox

# These pages list all names, or explain none.
_LISTS = re.compile(r"(api|changelog|index|user_guide)$|(api|examples)/")


class ProjectWithNamePages(Project):
    """The pages in the folder, and one page per public name, read from its sub-package's page."""

    def discover(self, exclude_paths=(), include_paths=("**",)):
        """Find the pages in the folder, and add those of the names."""
        super().discover(exclude_paths, include_paths)
        self.docnames.update(page_of(*pair) for pair in _pairs())
        return self.docnames

    def doc2path(self, docname, absolute):
        """Return the path of a page; for the page of a name, that of its sub-package's page."""
        folder, _, name = docname.rpartition("/")
        has_file = not folder.startswith("api/")
        return super().doc2path(docname if has_file or not absolute else folder, absolute)


def _pairs():
    return [(package, name) for package in SUBPACKAGES for name in public_names(package)]


def _directives(package, name):
    """Yield the lines that insert the docstring of a name."""
    path, thing = f"sklearn_neurox.{package}.{name}", resolve(package, name)
    if inspect.isclass(thing):
        yield f".. autoclass:: {path}"
        for method in public_methods(thing):
            yield from ["", f"   .. automethod:: {path}.{method}"]
    elif callable(thing):
        yield f".. autofunction:: {path}"
    else:
        yield from [f".. py:data:: {path}", "", f"   {docstring(package, name)}"]


def _section(title, lines):
    return [f"```{{rubric}} {title}", "```", "", *lines, ""] if lines else []


def _names_in_examples(app):
    """Return the names that sphinx-gallery found in the examples, by their shortest imports."""
    folder = app.srcdir / app.config.sphinx_gallery_conf["backreferences_dir"]
    return json.loads((folder / "backreferences_all.json").read_text(encoding="utf-8")).keys()


def _cards(package, name, in_examples):
    """Return the lines that insert cards of the examples which use a name or one of its methods."""
    name = rf"sklearn_neurox\.({package}\.)?{name}(\.\w+)?"
    paths = sorted(path for path in in_examples if re.fullmatch(name, path))
    return ["```{eval-rst}", f".. minigallery:: {' '.join(paths)}", "```"] if paths else []


def _texts(app):
    """Map the page of each public name to its text."""
    names = {name for _, name in _pairs()}
    docnames = app.env.found_docs
    pages = {
        page: mentions.in_markdown(app.env.doc2path(page).read_text(encoding="utf-8"), names)
        for page in docnames
        if not _LISTS.match(page)
    }
    in_pages, in_examples = mentions.by_name(pages), _names_in_examples(app)
    texts = {}
    for package, name in _pairs():
        imports = [f"from sklearn_neurox.{package} import {name}"]
        if name in sklearn_neurox.__all__:
            imports.append(f"from sklearn_neurox import {name}  # the same")
        mentioning = [f"{{doc}}`/{page}`" for page in in_pages.get(name, [])]
        lines = [f"# {name}", "", "```python", *imports, "```", ""]
        lines += ["```{eval-rst}", *_directives(package, name), "```", ""]
        lines += _section("Pages that mention it", [f"- {link}" for link in mentioning])
        lines += _section("Gallery examples", _cards(package, name, in_examples))
        texts[page_of(package, name)] = "\n".join(lines)
    return texts


def _find_changed(app, env, added, changed, removed):
    """Make the texts, and return the pages whose text has changed since the last build."""
    before = getattr(env, "name_pages", {})
    env.name_pages = _texts(app)
    return [page for page, text in env.name_pages.items() if before.get(page) != text]


def _insert_text(app, docname, source):
    source[0] = app.env.name_pages.get(docname, source[0])


def _use_name_pages(app):
    app.project = app.env.project = ProjectWithNamePages(app.srcdir, app.config.source_suffix)


def setup(app):
    """Register the event handlers with Sphinx."""
    app.connect("builder-inited", _use_name_pages)
    app.connect("env-get-outdated", _find_changed)
    app.connect("source-read", _insert_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
