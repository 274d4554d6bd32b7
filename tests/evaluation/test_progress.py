# SPDX-License-Identifier: BSD-3-Clause
"""A progress bar is shown only on request and does not change the results."""

import dataclasses

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.evaluation import (
    baseline_table,
    layer_profile,
    online_codelength,
    selectivity_score,
)

RNG = np.random.default_rng(0)
Y, CONTROL = RNG.integers(2, size=(2, 120))
X = RNG.normal(size=(120, 6)) + Y[:, np.newaxis]
WORDS = [f"word{number}" for number in range(120)]
GIVEN = {"groups": np.arange(120) // 4}
PROBE = LogisticRegression()
# The number of steps of each function, and their unit.
FUNCTIONS = {
    "layer_profile": (
        lambda **more: layer_profile(PROBE, X, Y, n_layers=3, cv=4, **more),
        3 * 4 + 3,
        "layer",
    ),
    "selectivity_score": (
        lambda **more: selectivity_score(PROBE, X, Y, CONTROL, cv=4, **more),
        2 * 4,
        "fit",
    ),
    "online_codelength": (
        lambda **more: online_codelength(
            PROBE, X, Y, fractions=[0.25, 0.5, 1.0], decompose=True, random_state=0, **more
        ),
        2 + 1,
        "fit",
    ),
    "baseline_table": (
        lambda **more: baseline_table(WORDS, Y, estimator=PROBE, X=X, cv=4, random_state=0, **more),
        5 * 4,
        "fit",
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_bar_on_demand(name, n_jobs, capsys):
    function, total, unit = FUNCTIONS[name]
    silent = function(**GIVEN)
    assert not any(capsys.readouterr())
    with joblib.parallel_config("threading"):
        loud = function(**GIVEN, n_jobs=n_jobs, verbose=True)
    shown = capsys.readouterr()
    assert not shown.out and f" {total}/{total} " in shown.err and unit in shown.err
    assert shown.err.count("\n") == 1
    if name == "online_codelength":
        silent, loud = (
            pd.DataFrame([dataclasses.asdict(one) | {"blocks": str(one.blocks)}])
            for one in (silent, loud)
        )
    pd.testing.assert_frame_equal(silent, loud)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_verbosity(name):
    with pytest.raises(ValueError, match=f"The 'verbose' parameter of {name} must be"):
        FUNCTIONS[name][0](**GIVEN, verbose="yes")
