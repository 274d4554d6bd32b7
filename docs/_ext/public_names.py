# SPDX-License-Identifier: BSD-3-Clause
"""Build the API pages from each sub-package's ``__all__``, so that no public name is missing.

Defines two directives, ``public-names`` (a table) and ``name-pages`` (the page of a sub-package),
and links every public name in code markup to its page, and names of other projects to theirs.
"""

import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

from docutils import nodes
from other_projects import short_names
from sphinx import addnodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

import sklearn_neurox

_HOME = Path(sklearn_neurox.__file__).parent
_STRAIGHT = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'"})
SUBPACKAGES = [
    info.name
    for info in pkgutil.iter_modules(sklearn_neurox.__path__)
    if info.ispkg and info.name not in ("cli", "utils")
]


def public_names(subpackage):
    """Return the public names of a sub-package, in order."""
    return importlib.import_module(f"sklearn_neurox.{subpackage}").__all__


def resolve(subpackage, name):
    """Return the object that a public name stands for."""
    return getattr(importlib.import_module(f"sklearn_neurox.{subpackage}"), name)


def page_of(subpackage, name):
    """Return the page of a public name; no two differ in case alone, which some disks ignore."""
    rivals = [other for other in public_names(subpackage) if other.lower() == name.lower()]
    is_plain = len(rivals) == 1 or inspect.isclass(resolve(subpackage, name))
    return f"api/{subpackage}/{name}" + ("" if is_plain else "-function")


def docstring(subpackage, name):
    """Return the docstring of a public name, even if it is data."""
    package = importlib.import_module(f"sklearn_neurox.{subpackage}")
    if callable(resolve(subpackage, name)):
        return inspect.getdoc(resolve(subpackage, name))
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        documented = ModuleAnalyzer.for_module(info.name).find_attr_docs()
        if ("", name) in documented:
            return "\n".join(documented["", name]).strip()
    raise ValueError(f"{package.__name__}.{name} has no docstring.")


def public_methods(thing):
    """List the public methods defined in this package, without those from scikit-learn."""
    return [
        name
        for name, method in inspect.getmembers(thing, inspect.isroutine)
        if not name.startswith("_") and _HOME in _source_file(method).parents
    ]


def _source_file(method):
    code = getattr(inspect.unwrap(method), "__code__", None)
    return Path(code.co_filename) if code else Path()


class PublicNames(SphinxDirective):
    """A table of a sub-package's public names with their one-line summaries."""

    required_arguments = 1

    def run(self):
        """Return the nodes of the table."""
        package = self.arguments[0]
        lines = [".. list-table::", "   :class: public-names", "   :widths: 35 65", ""]
        for name in public_names(package):
            first = re.split(r"\n\s*\n", docstring(package, name))[0].replace("\n", " ")
            lines += [
                f"   * - :py:obj:`{name} <sklearn_neurox.{package}.{name}>`",
                f"     - {first}",
            ]
        return self.parse_text_to_nodes("\n".join(lines)) if public_names(package) else []


class NamePages(SphinxDirective):
    """A summary of a sub-package, the table of its public names, and their pages as subpages."""

    required_arguments = 1

    def run(self):
        """Return the nodes of the summary, the table and the list of pages."""
        package = self.arguments[0]
        summary = importlib.import_module(f"sklearn_neurox.{package}").__doc__
        pages = [f"   /{page_of(package, name)}" for name in public_names(package)]
        lines = [summary, "", f".. public-names:: {package}", ""]
        lines += [".. toctree::", "   :hidden:", "", *pages]
        return self.parse_text_to_nodes("\n".join(lines))


def aliases():
    """Map the classes that may stand in the types of parameters to links."""
    return {
        name: f":obj:`{name} <sklearn_neurox.{package}.{name}>`"
        for package in SUBPACKAGES
        for name in public_names(package)
        if inspect.isclass(resolve(package, name))
    }


@functools.cache
def _homes():
    """Map names in code markup (ours, our methods, other projects') to full names."""
    homes = short_names()
    for package in SUBPACKAGES:
        for name in public_names(package):
            thing = resolve(package, name)
            methods = public_methods(thing) if inspect.isclass(thing) else []
            for said in [name, *[f"{name}.{method}" for method in methods]]:
                homes[said] = f"sklearn_neurox.{package}.{said}"
    return homes


def _link_code(app, doctree):
    """Turn every name in code markup, ours or another project's, into a link to its entry."""
    homes = _homes()
    for reference in doctree.findall(addnodes.pending_xref):
        # Docstrings refer to our public names without the module path.
        target = reference.get("reftarget")
        reference["reftarget"] = homes.get(target, target)
    for literal in list(doctree.findall(nodes.literal)):
        name = literal.astext().partition("(")[0]
        if name not in homes or isinstance(literal.parent, nodes.title | nodes.reference):
            continue
        if isinstance(literal.parent, addnodes.pending_xref):
            continue
        link = addnodes.pending_xref(
            "",
            literal.deepcopy(),
            refdomain="py",
            reftype="obj",
            reftarget=homes[name],
            refexplicit=True,
            refwarn=True,
            refdoc=app.env.docname,
        )
        literal.replace_self(link)


def _straighten_quotes(app, doctree):
    """Show the strings in the types of parameters in straight quotes, as code.

    The links from diagrams to parameters search for the text of the docstring.
    """
    for classifier in doctree.findall(nodes.classifier):
        for text in list(classifier.findall(nodes.Text)):
            text.parent.replace(text, nodes.Text(text.translate(_STRAIGHT)))


def _quote_fitted_names(app, what, name, thing, options, lines):
    """Keep docutils from parsing names such as ``n_features_in_`` in shapes as links."""
    for i, line in enumerate(lines):
        if " of shape (" in line:
            names, colon, kind = line.rpartition(" : ")
            lines[i] = names + colon + re.sub(r"(?<![`\w])(\w+_)(?=[,)])", r"``\1``", kind)


def setup(app):
    """Register the directives and event handlers with Sphinx."""
    app.add_directive("public-names", PublicNames)
    app.add_directive("name-pages", NamePages)
    app.connect("doctree-read", _link_code)
    app.connect("doctree-read", _straighten_quotes)
    # numpydoc runs at priority 500, so this runs before it.
    app.connect("autodoc-process-docstring", _quote_fitted_names, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
