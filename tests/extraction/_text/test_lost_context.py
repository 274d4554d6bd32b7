# SPDX-License-Identifier: BSD-3-Clause
"""Words that are passed without their sentences raise a warning; whole texts do not."""

import pickle
import warnings

import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator


@pytest.fixture(scope="module")
def words():
    return make_tagged_words(20, random_state=0)


@pytest.fixture(scope="module")
def extractor():
    return ActivationExtractor(make_tiny_model("bert", n_layers=1, hidden_size=8, random_state=0))


SINGLE = "are single words .*without any context.*pass the frame of words"
EQUAL = "different label .*equal activations.*pass the frame of words"
RUNS = "different texts one after the other.*pass the frame of words"


@pytest.mark.slow
def test_words_without_their_sentences(words, extractor):
    y = words["upos"]
    shuffled = words.sample(frac=1, random_state=0)
    texts = words["text"].astype(str)
    for X, labels, message in (
        (words["word"], None, SINGLE),
        (words["word"], y, SINGLE),
        (words["word"].tolist(), None, SINGLE),
        (words["word"].to_numpy(), None, SINGLE),
        (words[["word"]].rename(columns={"word": "text"}), y, SINGLE),
        (words["word"][:10], None, SINGLE),
        (words[["text"]], y, EQUAL),
        (words["text"], y, EQUAL),
        (texts.tolist(), y.tolist(), EQUAL),
        (shuffled[["text", "word"]], shuffled["upos"], EQUAL),
        (words[["text"]], None, RUNS),
        (words["text"], None, RUNS),
    ):
        for call in (extractor.fit, extractor.fit_transform):
            with pytest.warns(UserWarning, match=message) as caught:
                call(X, labels)
            assert caught[0].filename == __file__
            assert len(caught) == 1
        if message == SINGLE:
            with pytest.warns(UserWarning, match=message):
                extractor.transform(X)


def test_texts_for_a_pipeline_that_was_fitted_on_words(words, extractor):
    pipe = make_pipeline(extractor, SubwordAggregator("mean"), GaussianNB())
    y = words["upos"]
    pipe.fit(words, y)
    frame = words.head(3)
    message = "fitted on words, but reads {} rows as whole texts.*words_frame.*score_tokens"
    texts = ["The old dog barks ."]
    with pytest.warns(UserWarning, match=message.format(1)):
        assert len(pickle.loads(pickle.dumps(pipe)).predict(texts)) == 1
    for fit in ("fit", "fit_transform"):
        fitted = clone(extractor)
        getattr(fitted, fit)(words, y)
        for X in (texts, frame[["text"]], frame["text"], frame["word"]):
            with pytest.warns(UserWarning, match=message.format(len(X))) as caught:
                fitted.transform(X)
            assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe[0].transform(frame)
        clone(extractor).transform(["The old dog barks ."])
        extractor.fit(["The old dog barks .", "Cats sleep ."]).transform(["The old dog ."])
        extractor.transform(frame)


def test_a_pipeline_passes_the_labels(words, extractor):
    pipe = make_pipeline(extractor, SubwordAggregator("mean"), GaussianNB())
    with pytest.warns(UserWarning, match=EQUAL):
        pipe.fit(words[["text"]], words["upos"])


def test_what_is_meant_as_it_is_raises_no_warning(words, extractor, tmp_path):
    sentences = words["text"].drop_duplicates().astype(str).tolist()
    y = ["a", "b"] * (len(sentences) // 2) + ["a"] * (len(sentences) % 2)
    types = words["word"].drop_duplicates()
    chinese = ["我喜欢狗", "猫喜欢我", "狗跑"] * 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extractor.fit(words, words["upos"])
        clone(extractor).transform(
            words["text"].tolist()
        )  # such as the text of each word as a baseline
        extractor.fit(words[["text", "start", "end"]].sample(frac=1, random_state=0))
        extractor.fit(sentences, y)
        extractor.fit(sentences * 2, y * 2)
        # The same sentences with the labels of three annotators who sometimes disagree.
        extractor.fit(sentences * 3, y * 2 + ["a"] * 3 + y[3:])
        extractor.fit(types.tolist())  # a word list
        extractor.fit(types.tolist(), range(len(types)))
        extractor.fit(chinese)
        extractor.fit(["Hello", "Hello"])
        extractor.fit(pd.DataFrame({"text": ["Hello"] * 20, "text_pair": ["a b"] * 20}))
        cached = ActivationExtractor(extractor.model, cache=tmp_path / "cache")
        cached.fill_cache(words["text"])
        cached.fill_cache(text for text in words["text"])
