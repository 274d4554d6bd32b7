# SPDX-License-Identifier: BSD-3-Clause
"""The files that list dependencies agree with setup.cfg."""

import configparser
import re
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

_ROOT = Path(__file__).parent.parent
_SETUP = configparser.ConfigParser()
_SETUP.read(_ROOT / "setup.cfg", encoding="utf-8")
_REQUIRED = _SETUP["options"]["install_requires"]
_EXTRAS = _SETUP["options.extras_require"]


def _requirements(text):
    """Map each package to its required version, from a file with one package per line."""
    pairs = re.findall(r"^([\w-]+)(?:\[.*\])?\s*([>=]=.*)$", text.strip(), re.M)
    return {name.replace("_", "-"): version for name, version in pairs}


def test_conda_and_pip_require_the_same_versions():
    environment = yaml.safe_load((_ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip == [".[demo]"]
    conda = _requirements("\n".join(plain))
    assert conda.pop("python") == _SETUP["options"]["python_requires"]
    # The same packages under conda-forge's names.
    conda["torch"], conda["matplotlib"] = conda.pop("pytorch"), conda.pop("matplotlib-base")
    assert conda == _requirements(_REQUIRED) | _requirements(_EXTRAS["plot"])


def test_the_oldest_versions_are_the_lower_bounds():
    bounds = _requirements("\n".join([_REQUIRED, *_EXTRAS.values()]))
    oldest = _requirements((_ROOT / "constraints-oldest.txt").read_text(encoding="utf-8"))
    assert oldest == {name: version.replace(">=", "==") for name, version in bounds.items()}


def test_the_tested_versions_satisfy_the_bounds():
    bounds = _requirements("\n".join([_REQUIRED, *_EXTRAS.values()]))
    tested = _requirements((_ROOT / "constraints.txt").read_text(encoding="utf-8").lower())
    for name, bound in bounds.items():
        assert tested[name].removeprefix("==") in SpecifierSet(bound), name


def test_the_test_extra_can_build_the_documentation():
    assert re.search(r"^sklearn-neurox\[.*\bdocs\b", _EXTRAS["test"], re.M)


def test_the_docs_extra_can_execute_the_examples():
    assert re.search(r"^sklearn-neurox\[.*\bdemo\b", _EXTRAS["docs"], re.M)
