# SPDX-License-Identifier: BSD-3-Clause
"""The score of a probe on every token of running text, and its colors."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox import ActivationExtractor, ElasticNetProbeClassifier, SubwordAggregator
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.inspection import highlight, score_tokens

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["The old dog 👍 barks.", "  a café", "Dogs", "The old dog 👍 barks."]


@pytest.fixture(scope="module", params=["gpt2", "llama", "bert", "byt5"])
def folder(request):
    return make_tiny_model(request.param, hidden_size=16, n_heads=2)


@pytest.fixture(scope="module")
def words():
    return make_tagged_words(25, random_state=0)


def fit(folder, probe, words, y, **params):
    steps = ActivationExtractor(folder, layers=[1, 2], **params), SubwordAggregator("mean")
    return make_pipeline(*steps, StandardScaler(), probe).fit(words, y)


def states_of(folder, text):
    """The pieces of a text and their states, from transformers alone."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    ids, bare = tokenizer(text)["input_ids"], tokenizer(text, add_special_tokens=False)["input_ids"]
    first = next(k for k in range(len(ids)) if ids[k : k + len(bare)] == bare)
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    own = slice(first, first + len(bare))
    return tokenizer.convert_ids_to_tokens(bare), np.hstack([s[0, own].numpy() for s in states[1:]])


@pytest.mark.slow
def test_scores_are_those_of_the_probe_on_each_token_s_state(folder, words):
    pieces, states = zip(*(states_of(folder, text) for text in TEXTS), strict=True)
    X, is_noun = np.vstack(states), words["upos"] == "NOUN"
    length = words["word"].str.len()
    for probe, y, method in (
        (LogisticRegression(C=0.1, max_iter=500), is_noun, "decision_function"),
        (LinearSVC(), is_noun, "decision_function"),
        (LogisticRegression(C=0.1, max_iter=500), words["upos"], "decision_function"),
        (LinearRegression(), length, "predict"),
        (LinearRegression(), np.column_stack([length, length]), "predict"),
    ):
        pipe = fit(folder, probe, words, y)
        scores = score_tokens(pipe, TEXTS)
        assert scores["token"].tolist() == [piece for own in pieces for piece in own]
        assert scores["sentence_id"].nunique() == len(TEXTS)
        wanted = getattr(pipe[2:], method)(X)
        found = scores[[c for c in scores if c.startswith("score")]].to_numpy()
        np.testing.assert_allclose(found, wanted.reshape(len(X), -1), rtol=1e-4, atol=1e-4)
    assert list(score_tokens(pipe, TEXTS).columns[-2:]) == ["score_0", "score_1"]


@pytest.mark.slow
def test_columns_name_the_classes(folder, words):
    pipe = fit(folder, LogisticRegression(C=0.1, max_iter=500), words, words["upos"])
    scores = score_tokens(pipe, TEXTS, response_method="predict_proba")
    columns = [f"score_{label}" for label in pipe.classes_]
    assert list(scores.columns[8:]) == columns
    np.testing.assert_allclose(scores[columns].sum(axis=1), 1.0, rtol=1e-5)
    assert [highlight(scores)._view.names, highlight(scores, neurons="score_NOUN")._view.names] == [
        columns,
        ["score_NOUN"],
    ]
    pipe = fit(folder, LogisticRegression(C=0.1, max_iter=500), words, words["upos"] == "NOUN")
    scores = score_tokens(pipe, TEXTS, response_method="predict_proba")
    assert scores["score"].between(0, 1).all()
    np.testing.assert_array_equal(
        scores["score"] > 0.5, score_tokens(pipe, TEXTS)["score"].to_numpy() > 0
    )


def test_highlight_colors_each_token_by_its_score(folder, words):
    pipe = fit(folder, LogisticRegression(C=0.1, max_iter=500), words, words["upos"] == "NOUN")
    scores = score_tokens(pipe, TEXTS)
    shown = highlight(scores, neurons=None, center=0.5)
    np.testing.assert_array_equal(shown.to_frame()["score"], scores["score"])
    for number, text in enumerate(TEXTS):
        pieces = shown._view.sentences.pieces[number]
        assert "".join(piece.text for piece in pieces) == text
        own, place = scores[scores["sentence_id"] == number], 0
        for piece in pieces:
            for at in range(place, place + len(piece.text)):
                # Each character has the color of the last of the tokens that have it.
                covering = own.index[(own["start"] <= at) & (at < own["end"])]
                assert piece.row == (covering[-1] if len(covering) else None)
            place += len(piece.text)
    assert "<svg" in shown.to_svg()
    assert highlight(scores.sample(frac=1, random_state=0)).to_frame().shape == (len(scores), 3)


@pytest.mark.slow
def test_tables_of_texts_and_searches(words):
    folder = make_tiny_model("gpt2", hidden_size=16, n_heads=2)
    y = words["upos"] == "NOUN"
    pipe = fit(folder, LogisticRegression(C=0.1, max_iter=500), words, y)
    table = pd.DataFrame({"text": TEXTS, "other": 1})
    pd.testing.assert_frame_equal(score_tokens(pipe, table), score_tokens(pipe, TEXTS[:3]))
    search = GridSearchCV(pipe, {"logisticregression__C": [1.0]}, cv=2).fit(words, y)
    found, wanted = score_tokens(search, TEXTS), score_tokens(search.best_estimator_, TEXTS)
    pd.testing.assert_frame_equal(found, wanted)
    nested = make_pipeline(pipe[:2], pipe[2:])
    pd.testing.assert_frame_equal(score_tokens(nested, TEXTS), score_tokens(pipe, TEXTS))


@pytest.mark.slow
def test_a_prefix_belongs_to_the_pipeline(words):
    folder = make_tiny_model("gpt2", hidden_size=16, n_heads=2)
    pipe = fit(
        folder,
        LogisticRegression(C=0.1, max_iter=500),
        words,
        words["upos"] == "NOUN",
        prefix="bos",
    )
    scores = score_tokens(pipe, ["Dogs bark"])
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    ids = [tokenizer.bos_token_id, *tokenizer("Dogs bark")["input_ids"]]
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[1:]
    X = np.hstack([state[0, 1:].numpy() for state in states])
    np.testing.assert_allclose(scores["score"], pipe[2:].decision_function(X), atol=1e-4)


@pytest.mark.slow
def test_bad_input_is_named(words):
    folder = make_tiny_model("gpt2", hidden_size=16, n_heads=2)
    y = words["upos"] == "NOUN"
    pipe = fit(folder, LogisticRegression(C=0.1, max_iter=500), words, y)
    with pytest.raises(ValueError, match="starts with an ActivationExtractor.*StandardScaler"):
        score_tokens(pipe[2:], TEXTS)
    with pytest.raises(TypeError, match="takes a list of texts, got one string"):
        score_tokens(pipe, "Dogs")
    for nothing in ([], [""], np.array([]), pd.DataFrame({"text": []})):
        with pytest.raises(ValueError, match="contains no token. Pass some text"):
            score_tokens(pipe, nothing)
    with pytest.raises(ValueError, match="reads the column 'text'"):
        score_tokens(pipe, pd.DataFrame({"word": ["Dogs"]}))
    with pytest.raises(ValueError, match="has no scores of tokens"):
        score_tokens(fit(folder, Perceptron(), words, y), TEXTS, response_method="predict_proba")
    with pytest.raises(ValueError, match="has no scores of tokens"):
        score_tokens(pipe, TEXTS, response_method="predict")
    with pytest.raises(ValueError, match="'pipeline' parameter of score_tokens must be"):
        score_tokens(pipe[:2], TEXTS)
    scores = score_tokens(pipe, TEXTS)
    with pytest.raises(ValueError, match=r"'nothing' is not a column of scores.*\['score'\]"):
        highlight(scores, neurons="nothing")
    with pytest.raises(ValueError, match="a frame without scores"):
        highlight(words)
    with pytest.raises(ValueError, match="must say which neurons"):
        highlight(words, np.ones((len(words), 2)))
    with pytest.raises(ValueError, match="score_tokens"):
        highlight(words, pipe, 0)


@pytest.mark.slow
def test_the_package_s_own_probe_scores_tokens(words):
    folder = make_tiny_model("gpt2", hidden_size=16, n_heads=2)
    pipe = fit(folder, ElasticNetProbeClassifier(random_state=0), words, words["upos"])
    scores = score_tokens(pipe, TEXTS)
    assert list(scores.columns[8:]) == [f"score_{label}" for label in pipe.classes_]
