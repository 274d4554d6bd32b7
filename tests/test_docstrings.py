# SPDX-License-Identifier: BSD-3-Clause
"""Docstrings: complete by numpydoc's rules, with a plain summary and examples that run."""

import doctest
import functools
import importlib
import inspect
import re
from pathlib import Path

import numpy
import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import sklearn_neurox
from tests.public_names import public_names

_SOURCE = Path(sklearn_neurox.__file__).parent
# EX01: examples are checked below; ES01: not everything needs an extended summary; SA01: not every
# function has related ones; GL08 is covered by ruff; RT02: scikit-learn names return values.
_IGNORED = {"ES01", "SA01", "SA04", "EX01", "GL08", "GL01", "RT02", "RT03"}


def _resolve(path):
    package, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(package), name)


def _public():
    for package, name in public_names():
        path = f"sklearn_neurox.{package}.{name}"
        if callable(_resolve(path)):
            yield path


def _function_behind(member):
    """Return the function of a method, property or conditional method; None for other objects."""
    for attribute in ("fget", "func", "fn", "__func__"):
        member = getattr(member, attribute, member)
    return member if inspect.isfunction(member) else None


def _members():
    """Map the path of every public name to the object that has its docstring.

    For classes, this includes the methods and properties that are defined in this package.
    """
    members = {}
    for path in _public():
        members[path] = thing = _resolve(path)
        for name in dir(thing) if inspect.isclass(thing) else ():
            member = inspect.getattr_static(thing, name)
            function = _function_behind(member)
            if not name.startswith("_") and function is not None:
                if _SOURCE in Path(inspect.unwrap(function).__code__.co_filename).parents:
                    members[f"{path}.{name}"] = member
    return members


_MEMBERS = _members()


@pytest.mark.parametrize("path", sorted(_MEMBERS))
def test_docstring_is_complete(path):
    errors = [e for e in validate(path)["errors"] if e[0] not in _IGNORED]
    assert not errors, f"{path}: {errors}"


@pytest.mark.parametrize("path", sorted(_MEMBERS))
def test_summary_is_a_plain_sentence(path):
    member = _MEMBERS[path]
    summary = inspect.getdoc(member).split("\n\n")[0]
    assert "\n" not in summary
    assert summary.endswith(".")
    first = summary.split()[0]
    assert first not in {"Tell", "Tells", "Give", "Gives", "Say", "Says"}
    # Classes and properties have noun phrases; callables have imperatives.
    if not inspect.isclass(member) and not isinstance(member, property | functools.cached_property):
        assert first not in {"A", "An", "How", "The", "This", "What", "Whether", "Which"}
        assert not first.endswith("s") or first.endswith("ss"), f"{first} is not imperative"


def _stated_defaults(member):
    """Map the parameters of a docstring to the defaults that it states, where it states any."""
    defaults = {}
    for names, kind, _ in NumpyDocString(inspect.getdoc(member))["Parameters"]:
        found = re.search(r"default=(.+)$", kind)
        if found and "..." not in kind:
            value = eval(found[1], {"numpy": numpy})
            names = names.split(", ")
            values = value if len(names) > 1 and isinstance(value, tuple) else [value] * len(names)
            defaults.update(zip(names, values, strict=True))
    return defaults


def test_stated_defaults_are_those_of_the_signature():
    n_stated, wrong = 0, []
    for path, member in _MEMBERS.items():
        function = member if inspect.isclass(member) else _function_behind(member)
        if isinstance(member, property | functools.cached_property):
            continue
        parameters = inspect.signature(function).parameters
        for name, stated in _stated_defaults(member).items():
            n_stated += 1
            default = parameters[name].default
            if default != stated or type(default) is not type(stated):
                wrong.append(f"{path}: {name}={stated!r} is documented, but it is {default!r}")
    assert not wrong, "\n".join(wrong)
    assert n_stated > 600


@pytest.mark.parametrize("path", sorted(_public()))
def test_example_runs(path):
    thing = _resolve(path)
    assert ">>>" in (inspect.getdoc(thing) or ""), f"{path} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(recurse=True).find(thing, path):
        test.globs = {}
        result = runner.run(test)
        assert result.failed == 0, f"the example of {path} fails"
