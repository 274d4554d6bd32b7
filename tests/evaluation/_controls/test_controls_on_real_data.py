# SPDX-License-Identifier: BSD-3-Clause
"""How much a linear probe memorizes of real words, layer by layer."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_neurox import (
    ActivationExtractor,
    ElasticNetProbeClassifier,
    SubwordAggregator,
    read_conllu,
)
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.evaluation import control_labels, online_codelength, selectivity_score

pytestmark = [
    pytest.mark.slow,
    # In the first blocks of the code, of a few dozen words.
    pytest.mark.filterwarnings("ignore:All coefficients are zero:UserWarning"),
]
PROBE = ElasticNetProbeClassifier(2.3e-3, l1_ratio=0.13, standardize=True, random_state=0)


@pytest.fixture(scope="module")
def words(treebank):
    words = read_conllu(treebank)
    return words[pd.factorize(words["sentence_id"])[0] < 600]


@pytest.fixture(scope="module")
def layers(words):
    pipe = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
    return np.split(pipe.fit_transform(words), 7, axis=1)


@pytest.fixture(scope="module")
def control(words):
    return control_labels(words, words["upos"])


def test_deeper_layers_are_harder_to_memorise(words, layers, control):
    sentence = pd.factorize(words["sentence_id"])[0]
    split = [(np.flatnonzero(sentence % 5), np.flatnonzero(sentence % 5 == 0))]
    table = pd.concat(
        [
            selectivity_score(PROBE, H, words["upos"], control, types=words["word"], cv=split)
            for H in layers
        ],
        ignore_index=True,
    )
    assert table["seen"].nunique() == 1 and 0.6 < table["seen"][0] < table["ceiling"][0] < 0.9
    # The embedding layer identifies words, and contains little else.
    assert table["control"].idxmax() in (0, 1) and table["control"].idxmin() == 6
    assert (table["control"] < table["ceiling"]).all()
    assert table["task"].idxmax() in (2, 3) and table["task"].max() > 0.9
    assert table["selectivity"].idxmin() == 0 and (table["selectivity"] > 0.1).all()


def test_the_middle_layers_have_the_shortest_code_and_controls_longer_ones(words, layers, control):
    task, random = (
        [
            online_codelength(PROBE, H, labels, groups=words["text"], random_state=0)
            for H in layers[::3]
        ]
        for labels in (words["upos"], control)
    )
    lengths, of_control = ([code.codelength for code in codes] for codes in (task, random))
    assert np.argmin(lengths) == 1 and task[1].compression > 5
    assert np.all(np.diff(of_control) > 0)
    assert np.all(2 * np.array(lengths) < of_control)
    assert len({code.uniform_codelength for code in (*task, *random)}) == 1
