# SPDX-License-Identifier: BSD-3-Clause
"""Docstrings: complete by numpydoc's rules, and their examples run."""

import doctest
import importlib
import inspect

import pytest
from numpydoc.validate import validate

from tests.public_names import public_names

# EX01: every example counts below; ES01: short things need no extended summary; SA01: not every
# function has relatives; GL08 is covered by ruff; RT02: scikit-learn names what it returns.
_IGNORED = {"ES01", "SA01", "SA04", "EX01", "GL08", "GL01", "RT02", "RT03"}


def _public():
    for package, name in public_names():
        if callable(getattr(importlib.import_module(f"sklearn_neurox.{package}"), name)):
            yield f"sklearn_neurox.{package}.{name}"


def _members():
    for path in _public():
        yield path
        thing = _resolve(path)
        if inspect.isclass(thing):
            for name, member in vars(thing).items():
                if not name.startswith("_") and inspect.isfunction(member):
                    yield f"{path}.{name}"


def _resolve(path):
    package, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(package), name)


@pytest.mark.parametrize("path", sorted(_members()))
def test_docstring_is_complete(path):
    errors = [e for e in validate(path)["errors"] if e[0] not in _IGNORED]
    assert not errors, f"{path}: {errors}"


@pytest.mark.parametrize("path", sorted(_public()))
def test_example_runs(path):
    thing = _resolve(path)
    assert ">>>" in (inspect.getdoc(thing) or ""), f"{path} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(recurse=True).find(thing, path):
        test.globs = {}
        result = runner.run(test)
        assert result.failed == 0, f"the example of {path} fails"
