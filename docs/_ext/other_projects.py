# SPDX-License-Identifier: BSD-3-Clause
"""Link to the documentation of other projects, without a network while building.

``other_projects.txt`` lists the names. They become the inventories that intersphinx reads. If a
docstring refers to a name of these projects that is not listed, the build warns.
"""

import re
import zlib
from pathlib import Path

from numpydoc.xref import DEFAULT_LINKS
from sphinx.util import logging

_logger = logging.getLogger(__name__)
_LIST = Path(__file__).with_suffix(".txt")
_ABBREVIATIONS = {"numpy": "np", "pandas": "pd"}


def read_list(text):
    """Map each project to its address, and each of its names to the location on its pages."""
    projects, page = {}, ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if header := re.fullmatch(r"\[(\w+)\] (\S+)", line):
            locations = {}
            projects[header[1]] = header[2], locations
        elif line.startswith(" "):
            locations[line.strip()] = page
        else:
            page = line
    return projects


PROJECTS = read_list(_LIST.read_text(encoding="utf-8"))


def _is_term(name, project):
    return name.partition(".")[0] not in (project, "os", "pathlib", "re", "str")


def inventory(project, locations):
    """Return the inventory of a project, in version 2 of Sphinx's format."""
    header = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    lines = []
    for name, location in locations.items():
        kind = "py:class" if name.rpartition(".")[2][0].isupper() else "py:function"
        kind = "std:term" if _is_term(name, project) else kind
        lines.append(f"{name} {kind} 1 {location.replace('$', name)} -\n")
    note = "# The remainder of this file is compressed using zlib.\n"
    return (header + note).encode() + zlib.compress("".join(lines).encode())


def short_names():
    """Map what the pages write to listed names: ``GridSearchCV``, ``np.load``, ``DataFrame``."""
    short = {"ndarray": "numpy.ndarray"}
    for project, (_, locations) in PROJECTS.items():
        for name in locations:
            if _is_term(name, project):
                continue
            first, _, rest = name.partition(".")
            short[name] = name
            short[f"{_ABBREVIATIONS.get(first, first)}.{rest}"] = name
            if from_class := re.search(r"\.([A-Z].*)", name):
                short[from_class[1]] = name
            elif project == "sklearn":
                short[name.rpartition(".")[2]] = name
    return short


def aliases():
    """Map the words in the types of parameters to what they link to."""
    plain = {word: word for word in DEFAULT_LINKS}
    terms = {
        name: f":term:`{name} <sklearn:{name}>`"
        for name in PROJECTS["sklearn"][1]
        if _is_term(name, "sklearn")
    }
    names = short_names() | {"path-like": "os.PathLike"}
    links = {word: f":obj:`{word} <{name}>`" for word, name in names.items()}
    return plain | links | terms


def _use_inventories(app, config):
    """Write the inventories beside the doctrees, and have intersphinx read them."""
    folder = Path(app.doctreedir) / "inventories"
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for project, (address, locations) in PROJECTS.items():
        file = folder / f"{project}.inv"
        file.write_bytes(inventory(project, locations))
        mapping[project] = (address, str(file))
    config.intersphinx_mapping = mapping


def _warn_of_missing(app, env, node, contnode):
    target = node.get("reftarget", "")
    _, locations = PROJECTS.get(target.partition(".")[0], (None, {target: None}))
    if target not in locations:
        _logger.warning("%s is not listed in docs/_ext/%s.", target, _LIST.name, location=node)


def setup(app):
    """Register the event handlers with Sphinx."""
    # intersphinx checks its setting at priority 800.
    app.connect("config-inited", _use_inventories, priority=400)
    app.connect("missing-reference", _warn_of_missing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
