# SPDX-License-Identifier: BSD-3-Clause
"""The public names: there, sorted, light to import, and one class a file."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import sklearn_neurox

_SUBPACKAGES = [
    "ablation",
    "datasets",
    "evaluation",
    "extraction",
    "inspection",
    "io",
    "probes",
    "ranking",
    "selection",
    "words",
]


@pytest.mark.parametrize("name", ["sklearn_neurox", *(f"sklearn_neurox.{s}" for s in _SUBPACKAGES)])
def test_all_is_sorted_and_there(name):
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)


@pytest.mark.parametrize("name", _SUBPACKAGES)
def test_public_classes_live_in_a_file_of_their_own(name):
    module = importlib.import_module(f"sklearn_neurox.{name}")
    homes = [
        inspect.getfile(getattr(module, public))
        for public in module.__all__
        if inspect.isclass(getattr(module, public))
    ]
    assert len(homes) == len(set(homes))


def test_importing_brings_no_heavy_package():
    code = (
        "import sys, sklearn_neurox, sklearn_neurox.datasets\n"
        "print([m for m in ('torch', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_below_knows_what_is_above():
    """DESIGN: probes never import extraction; nobody imports the command line."""
    above = {
        "utils": ["words", "extraction", "probes", "ranking", "selection", "ablation", "cli"],
        "words": ["extraction", "probes", "ranking", "selection", "ablation", "cli"],
        "extraction": ["probes", "ranking", "selection", "ablation", "cli"],
        "probes": ["extraction", "ranking", "selection", "ablation", "cli"],
        "ranking": ["extraction", "ablation", "cli"],
        "selection": ["extraction", "ablation", "cli"],
        "ablation": ["cli"],
        "evaluation": ["cli"],
        "inspection": ["cli"],
        "io": ["probes", "ranking", "selection", "ablation", "cli"],
    }
    for package, forbidden in above.items():
        root = importlib.import_module(f"sklearn_neurox.{package}")
        for info in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
            source = inspect.getsource(importlib.import_module(info.name))
            for other in forbidden:
                imported = [
                    line
                    for line in source.splitlines()
                    if line.lstrip().startswith(
                        (f"from sklearn_neurox.{other}", f"import sklearn_neurox.{other}")
                    )
                ]
                assert not imported, f"{info.name}: {imported}"


def test_version_is_the_installed_one():
    assert sklearn_neurox.__version__ == sklearn_neurox._version.__version__
