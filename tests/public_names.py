# SPDX-License-Identifier: BSD-3-Clause
"""The sub-packages that have public names, and those names."""

import importlib
from pathlib import Path

import sklearn_neurox

SUBPACKAGES = [
    init.parent.name
    for init in sorted(Path(sklearn_neurox.__file__).parent.glob("*/__init__.py"))
    if init.parent.name not in ("cli", "utils")
]


def public_names():
    """List the pairs of a sub-package and a public name."""
    return [
        (package, name)
        for package in SUBPACKAGES
        for name in importlib.import_module(f"sklearn_neurox.{package}").__all__
    ]
