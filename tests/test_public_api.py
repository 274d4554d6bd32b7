# SPDX-License-Identifier: BSD-3-Clause
"""The public names: present, sorted, light to import, with one class per file."""

import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import sklearn_neurox
from tests.public_names import SUBPACKAGES

_ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["sklearn_neurox", *(f"sklearn_neurox.{s}" for s in SUBPACKAGES)])
def test_all_is_sorted_and_importable(name):
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)


@pytest.mark.parametrize("name", SUBPACKAGES)
def test_public_classes_live_in_their_own_files(name):
    module = importlib.import_module(f"sklearn_neurox.{name}")
    homes = [
        inspect.getfile(getattr(module, public))
        for public in module.__all__
        if inspect.isclass(getattr(module, public))
    ]
    assert len(homes) == len(set(homes))


@pytest.mark.slow
def test_importing_loads_no_heavy_package():
    code = (
        f"import sys, {', '.join(f'sklearn_neurox.{name}' for name in SUBPACKAGES)}\n"
        "print([m for m in ('torch', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_file_names_the_installed_version():
    version = importlib.metadata.version("sklearn-neurox")
    assert version == sklearn_neurox.__version__, "reinstall the package after a change of version"
    citation = yaml.safe_load((_ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version
    changelog = (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changelog, re.M)[1] == version
