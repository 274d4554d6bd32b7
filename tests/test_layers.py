# SPDX-License-Identifier: BSD-3-Clause
"""Imports go one way: every room imports only the rooms below it, and no rooms form a cycle."""

import ast
import graphlib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

import sklearn_neurox

_SOURCE = Path(sklearn_neurox.__file__).parent

# What each sub-package may import; `__init__` exports the headline names. A separate
# test checks that `evaluation` and `inspection` do not import each other in a cycle.
_STEPS = {"utils", "words", "extraction", "probes", "ranking", "selection", "ablation"}
_MAY_IMPORT = {
    "_interruption": set(),
    "utils": set(),
    "words": {"utils"},
    "extraction": {"utils", "words"},
    "probes": {"utils"},
    "ranking": {"utils", "probes"},
    "selection": {"utils", "probes", "ranking"},
    "ablation": _STEPS - {"ablation"},
    "evaluation": _STEPS | {"datasets", "inspection"},
    "inspection": _STEPS | {"datasets", "evaluation"},
    "datasets": {"utils", "words"},
    "io": {"utils", "words", "extraction", "__init__"},
    "__init__": _STEPS | {"evaluation", "inspection", "_interruption"},
    "cli": _STEPS | {"datasets", "evaluation", "inspection", "io", "__init__"},
    "__main__": {"cli"},
}

# The rungs of the ladder inside `extraction`, lowest first; the public steps stand above them.
_EXTRACTION = [{"_model"}, {"_text"}, {"_run"}, {"_cache", "_editing", "_sae"}]


class _Import(NamedTuple):
    importer: str
    imported: str
    where: str


def _modules(source):
    """Map the dotted name of every module below the folder `source` to its file."""
    modules = {}
    for file in sorted(source.rglob("*.py")):
        parts = file.relative_to(source.parent).with_suffix("").parts
        modules[".".join(parts)] = file
    return modules


def find_imports(source):
    """List the imports among the modules of the package in `source`, including those in functions.

    A package itself is the module ``package.__init__``.
    """
    modules = _modules(source)

    def module_of(name):
        return name if name in modules else f"{name}.__init__"

    imports = []
    for importer, file in modules.items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parents = importer.split(".")[: -node.level]
                    base = ".".join([*parents, *filter(None, [node.module])])
                # What is imported from a package may itself be a module.
                inside = [f"{base}.{alias.name}" for alias in node.names]
                names = [name if module_of(name) in modules else base for name in inside]
            else:
                continue
            for imported in dict.fromkeys(map(module_of, names)):
                if imported in modules and imported != importer:
                    where = f"{file.relative_to(source.parent)}:{node.lineno}"
                    imports.append(_Import(importer, imported, where))
    return imports


def _between_rooms(imports, package):
    """Sort the imports inside a package by the pair of its rooms (files and folders) they join."""
    pairs = defaultdict(list)
    prefix = f"{package}."
    for each in imports:
        if each.importer.startswith(prefix) and each.imported.startswith(prefix):
            rooms = [name[len(prefix) :].partition(".")[0] for name in each[:2]]
            if rooms[0] != rooms[1]:
                pairs[tuple(rooms)].append(each)
    return pairs


def _describe(imports):
    return "; ".join(f"{each.where} imports {each.imported}" for each in imports)


def find_cycles(source):
    """Describe one import cycle per package, at any depth, that has cycles among its rooms."""
    imports = find_imports(source)
    cycles = []
    for module in _modules(source):
        package, _, name = module.rpartition(".")
        if name != "__init__":
            continue
        pairs = _between_rooms(imports, package)
        graph = defaultdict(set)
        for importer, imported in pairs:
            graph[importer].add(imported)
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            # The error lists them from the imported room to the importer.
            rooms = error.args[1][::-1]
            steps = [each for pair in zip(rooms, rooms[1:], strict=False) for each in pairs[pair]]
            cycles.append(f"{package}: {' -> '.join(rooms)} ({_describe(steps)})")
    return cycles


def find_forbidden(source, may_import):
    """Describe the imports from one sub-package into another that `may_import` does not allow."""
    pairs = _between_rooms(find_imports(source), source.name)
    return [
        f"{importer} -> {imported} ({_describe(imports)})"
        for (importer, imported), imports in pairs.items()
        if imported != "_version" and imported not in may_import.get(importer, ())
    ]


def find_upward(source, package, rungs):
    """Describe the imports inside a package that lead to the same or a higher rung."""
    height = {room: number for number, rooms in enumerate(rungs) for room in rooms}
    top = len(rungs)
    return [
        f"{importer} -> {imported} ({_describe(imports)})"
        for (importer, imported), imports in _between_rooms(
            find_imports(source), f"{source.name}.{package}"
        ).items()
        if height.get(importer, top) < top
        and height.get(imported, top) >= height.get(importer, top)
    ]


@pytest.mark.slow
def test_every_subpackage_imports_only_those_below():
    rooms = {path.stem for path in _SOURCE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__pycache__", "_version", "py"} == set(_MAY_IMPORT)
    assert find_forbidden(_SOURCE, _MAY_IMPORT) == []


@pytest.mark.slow
def test_every_room_of_extraction_imports_only_those_below():
    folders = {file.parent.name for file in (_SOURCE / "extraction").glob("*/__init__.py")}
    assert folders == set().union(*_EXTRACTION)
    assert find_upward(_SOURCE, "extraction", _EXTRACTION) == []


@pytest.mark.slow
def test_no_rooms_form_a_cycle():
    assert find_cycles(_SOURCE) == []


# One line of source for the file `ranking/_a.py`, where `selection/_b.py` imports `ranking`.
_CYCLES = {
    "at the top": "from package.selection._b import B",
    "late": "def f():\n    from package.selection._b import B",
    "of a module": "from package.selection import _b",
    "by name": "import package.selection._b",
    "of the package": "from package import selection",
    "relative": "from ..selection._b import B",
    "for types alone": "if TYPE_CHECKING:\n    from package.selection import B",
}


def _write_package(folder, files):
    source = folder / "package"
    for name, text in files.items():
        file = source / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return source


@pytest.mark.parametrize("line", _CYCLES.values(), ids=_CYCLES)
def test_a_cycle_is_found_however_it_is_imported(tmp_path, line):
    files = {
        "__init__": "",
        "ranking/__init__": "from package.ranking._c import C",
        "ranking/_a": line,
        "ranking/_c": "C = 0",
        "selection/__init__": "",
        "selection/_b": "from package.ranking import C\nB = C",
    }
    source = _write_package(tmp_path, files)
    (cycle,) = find_cycles(source)
    assert cycle.startswith(
        ("package: ranking -> selection -> ranking", "package: selection -> ranking -> selection")
    )
    assert "package/ranking/_a.py:" in cycle
    assert "package/selection/_b.py:1 imports package.ranking.__init__" in cycle
    (forbidden,) = find_forbidden(source, _MAY_IMPORT)
    assert forbidden.startswith("ranking -> selection (package/ranking/_a.py:")
    _write_package(tmp_path, {"ranking/_a": ""})
    assert find_cycles(source) == find_forbidden(source, _MAY_IMPORT) == []


def test_a_cycle_deep_inside_a_package_is_found(tmp_path):
    files = {
        "__init__": "",
        "low/__init__": "",
        "low/_deep/__init__": "",
        "low/_deep/_a": "from package.low._deep import _b",
        "low/_deep/_b": "def f():\n    from package.low._deep._a import A",
    }
    (cycle,) = find_cycles(_write_package(tmp_path, files))
    assert cycle.startswith("package.low._deep: ")


def test_an_import_up_the_ladder_is_found(tmp_path):
    files = {
        "__init__": "",
        "extraction/__init__": "",
        "extraction/_model/_a": "def f():\n    from package.extraction._run._b import B",
        "extraction/_run/_b": "from package.extraction._extractor import E",
        "extraction/_cache/_c": "from package.extraction._editing._d import D",
        "extraction/_editing/_d": "from package.extraction._model._e import E",
        "extraction/_extractor": "from package.extraction import _cache",
    }
    upward = find_upward(_write_package(tmp_path, files), "extraction", _EXTRACTION)
    assert [line.partition(" (")[0] for line in upward] == [
        "_cache -> _editing",
        "_model -> _run",
        "_run -> _extractor",
    ]
