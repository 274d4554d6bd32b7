# SPDX-License-Identifier: BSD-3-Clause
"""A warm read: no model, no tokenizer, no torch, and the same plan as a cold one."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, clear_loaded_models
from sklearn_neurox.words import words_frame

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.filterwarnings("ignore:The pickle of this ActivationExtractor:UserWarning"),
]

STRATEGIES = ["first", "last", "mean", "max"]
FAMILIES = ["bert", "bert-uncased", "gpt2", "llama", "xlm-roberta", "canine", "byt5", "marian"]


@pytest.fixture
def no_tokenizer(monkeypatch):
    """Make configs and tokenizers unreachable."""

    def unreachable(*_, **__):
        raise AssertionError("a warm read has no need of this")

    def apply():
        clear_loaded_models()
        monkeypatch.setattr("sklearn_neurox.extraction._model._loading.fetch", unreachable)
        monkeypatch.setattr("sklearn_neurox.extraction._model._loading._build_model", unreachable)

    return apply


def plan_equal(found, expected):
    for name in ("_sequence", "_position", "_ptr", "_first_token"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found._index.equals(expected._index)
    np.testing.assert_array_equal(found.get_feature_names(), expected.get_feature_names())


@pytest.mark.slow
def test_a_fresh_process_imports_neither_torch_nor_transformers(tiny, words, tmp_path):
    script = (
        "import sys, pandas as pd, numpy as np\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn_neurox import ActivationExtractor, SubwordAggregator\n"
        "extractor = ActivationExtractor(sys.argv[1], layers=[2, 0], cache=sys.argv[2])\n"
        "pipe = make_pipeline(extractor, SubwordAggregator('mean'))\n"
        "pipe.set_output(transform='pandas')\n"
        "H = pipe.fit_transform(pd.read_pickle(sys.argv[3]))\n"
        "assert (H.columns == pipe.get_feature_names_out()).all()\n"
        "assert extractor.fill_cache(['Dogs bark']) == 0\n"
        "np.save(sys.argv[4], H.to_numpy())\n"
        "print([m for m in ('torch', 'transformers', 'tokenizers') if m in sys.modules])\n"
    )
    extractor = ActivationExtractor(tiny("bert"), layers=[2, 0], cache=tmp_path / "cache")
    H = extractor.transform(words).pool("mean")
    extractor.fill_cache(["Dogs bark"])
    words.to_pickle(tmp_path / "words.pkl")
    names = ["cache", "words.pkl", "H.npy"]
    done = subprocess.run(
        [sys.executable, "-c", script, tiny("bert"), *(str(tmp_path / name) for name in names)],
        capture_output=True, text=True, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    np.testing.assert_array_equal(np.load(tmp_path / "H.npy"), H)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_warm_plan_equals_the_cold_one(family, tiny, words, tmp_path, no_tokenizer):
    plain = ActivationExtractor(tiny(family)).transform(words)
    expected = {strategy: plain.pool(strategy) for strategy in STRATEGIES}
    extractor = ActivationExtractor(tiny(family), cache=tmp_path)
    cold = extractor.transform(words)
    plan_equal(cold, plain)
    cold.pool("last")
    no_tokenizer()
    warm = extractor.fit(words).transform(words)
    plan_equal(warm, plain)
    for strategy in STRATEGIES:
        np.testing.assert_array_equal(warm.pool(strategy), expected[strategy])
    some = words.iloc[[30, 2, 2, 17]]
    np.testing.assert_array_equal(
        extractor.transform(some).pool("mean"), expected["mean"][[30, 2, 2, 17]]
    )


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_windows_texts_pairs_and_warnings_come_out_of_the_cache(
    family, tiny, words, tmp_path, no_tokenizer
):
    pairs = pd.DataFrame({"text": ["Dogs", "Dogs", "A"], "text_pair": ["bark", "bite", "b"]})
    requests = [
        (words, {"max_length": 9}),
        (["Dogs bark", "", "A dog", "the old dog saw the man"], {"max_length": 5}),
        (["Dogs bark", "A dog"], {"special_tokens": True}),
        (pairs, {"special_tokens": True}),
    ]
    # A word that spells a special token and a dropped word raise their warnings each time.
    odd = ["\u200d" if family == "bert" else "", "[MASK] <|endoftext|>", "dog"]
    requests.append((odd, {}))

    def run(**options):
        found = []
        for X, parameters in requests:
            plan = ActivationExtractor(tiny(family), **parameters, **options).transform(X)
            found.append((plan, [plan.pool(strategy) for strategy in STRATEGIES]))
            if family == "bert" and isinstance(X, list):
                found[-1][1].append(plan.pool("cls"))
        return found

    with pytest.warns(UserWarning) as plain_warnings:
        plain = run()
    with pytest.warns(UserWarning):
        run(cache=tmp_path)
    no_tokenizer()
    with pytest.warns(UserWarning) as warm_warnings:
        warm = run(cache=tmp_path)
    plain_messages = [str(w.message) for w in plain_warnings if "third" not in str(w.message)]
    assert [str(w.message) for w in warm_warnings] == plain_messages
    for (found, H), (expected, K) in zip(warm, plain, strict=True):
        plan_equal(found, expected) if found._index is not None else None
        for ours, theirs in zip(H, K, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_errors_equal_those_of_a_cold_read(tiny, words, tmp_path, no_tokenizer):
    extractor = ActivationExtractor(tiny("gpt2"), max_length=5, cache=tmp_path)
    extractor.transform(words).pool("last")
    no_tokenizer()
    with pytest.raises(ValueError, match="overflow='window'"):
        extractor.set_params(overflow="error").transform(words)
    with pytest.raises(ValueError, match="'cls'.*has no token that stands for"):
        extractor.set_params(overflow="window").transform(words["text"].tolist()).pool("cls")


@pytest.mark.slow
def test_wrong_layers_are_refused_by_a_warm_cache_too(tiny, words, tmp_path):
    extractor = ActivationExtractor(tiny("bert"), cache=tmp_path)
    extractor.transform(words).pool("last")
    for layers in (7, [-4], [1, 1], [], "all"):
        with pytest.raises(ValueError, match="'layers' parameter"):
            extractor.set_params(layers=layers).fit(words)
        with pytest.raises(ValueError, match="'layers' parameter"):
            extractor.transform(words)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"max_length": 20},
        {"split_special_tokens": True},
        {"weights": "random"},
        {"tokenizer": "other"},
    ],
)
def test_what_changes_the_activations_changes_the_folder(change, tiny, words, tmp_path):
    from transformers import AutoTokenizer

    if "tokenizer" in change:
        AutoTokenizer.from_pretrained(tiny("bert")).save_pretrained(tmp_path / "tokenizer")
        (tmp_path / "tokenizer" / "vocab.txt").write_text("another\n")
        change = {"tokenizer": str(tmp_path / "tokenizer")}
    cache = ActivationCache(tmp_path / "cache")
    for parameters in ({}, change, {}, change):
        extractor = ActivationExtractor(tiny("bert"), cache=cache, **parameters)
        plain = ActivationExtractor(tiny("bert"), **parameters).transform(words).pool("last")
        np.testing.assert_array_equal(extractor.transform(words).pool("last"), plain)
    assert len(cache.info()) == 2


@pytest.mark.slow
def test_other_parameters_do_not_change_the_folder(tiny, words, tmp_path, count_forwards):
    cache = ActivationCache(tmp_path)
    for parameters in (
        {}, {"layers": 1}, {"max_batch_tokens": 50}, {"overflow": "error"},
        {"special_tokens": True},
        {"missing": "nan"}, {"verbose": 0}, {"device": "cpu"}, {"n_jobs": 2},
    ):  # fmt: skip
        ActivationExtractor(tiny("bert"), cache=cache, **parameters).transform(words).pool("last")
    assert sum(count_forwards) == 6 and len(cache.info()) == 1


# Live models


@pytest.mark.slow
def test_a_pickled_extractor_of_a_live_model_serves_its_cache(live, words, tmp_path):
    model, tokenizer = live("bert")
    for given in (tokenizer, None):
        extractor = ActivationExtractor(model, tokenizer=given, cache=tmp_path)
        H = extractor.transform(words).pool("mean")
        restored = pickle.loads(pickle.dumps(extractor))
        assert extractor.model is model
        np.testing.assert_array_equal(restored.fit(words).transform(words).pool("mean"), H)
        np.testing.assert_array_equal(
            restored.transform(words.iloc[[3, 1]]).pool("mean"), H[[3, 1]]
        )
        assert restored.get_feature_names_out()[-1] == "hidden.2.15"
        message = r"no layer 7; <a live BertModel> has the layers \[0, 1, 2\]"
        with pytest.raises(ValueError, match=message):
            restored.set_params(layers=[7]).fit(words)
        restored.set_params(layers=None)
        plan = pickle.loads(pickle.dumps(extractor.transform(words)))
        np.testing.assert_array_equal(plan.pool("mean"), H)
        with pytest.raises(ValueError, match=r"live BertModel.*pickles leave out.*path"):
            restored.transform(words_frame([["Nobody", "has", "read", "this"]]))


@pytest.mark.slow
def test_training_a_live_model_does_not_change_its_pickles(live, words, tmp_path):
    import torch

    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=tmp_path)
    H = extractor.transform(words).pool("mean")
    stored = pickle.dumps(extractor)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.data.mul_(2)
    assert np.abs(extractor.transform(words).pool("mean") - H).max() > 1e-3
    np.testing.assert_array_equal(pickle.loads(stored).transform(words).pool("mean"), H)


@pytest.mark.slow
def test_a_tokenizer_with_a_new_token_is_a_different_one(live, words, tmp_path):
    model, tokenizer = live("bert")
    cache = ActivationCache(tmp_path)
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=cache)
    extractor.transform(words).pool("last")
    tokenizer.add_tokens(["unquestionably"])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    extractor.transform(words).pool("last")
    assert len(cache.info()) == 2
    tokenizer(["one", "two or three"], padding=True, truncation=True, max_length=3)
    extractor.transform(words).pool("last")
    assert len(cache.info()) == 2  # settings of a single call do not make a different tokenizer


@pytest.mark.slow
def test_hooks_keep_even_a_warm_plan_from_the_cache(live, words, tmp_path):
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=tmp_path)
    plain = extractor.transform(words).pool("mean")
    plan = extractor.transform(words)[[5, 3, 8]]
    handle = model.encoder.layer[0].register_forward_hook(
        lambda module, args, output: (output[0] * 2,) if isinstance(output, tuple) else output * 2
    )
    for found in (plan, extractor.transform(words)[[5, 3, 8]]):
        with pytest.warns(UserWarning, match="hooks"):
            assert np.abs(found.pool("mean") - plain[[5, 3, 8]]).max() > 1e-3
    with pytest.raises(ValueError, match="hooks .* before filling"):
        extractor.fill_cache(words)
    handle.remove()
    np.testing.assert_array_equal(plan.pool("mean"), plain[[5, 3, 8]])


def test_a_hub_model_is_identified_by_its_commit(tiny, words, tmp_path, monkeypatch):
    import shutil

    from sklearn_neurox.extraction._model._fingerprint import _located, fingerprint

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    stored = tmp_path / "models--someone--tiny"
    extractor = ActivationExtractor("someone/tiny", cache=tmp_path / "cache")
    assert fingerprint(extractor._spec(), {}) is None  # not on this machine yet
    prints = []
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(tiny("bert"), stored / "snapshots" / commit)
        (stored / "refs").mkdir(exist_ok=True)
        (stored / "refs" / "main").write_text(commit)
        assert _located("someone/tiny", None) == (stored / "snapshots" / commit, commit)
        prints.append(fingerprint(extractor._spec(), {}))
    assert prints[0] != prints[1]
    assert fingerprint(extractor.set_params(revision="a" * 40)._spec(), {}) == prints[0]
    assert _located("someone/else", None) is None
    assert _located(str(tmp_path / "no" / "such" / "folder"), None) is None


def test_the_digest_of_a_large_model_is_kept_until_its_files_change(tmp_path, monkeypatch):
    from sklearn_neurox.extraction._model import _fingerprint

    model, memo = tmp_path / "model", tmp_path / "memo"
    model.mkdir()
    weights = model / "model.safetensors"
    weights.write_bytes(b"weights")
    monkeypatch.setattr(_fingerprint, "_WORTH_KEEPING", 1)
    digest = lambda: _fingerprint._digest([weights], memo)  # noqa: E731
    first = digest()
    assert not memo.exists()  # changed a moment ago, so it may change again
    os.utime(weights, (1e9, 1e9))
    assert digest() == first
    monkeypatch.setattr(_fingerprint, "_of_files", None)
    assert digest() == first  # from the disk
    monkeypatch.undo()
    monkeypatch.setattr(_fingerprint, "_WORTH_KEEPING", 1)
    weights.write_bytes(b"others!")
    os.utime(weights, (2e9, 2e9))
    assert digest() != first
