# SPDX-License-Identifier: BSD-3-Clause
"""Change the meaning of one expression at a time, and see whether the tests notice.

Each change (a comparison, a sign, a constant, a boolean operator) is made in a copy of the tree.
Those tests of the mirrored room that run the changed line run there. Changes inside messages,
annotations and sizes of blocks are left out, since they do not change what the package computes.
What survives must still be read by a person: some changes are equivalent to the original.
"""

import ast
import importlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "sklearn_neurox"
_COPIED = (_PACKAGE, "tests", "benchmarks", "examples", "docs")
# Rooms whose tests stand elsewhere.
_TESTED_BY = {"extraction/_editing": "ablation"}
_TRIVIAL = ("cli", "datasets", "_version.py", "__main__.py", "__init__.py")
# Constants of this form change speed and memory, not results.
_SIZE = re.compile(r"^_?[A-Z_]*(BYTES|ROWS|WORDS|COLUMNS|CHUNK|MODELS|TOKENIZERS|BATCH)[A-Z_]*$")
# Packages that most tests import.
_PRELOADED = [
    "h5py",
    "matplotlib.pyplot",
    "pandas",
    "pytest",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "transformers.models.auto.modeling_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
]
_MESSAGES = ("warn_user", "Error", "Warning", "error", "refuse", "warn", "_refuse")

_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


class Mutation(NamedTuple):
    """One changed expression of one module."""

    module: str  # path inside the package
    line: int
    kind: str
    before: str
    after: str
    source: str  # the whole changed module

    def __str__(self):
        return f"{self.module}:{self.line} {self.before} -> {self.after}"


def run(*, quick: bool = False) -> dict[str, pd.DataFrame]:
    """Run a seeded sample of mutations.

    The environment variables ``MUTATIONS`` (60 by default), ``MUTATION_SEED`` and ``MUTATION_ONLY``
    (a regular expression that the path of the module must contain) change the sample.

    Parameters
    ----------
    quick : bool, default=False
        Whether to run five mutations only.

    Returns
    -------
    tables : dict of DataFrame
        How many mutations of each kind the tests caught, and the mutations that survived.
    """
    n_mutations = 5 if quick else int(os.environ.get("MUTATIONS", "60"))
    seed = int(os.environ.get("MUTATION_SEED", "0"))
    chosen = sample(n_mutations, seed, os.environ.get("MUTATION_ONLY", ""))
    _preload()
    with tempfile.TemporaryDirectory() as folder:
        tree = _copy(Path(folder))
        unchanged, outcomes = {}, []
        for number, mutation in enumerate(chosen, start=1):
            room = "/".join(tests_of(mutation.module).split("/")[:2])
            if room not in unchanged:
                unchanged[room] = _unchanged(tree, room)
                print(f"{room}: {unchanged[room][0]:.0f} s; failing: {unchanged[room][2] or None}")
            outcome = _try(tree, mutation, *unchanged[room])
            outcomes.append(outcome)
            print(f"{number}/{len(chosen)} {outcome:9} {mutation}", flush=True)
    counts = Counter((m.kind, o) for m, o in zip(chosen, outcomes, strict=True))
    table = pd.Series(counts).unstack(fill_value=0).rename_axis("kind").reset_index()
    survived = [m for m, o in zip(chosen, outcomes, strict=True) if o == "survived"]
    return {
        f"{len(chosen)} mutations, seed {seed}": table,
        "survived": pd.DataFrame({"mutation": [str(m) for m in survived]}),
    }


def sample(n_mutations, seed, only=""):
    """Draw mutations: modules in random order, one mutation of each in turn."""
    rng = random.Random(seed)
    modules = {}
    for file in sorted((_ROOT / _PACKAGE).rglob("*.py")):
        path = file.relative_to(_ROOT / _PACKAGE).as_posix()
        if path.split("/")[0] in _TRIVIAL or file.name in _TRIVIAL or not re.search(only, path):
            continue
        found = list(mutations(path, file.read_text(encoding="utf-8")))
        rng.shuffle(found)
        modules[path] = found
    order = sorted(modules)
    chosen = []
    while len(chosen) < n_mutations and any(modules.values()):
        rng.shuffle(order)
        chosen += [modules[path].pop() for path in order if modules[path]]
    return chosen[:n_mutations]


def mutations(path, source):
    """Yield every mutation of a module."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    for node in _meaningful(ast.parse(source)):
        for kind, changed in _changes(node):
            begin = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            text = source.encode()
            after = f"({ast.unparse(changed)})"
            new = (text[:begin] + after.encode() + text[end:]).decode()
            before = text[begin:end].decode()
            yield Mutation(path, node.lineno, kind, before, after, new)


def _meaningful(node):
    """Walk over the expressions whose change can change a result."""
    if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Assert, ast.ImportFrom, ast.MatchValue)):
        return
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name.endswith(_MESSAGES):
            return
    if isinstance(node, ast.Assign) and _SIZE.match(getattr(node.targets[0], "id", "")):
        return
    # Lengths that always agree; how much is printed.
    if isinstance(node, ast.keyword) and node.arg in ("strict", "verbose"):
        return
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _meaningful(child)


def _changes(node):
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            ops = [*node.ops[:i], _COMPARISONS[type(op)](), *node.ops[i + 1 :]]
            yield "comparison", ast.Compare(node.left, ops, node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        if not any(_is_text(side) for side in (node.left, node.right)):
            yield "arithmetic", ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "boolean", ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not, ast.Invert)):
        yield "sign or not", node.operand
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield "constant", ast.Constant(not node.value)
        elif isinstance(node.value, int):
            yield "constant", ast.Constant(node.value + 1)
        elif isinstance(node.value, float):
            yield "constant", ast.Constant(node.value * 2 or 1.0)


def _is_text(node):
    is_string = isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
    return is_string or isinstance(node, (ast.JoinedStr, ast.List, ast.ListComp))


def tests_of(module):
    """Return the tests that mirror a module: its own file, or the tests of its room."""
    path = Path(module)
    mirror = Path("tests") / path.parent / f"test{path.name}"
    if (_ROOT / mirror).exists():
        return mirror.as_posix()
    room = Path("tests") / _TESTED_BY.get(path.parent.as_posix(), path.parent)
    while not list((_ROOT / room).glob("test_*.py")):
        room = room.parent
    return room.as_posix()


def _copy(folder):
    for name in _COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "_build")
        shutil.copytree(_ROOT / name, folder / name, ignore=ignored)
    for file in _ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, folder / file.name)
    return folder


def _unchanged(tree, room):
    """Run the unchanged tests of a room.

    Returns the seconds that they took, the tests that run each line (by module and line), and the
    tests that fail as they are.
    """
    from coverage import CoverageData

    started, data, failed = time.perf_counter(), tree / ".coverage", tree / ".failed"
    data.unlink(missing_ok=True)
    failed.write_text("")
    recorded = [f"--cov={tree / _PACKAGE}", "--cov-context=test", "--cov-report=", room]
    _pytest(tree, recorded, 3600, failed=failed)
    runners, coverage = {}, CoverageData(str(data))
    coverage.read()
    for file in coverage.measured_files():
        module = Path(file).relative_to((tree / _PACKAGE).resolve()).as_posix()
        for line, contexts in coverage.contexts_by_lineno(file).items():
            # Without the phase of the test and its parameters.
            names = {name.partition("|")[0].partition("[")[0] for name in contexts}
            runners[module, line] = names - {""}
    return time.perf_counter() - started, runners, set(failed.read_text().splitlines())


def _try(tree, mutation, seconds, runners, failing):
    """Run the tests of the mirrored room that run the changed line, or all if it is not known."""
    tests = tests_of(mutation.module)
    lines = range(mutation.line, mutation.line + mutation.before.count("\n") + 1)
    known = set().union(*(runners.get((mutation.module, line), ()) for line in lines))
    chosen = sorted(name for name in known if name.startswith(tests))
    unless = [f"--deselect={name}" for name in sorted(failing)]
    file = tree / _PACKAGE / mutation.module
    original = file.read_bytes()
    file.write_text(mutation.source, encoding="utf-8")
    try:
        code = _pytest(tree, ["-x", *unless, *(chosen or [tests])], 60 + 2 * seconds)
    finally:
        file.write_bytes(original)
    # 5: each of the tests fails as it is.
    return {0: "survived", None: "hung", 5: "not tested"}.get(code, "caught")


class _Failures:
    """Writes the name of each test that fails into a file."""

    def __init__(self, file):
        self.file = file

    def pytest_runtest_logreport(self, report):
        if report.failed:
            with open(self.file, "a") as file:
                file.write(report.nodeid.partition("[")[0] + "\n")


def _preload():
    """Import what the tests need, once: every run of them is a fork of this process."""
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", PYTHONDONTWRITEBYTECODE="1")
    for name in _PRELOADED:
        importlib.import_module(name)
    assert _PACKAGE not in sys.modules, "the tests would not see the changed package"


def _pytest(tree, arguments, limit, *, failed=None):
    """Return the exit status of the tests, or None if they ran out of time."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _run_tests(tree, arguments, failed)
        finally:
            os._exit(code)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _run_tests(tree, arguments, failed):
    """Run the tests of the copied tree in this process, a fork, in silence."""
    import pytest

    os.setsid()  # so that what the tests start can be killed with them
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(silence, descriptor)
    os.chdir(tree)
    os.environ["PYTHONPATH"] = str(tree)
    sys.path[:] = [str(tree), *(path for path in sys.path if Path(path).resolve() != _ROOT)]
    # Plugins that a preloaded package has imported already.
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    plugins = [] if failed is None else [_Failures(failed)]
    return int(pytest.main(["-q", "-p", "no:cacheprovider", *quiet, *arguments], plugins=plugins))
