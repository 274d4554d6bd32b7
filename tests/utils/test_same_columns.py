# SPDX-License-Identifier: BSD-3-Clause
"""Named columns are paired by position, so those in another order are an error."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.evaluation import ranking_agreement
from sklearn_neurox.inspection import (
    NeuronReport,
    RankingAgreementDisplay,
    neuron_summary,
    predictions_frame,
)
from sklearn_neurox.ranking import LCARanker, ProbelessRanker
from sklearn_neurox.utils._names import check_same_columns
from sklearn_neurox.words import words_frame

RNG = np.random.default_rng(0)
NAMES = [f"hidden.1.{unit}" for unit in range(4)]
X = pd.DataFrame(RNG.normal(size=(60, 4)), columns=NAMES)
Y = np.where(X["hidden.1.0"] > 0, "a", "b")
WORDS = words_frame([["one", "two", "three"]] * 20)
RANKER, PROBE = ProbelessRanker().fit(X, Y), LogisticRegression().fit(X, Y)
CALLS = {
    "neuron_summary of a ranker": lambda Z: neuron_summary(RANKER, Z, Y),
    "neuron_summary of a probe": lambda Z: neuron_summary(PROBE, Z, Y),
    "NeuronReport": lambda Z: NeuronReport(RANKER, Z, Y, WORDS),
    "NeuronReport with a probe": lambda Z: NeuronReport(
        RANKER, X, Y, WORDS, probe=LogisticRegression().fit(Z, Y)
    ),
    "predictions_frame": lambda Z: predictions_frame(PROBE, Z, WORDS, Y),
    "ranking_agreement": lambda Z: ranking_agreement(
        {"one": RANKER, "other": ProbelessRanker().fit(Z, Y)}
    ),
    "RankingAgreementDisplay": lambda Z: RankingAgreementDisplay.from_rankings(
        {"one": RANKER, "other": LCARanker().fit(Z, Y)}, k=1
    ),
}


def test_columns_in_another_order_are_an_error():
    """They were read by position, under the names of others."""
    for name, call in CALLS.items():
        call(X)
        call(X.copy().add_prefix("layers__") if name == "ranking_agreement" else X)
        for moved in (X[NAMES[::-1]], X[[*NAMES[1:], NAMES[0]]]):
            with pytest.raises(ValueError, match="in the same order|same order as they were"):
                pytest.fail(f"{name}: {call(moved)}")


def test_what_has_no_such_names_is_not_compared():
    others = (X.to_numpy(), X.set_axis(range(4), axis=1), X[NAMES[1:]], X.add_prefix("union__"))
    for other in (*others, X.add_prefix("mlp."), PROBE, LogisticRegression().fit(X.to_numpy(), Y)):
        check_same_columns("f", X=X, other=other)
    assert neuron_summary(RANKER, X.to_numpy(), Y)["neuron"].iloc[0] == NAMES[0]
