# SPDX-License-Identifier: BSD-3-Clause
"""Wrong calls of the three functions that change a model: each error says what, where and how."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox.ablation import ConceptEraser, ablate_model, causal_effect, steer_model
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.probes import MeanDifferenceProbeClassifier
from sklearn_neurox.words import words_frame

WORDS = words_frame([["The", "old", "dog", "barked"], ["She", "saw", "the", "dog"]])
LATER = WORDS[WORDS["position"] > 0]
Y = np.array([True, False, False, True, False, True])


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    path = make_tiny_model("gpt2", path=tmp_path_factory.mktemp("gpt2"), hidden_size=16)
    model = AutoModelForCausalLM.from_pretrained(path)
    return ActivationExtractor(model, tokenizer=AutoTokenizer.from_pretrained(path))


def columns(layer, width=16):
    rng = np.random.RandomState(layer)
    return pd.DataFrame(
        rng.normal(3.0, 2.0, size=(40, width)),
        columns=[f"hidden.{layer}.{u}" for u in range(width)],
    )


LABELS = np.arange(40) % 2 == 0
H, OTHER_LAYER, NARROW, WIDE = columns(1), columns(7), columns(1, 8), columns(1, 24)
SCALED = pd.DataFrame(StandardScaler().fit_transform(H), columns=H.columns)
BOTH = pd.concat([H, columns(2)], axis=1)
MEAN = MeanDifferenceProbeClassifier
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression()).fit(H, LABELS)
# what: (type of the error, message); steer_model takes the same directions, but no erasers.
DIRECTIONS = [
    (MEAN().fit(NARROW, LABELS), ValueError, "over 8 neurons, but block hidden.1 has 16; it lacks"),
    (MEAN().fit(WIDE, LABELS), ValueError, r"'hidden.1.16' \(8 in total\).* 'hidden.1.15'"),
    (MEAN().fit(OTHER_LAYER, LABELS), ValueError, r"'hidden.7.0'.* in the layers \[0, 1, 2\]"),
    (MEAN().fit(BOTH, LABELS), ValueError, "spans 2 blocks, 'hidden.1' to 'hidden.2'.*Fit one"),
    (MEAN().fit(H.to_numpy(), LABELS), ValueError, r"columns without names.*Fit it on a DataFrame"),
    (MEAN(), NotFittedError, "not fitted"),
    (MEAN, TypeError, "is the class MeanDifferenceProbeClassifier. Pass a fitted instance"),
    (PIPELINE, ValueError, "is a Pipeline.*scaled ones"),
    (H.iloc[0] * 0, ValueError, "direction of length zero"),
    (H.iloc[0] * np.nan, ValueError, "is nan at the neuron 'hidden.1.0'"),
    (H.iloc[0] * 1j, ValueError, "complex numbers"),
    (pd.concat([H.iloc[0]] * 2), ValueError, "'hidden.1.0' more than once"),
    (pd.Series(1.0, range(16)), ValueError, "must have names of neurons"),
]
ERASERS = [
    (ConceptEraser().fit(OTHER_LAYER, LABELS), ValueError, r"'hidden.7.0'.* in the layers"),
    (ConceptEraser().fit(BOTH, LABELS), ValueError, "spans 2 blocks"),
    (ConceptEraser().fit(NARROW, LABELS), ValueError, "over 8 neurons"),
    (ConceptEraser(), NotFittedError, "not fitted"),
    *[
        (ConceptEraser(method, n_directions=n).fit(SCALED, LABELS), ValueError, "standardized col")
        for method, n in (("leace", None), ("inlp", 1), ("mean", None), ("random", 2))
    ],
]
NAMES = [
    (["attention.1.h9"], ValueError, "'attention.1' has the heads 'h0' to 'h3'"),
    (["attention.*.h9"], ValueError, r"in the layers \[1, 2\], has the heads 'h0' to 'h3'"),
    (["attention.9.h0"], ValueError, r"in the layers \[1, 2\], has the heads 'h0' to 'h3'"),
    (["mlp.1.h0"], ValueError, "only attention has heads, such as 'attention.1.h0'"),
    (["attention.1.h2.99"], ValueError, "has the 16 neurons 'attention.1.h0.0' to"),
    (["hiden.*"], ValueError, "no component 'hiden', only"),
    (["attention.1.h1", "attention.1.h1.3"], ValueError, "'attention.1.h1.3', more than once"),
    ([3], ValueError, "is an index, not the name"),
    (["x0"], ValueError, r"Generated names \('x0'\)"),
    (np.ones(16), ValueError, r"holds numbers.*pd.Series\(values, index=names\)"),
]
GROUPS = [
    ({"a": ["hidden.1.*"], "b": ["hidden.1.3"]}, ValueError, "'a' and 'b'.*overlap: both have"),
    ({"a": ["attention.1.h0"], "b": "attention.1.*"}, ValueError, "'a' and 'b'.*overlap"),
    ({"a": []}, ValueError, "group 'a'.*has no neurons"),
    ({}, ValueError, "has no groups"),
    ({"a": np.ones(16)}, ValueError, "group 'a'.*holds numbers.*Pass directions as a DataFrame"),
    ({"a": H.iloc[0]}, ValueError, "group 'a'.*holds numbers.*Pass directions as a DataFrame"),
    ({"a": ["attention.1.h9"]}, ValueError, "has the heads 'h0' to 'h3'"),
    ([], ValueError, "is empty. Name at least one neuron"),
]


def enter(context, extractor):
    """Run the model on the first text within a context."""
    with context as model:
        model(**extractor.tokenizer(str(WORDS["text"].iloc[0]), return_tensors="pt"))


@pytest.mark.slow
def test_what_cannot_be_changed(extractor):
    for what, kind, message in [*DIRECTIONS, *ERASERS, *NAMES, *GROUPS]:
        with pytest.raises(kind, match=message):
            causal_effect(extractor, LATER, Y, what)
    for what, kind, message in [*DIRECTIONS, *ERASERS, *NAMES]:
        with pytest.raises(kind, match=message):
            ablate_model(extractor, what)
    for what, kind, message in DIRECTIONS:
        with pytest.raises(kind, match=message):
            steer_model(extractor, what)
    for what, layer, kind, message in (
        (ERASERS[0][0], None, ValueError, "is an eraser, whose directions have no sign"),
        (np.ones(16), None, TypeError, r"pd.Series\(values, index=names\) does"),
        (np.ones(5), 1, ValueError, "over 5 neurons, but block hidden.1 has 16"),
        (np.ones((2, 16)), 1, ValueError, r"one direction.*shape \(2, 16\)"),
        (np.ones(16), 7, ValueError, r"'hidden.7.0'.* in the layers \[0, 1, 2\]"),
        (np.ones(16) * 1j, 1, ValueError, "complex numbers"),
        (MEAN().fit(H, LABELS), 2, ValueError, "no neurons of layer 2, but 'hidden.1.0' to"),
        (["hidden.1.3"], 1, ValueError, "values that are not numbers"),
    ):
        with pytest.raises(kind, match=message):
            steer_model(extractor, what, layer=layer)


@pytest.mark.slow
def test_where_it_cannot_be_changed(extractor):
    own, unread = LATER.iloc[[0, 3]], words_frame([["A", "dog"]])
    cases = [
        (unread, "read none of the 1 texts .*such as 'A dog'.*tokenize texts as the extractor"),
        (own.assign(end=99), r"row 0 \(index label 1\) \(start=4, end=99\) is empty or out of"),
        (own.assign(start=-1), "start=-1"),
        (own.drop(columns="text"), "reads the column 'text'"),
        (own.assign(text=[None, "a"]), "'text' is missing in 1 rows"),
        (own[:0], r"0 sample\(s\)"),
        ([1, 2], "item 0 is int, not str"),
        ("first", "must be a str among"),
        ("generated", "generate"),
        (None, "Got None"),
    ]
    for positions, message in cases:
        for call in (
            lambda p: enter(ablate_model(extractor, ["hidden.1.3"], positions=p), extractor),
            lambda p: enter(steer_model(extractor, H.iloc[0], positions=p), extractor),
            lambda p: causal_effect(extractor, LATER, Y, ["hidden.1.*"], steps=[1], positions=p),
        ):
            with pytest.raises(ValueError, match=message):
                call(positions)
    for values, message in (
        (own.assign(end=99), "out of range"),
        (own[:1], "has 1 rows, but the positions have 2"),
        (own.drop(columns="text"), "lacks the neuron 'hidden.1.3'"),
        (["The old dog"] * 2, r"'old', has another number of tokens \(2\).*'The old dog' \(4; 2"),
        (np.ones((2, 5)), r"shape \(2, 1\). Got shape \(2, 5\)"),
        (None, "needs the other rows"),
        (3.0, r"Got shape \(\)"),
    ):
        options = {"fill": "interchange", "positions": own, "values": values}
        for call in (
            lambda options: ablate_model(extractor, ["hidden.1.3"], **options),
            lambda options: causal_effect(extractor, LATER, Y, ["hidden.1.3"], **options, steps=1),
        ):
            with pytest.raises(ValueError, match=message):
                call(options)
