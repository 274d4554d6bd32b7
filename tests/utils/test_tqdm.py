# SPDX-License-Identifier: BSD-3-Clause
"""Notebooks without ipywidgets get no warning about progress bars."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Simulates what tqdm checks to detect a notebook, and a missing ipywidgets.
_NOTEBOOK = """
import sys, types, warnings
shell = types.SimpleNamespace(get_ipython=lambda: object())
sys.modules |= {"ipykernel.zmqshell": shell, "IPython": shell, "ipywidgets": None}
# Not "error": tqdm would catch the exception.
warnings.simplefilter("always")
"""
_OUR_WAY = """
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox import ActivationExtractor, SubwordAggregator, words_frame
words = words_frame([["One", "more"]])
extractor = ActivationExtractor({model}, verbose=1)
assert SubwordAggregator().fit_transform(extractor.fit_transform(words)).shape[0] == 2
assert not any("IProgress" in str(rule[1]) for rule in warnings.filters)
"""


def _run(source):
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", _NOTEBOOK + source],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["make_tiny_model()", "TINY"])
def test_no_ipywidgets_warning_in_a_notebook_without_it(model):
    from sklearn_neurox.datasets import make_tiny_model

    # One process makes its model, the other loads one first.
    model = model.replace("TINY", repr(make_tiny_model(hidden_size=8)))
    done = _run(_OUR_WAY.format(model=model))
    assert done.returncode == 0, done.stderr
    assert "extracting: 100%" in done.stderr and "Tqdm" not in done.stderr


@pytest.mark.slow
def test_the_simulated_notebook_makes_tqdm_warn():
    done = _run("import tqdm.auto")
    if "TqdmWarning" not in done.stderr:
        pytest.skip("the installed tqdm does not warn in a notebook without ipywidgets")
    assert "IProgress not found" in done.stderr
