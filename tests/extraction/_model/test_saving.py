# SPDX-License-Identifier: BSD-3-Clause
"""Pipelines that are saved, copied, or cached by joblib.Memory."""

import copy
import pickle
import shutil

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline

from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator, TorchModel

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")


def pipeline(model, memory=None, **params):
    steps = [
        ("extract", ActivationExtractor(model, **params)),
        ("pool", SubwordAggregator()),
        ("probe", LogisticRegression(max_iter=500)),
    ]
    return Pipeline(steps, memory=memory)


def rewrite(folder, factor):
    """Write other weights to a model folder."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(factor)
    model.save_pretrained(folder)


# Saving


@pytest.mark.slow
@pytest.mark.parametrize("cached", [False, True])
def test_saving_says_that_a_live_model_is_left_out(cached, live, words, tmp_path):
    model, tokenizer = live("bert")
    cache = {"cache": tmp_path / "cache"} if cached else {}
    fitted = pipeline(model, tokenizer=tokenizer, **cache).fit(words, words["tag"])
    what = "new texts" if cached else "anything"
    message = rf"leaves out <a live BertModel>.* cannot read {what} until.*save_pretrained"
    with pytest.warns(UserWarning, match=message):
        joblib.dump(fitted, tmp_path / "pipeline.joblib")
    with pytest.warns(UserWarning, match=message):
        stored = pickle.dumps(fitted)
    restored = joblib.load(tmp_path / "pipeline.joblib")
    with pytest.raises(ValueError, match=r"live BertModel.*pickles leave out"):
        restored.predict(words.assign(text=words["text"].astype(str) + " "))
    for again in (restored, pickle.loads(stored)):
        again.set_params(extract__model=model, extract__tokenizer=tokenizer)
        np.testing.assert_array_equal(again.predict(words), fitted.predict(words))


@pytest.mark.slow
def test_saving_a_complete_pipeline_says_nothing(tiny, live, words, tmp_path):
    named = pipeline(tiny("bert"), tokenizer=live("bert")[1]).fit(words, words["tag"])
    joblib.dump(named, tmp_path / "pipeline.joblib")
    restored = joblib.load(tmp_path / "pipeline.joblib")
    np.testing.assert_array_equal(restored.predict(words), named.predict(words))


@pytest.mark.slow
def test_following_the_advice_saves_a_complete_pipeline(live, words, tmp_path):
    model, tokenizer = live("bert")
    fitted = pipeline(model, tokenizer=tokenizer).fit(words, words["tag"])
    expected = fitted.predict(words)
    for one in (model, tokenizer):
        one.save_pretrained(tmp_path / "folder")
    fitted.set_params(extract__model=str(tmp_path / "folder"), extract__tokenizer=None)
    joblib.dump(fitted, tmp_path / "pipeline.joblib")
    restored = joblib.load(tmp_path / "pipeline.joblib")
    np.testing.assert_array_equal(restored.predict(words), expected)


@pytest.mark.slow
def test_skops_refuses_live_objects_when_saving(tiny, live, words, tmp_path):
    skops = pytest.importorskip("skops.io")
    from sklearn_neurox.io import SKOPS_TRUSTED

    model, tokenizer = live("bert")
    for held, names in [
        ((model, tokenizer), "BertModel and a live Bert"),
        ((model, None), "BertModel, which"),
        ((tiny("bert"), tokenizer), "live BertTokenizer"),
    ]:
        fitted = pipeline(held[0], tokenizer=held[1]).fit(words, words["tag"])
        with pytest.raises(TypeError, match=f"skops cannot store .*{names}.*save_pretrained"):
            skops.dumps(fitted)
    fitted.set_params(extract__tokenizer=None)
    stored = skops.loads(skops.dumps(fitted), trusted=SKOPS_TRUSTED)
    np.testing.assert_array_equal(stored.predict(words), fitted.predict(words))


@pytest.mark.slow
def test_copies_share_a_live_model(live, words):
    model, tokenizer = live("bert")
    fitted = pipeline(model, tokenizer=tokenizer, layers=[1, 2]).fit(words, words["tag"])
    for other in (copy.deepcopy(fitted), copy.copy(fitted)):
        assert other[0].model is model and other[0].tokenizer is tokenizer
        np.testing.assert_array_equal(other.predict(words), fitted.predict(words))
    assert copy.deepcopy(fitted[0]).layers is not fitted[0].layers


@pytest.mark.slow
def test_workers_are_not_told_about_saving(live, words, tmp_path):
    model, tokenizer = live("bert")
    given = pipeline(model, tokenizer=tokenizer, cache=tmp_path)
    given[0].fill_cache(words)
    alone = cross_val_score(given, words, words["tag"], cv=2)
    with joblib.parallel_config("loky", n_jobs=2):
        np.testing.assert_allclose(cross_val_score(given, words, words["tag"], cv=2), alone)


# memory=


@pytest.mark.slow
def test_memory_notices_a_folder_written_anew(tiny, words, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny("bert"), folder)
    for _ in range(2):
        for factor in (1, 3, 1 / 3):
            if factor != 1:
                rewrite(folder, factor)
            found = pipeline(str(folder), memory=str(tmp_path / "memory"))
            plain = pipeline(str(folder)).fit(words, words["tag"])
            for _ in range(2):
                found.fit(words, words["tag"])
                np.testing.assert_array_equal(found[-1].coef_, plain[-1].coef_)


def test_memory_saves_reading_again(tiny, words, tmp_path, count_forwards):
    found = pipeline(tiny("bert"), memory=str(tmp_path / "memory"))
    found.fit(words, words["tag"])
    count_forwards.clear()
    found.fit(words, words["tag"])
    assert count_forwards == []


@pytest.mark.slow
def test_memory_refuses_a_live_model(live, words, tmp_path):
    """Pipeline would take back its extractor from a pickle, without the model."""
    model, tokenizer = live("bert")
    for cache in (None, tmp_path / "cache"):
        given = pipeline(model, str(tmp_path / "memory"), tokenizer=tokenizer, cache=cache)
        with pytest.raises(ValueError, match=r"memory= of .*<a live BertModel>.*memory=None"):
            given.fit(words, words["tag"])
    given.set_params(memory=None).fit(words, words["tag"])


@pytest.mark.slow
def test_memory_of_the_steps_after_the_extraction(live, words, tmp_path):
    """The matrix is kept, not the rows, so a live model is identified and not needed again."""
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    rest = Pipeline(pipeline(model).steps[1:], memory=str(tmp_path))
    for factor in (1, 3):
        with torch.no_grad():
            model.embeddings.word_embeddings.weight.mul_(factor)
        plain = pipeline(model, tokenizer=tokenizer).fit(words, words["tag"])
        rest.fit(extractor.transform(words), words["tag"])
        np.testing.assert_array_equal(rest[-1].coef_, plain[-1].coef_)


@pytest.mark.slow
def test_memory_keeps_nothing_of_an_ablated_model(tiny, live, words, tmp_path):
    model, tokenizer = live("bert")
    for held in (model, tiny("bert")):
        extractor = ActivationExtractor(held, tokenizer=tokenizer)
        rest = Pipeline(pipeline(held).steps[1:], memory=str(tmp_path))
        with (
            pytest.raises(ValueError, match="hooks.*set memory=None"),
            ablate_model(extractor, ["hidden.1.0"]),
        ):
            rest.fit(extractor.transform(words), words["tag"])


def test_memory_refuses_a_module_without_a_name(words, tmp_path):
    module = torch.nn.Sequential(torch.nn.Embedding(300, 6), torch.nn.Linear(6, 3))
    model = TorchModel(
        module, lambda text: ([1] * len(text), [(i, i + 1) for i in range(len(text))])
    )
    rest = Pipeline(pipeline("x").steps[1:], memory=str(tmp_path))
    plan = ActivationExtractor(model, component="module:1").transform(words)
    with pytest.raises(ValueError, match=r"no fingerprint.*memory=None"):
        rest.fit(plan, words["tag"])
