# SPDX-License-Identifier: BSD-3-Clause
"""Errors for bad input say what is wrong, where, and what to do, and change nothing."""

import shutil

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array

from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.extraction import ActivationExtractor, Activations, SubwordAggregator

NAN = float("nan")


def with_cell(row, column, value):
    def change(words):
        words = words.copy()
        words[column] = words[column].astype(object)
        words.loc[words.index[row], column] = value
        return words

    return change


def with_text(value):
    def change(words):
        text = words["text"].astype(object)
        text.iloc[4] = value
        return words.assign(text=text)

    return change


BAD_ROWS = {
    "empty frame": (lambda w: w.iloc[:0], ValueError, r"0 sample\(s\)"),
    "frame without columns": (
        lambda w: pd.DataFrame(index=[0]),
        ValueError,
        "reads the column 'text'",
    ),
    "empty list": (lambda w: [], ValueError, r"0 sample\(s\)"),
    "empty array": (lambda w: np.array([], dtype=object), ValueError, r"0 sample\(s\)"),
    "no text": (
        lambda w: w.drop(columns="text"),
        ValueError,
        r"column 'text'.*'start', 'word'|reads the column 'text'.*\['start', 'end'",
    ),
    "no end": (lambda w: w.drop(columns="end"), ValueError, "has the column 'start' but not"),
    "no start": (lambda w: w.drop(columns="start"), ValueError, "has the column 'end' but not"),
    "two columns text": (
        lambda w: pd.concat([w, w[["text"]]], axis=1),
        ValueError,
        "several columns named 'text'",
    ),
    "missing text": (
        with_text(None),
        ValueError,
        "'text' is missing in 1 rows; the first is row 4",
    ),
    "NaN text": (with_text(NAN), ValueError, "'text' is missing in 1 rows; .* is row 4"),
    "number as text": (with_text(7), ValueError, r"row 4 holds int \(7\)"),
    "bytes as text": (with_text(b"Dogs"), ValueError, "row 4 holds bytes"),
    "NaN start": (
        with_cell(3, "start", NAN),
        ValueError,
        "'start' is missing in 1 rows; the first is row 3",
    ),
    "NA end": (
        with_cell(3, "end", pd.NA),
        ValueError,
        "'end' is missing in 1 rows; the first is row 3",
    ),
    "fraction": (
        with_cell(2, "start", 8.5),
        ValueError,
        "'start' must contain whole .* row 2 holds 8.5",
    ),
    "column of fractions": (
        lambda w: w.assign(start=w["start"] + 0.5),
        ValueError,
        r"'start' must contain whole .* row 0 holds 0\.5\.",
    ),
    "word as start": (
        with_cell(2, "start", "x"),
        ValueError,
        "'start' must contain whole .* row 2",
    ),
    "infinite end": (
        with_cell(2, "end", np.inf),
        ValueError,
        "'end' must contain whole .* row 2 .*inf",
    ),
    "empty span": (
        with_cell(5, "end", 26),
        ValueError,
        r"span of row 5 \(start=26, end=26\) is empty.*\(1 such",
    ),
    "inverted span": (with_cell(1, "end", 2), ValueError, "span of row 1 .*empty or out of range"),
    "span past the text": (
        with_cell(5, "end", 99),
        ValueError,
        r"row 5 \(start=26, end=99\).*its text has 27 characters",
    ),
    "negative start": (with_cell(0, "start", -1), ValueError, r"row 0 \(start=-1, end=3\)"),
    "span of another word": (
        with_cell(2, "start", 9),
        ValueError,
        r"the word of row 2 is 'dog', but text\[9:11\] is 'og' \(1 such",
    ),
    "another word": (with_cell(7, "word", "dogs"), ValueError, "the word of row 7 is 'dogs'"),
    "array of rows": (lambda w: w.to_numpy(), ValueError, "ndarray of rows.*Pass the DataFrame"),
    "list of rows": (lambda w: w.to_numpy().tolist(), ValueError, "pass the frame itself"),
    "one string": (lambda w: "Dogs bark", ValueError, "list of texts or a frame of words, got one"),
    "a number": (lambda w: 3, TypeError, "at least 1 dimension"),
    "None": (lambda w: None, TypeError, "at least 1 dimension"),
    "numbers": (lambda w: [1.0, 2.0], ValueError, "."),
    "an iterator": (lambda w: iter(["Dogs"]), TypeError, "has no length. Pass list"),
    "a dict of columns": (lambda w: w.to_dict("list"), TypeError, "pass pandas.DataFrame"),
    "a set": (lambda w: {"Dogs", "bark"}, TypeError, "list of texts, got an object of type set"),
    "a lazy frame": (lambda w: pl.from_pandas(w).lazy(), TypeError, "not computed yet.*collect"),
    "a matrix of numbers": (lambda w: np.ones((3, 2)), ValueError, "Pass the DataFrame"),
    "sparse": (lambda w: csr_array(np.eye(2)), (TypeError, ValueError), "[Ss]parse"),
    "a list with a number": (lambda w: ["Dogs", 3], ValueError, "item 1 is int, not str"),
    "a list with None": (lambda w: ["Dogs", None], ValueError, "item 1 is NoneType, not str"),
    "a list of lists": (
        lambda w: [["The", "dog"], ["Dogs"]],
        ValueError,
        "list of lists.*words_frame",
    ),
    "a list of equal lists": (
        lambda w: [["The"], ["Dogs"]],
        ValueError,
        "list of lists.*words_frame",
    ),
    "a series with NaN": (
        lambda w: pd.Series(["Dogs", NAN], dtype=object),
        ValueError,
        "item 1 is float",
    ),
    "missing pair": (
        lambda w: pd.DataFrame({"text": ["a", "b"], "text_pair": ["c", None]}),
        ValueError,
        "'text_pair' is missing in row 1",
    ),
    "number as pair": (
        lambda w: pd.DataFrame({"text": ["a", "b"], "text_pair": ["c", 5]}, dtype=object),
        ValueError,
        "'text_pair' must contain strings, but row 1 holds int",
    ),
}


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(case, method, tiny, words):
    make, error, message = BAD_ROWS[case]
    X = make(words)
    before = X.copy() if hasattr(X, "copy") else X
    extractor = ActivationExtractor(tiny("bert"))
    parameters = extractor.get_params()
    with pytest.raises(error, match=message):
        getattr(extractor, method)(X)
    if isinstance(X, pd.DataFrame):
        pd.testing.assert_frame_equal(X, before)
    assert extractor.get_params() == parameters
    assert extractor.transform(words).shape == (len(words),)


BAD_PARAMETERS = {
    "no such model": (
        {"model": "no-such-model-anywhere"},
        "'model'.*'no-such-model-anywhere'.*could not be loaded.*not a local folder.*spelling",
    ),
    "no such tokenizer": ({"tokenizer": "no-such-tokenizer"}, "no-such-tokenizer"),
    "empty model": ({"model": ""}, "'model'"),
    "absent GPU": ({"device": "cuda:99"}, "'device'.*'cuda:99'.*no such device.*device='cpu'"),
    "unknown device": ({"device": "quantum"}, "'device'.*'quantum', which torch does not know"),
    "layer too high": (
        {"layers": [0, 3]},
        r"'layers'.*there is no layer 3.*\[0, 1, 2\].*embedding",
    ),
    "layer too low": ({"layers": -4}, "'layers'.*there is no layer -4"),
    "layer twice": ({"layers": [1, 1]}, "'layers'.*distinct"),
    "layer twice, once negative": ({"layers": [2, -1]}, "'layers'.*distinct"),
    "no layers": ({"layers": []}, "'layers'.*at least one"),
    "fractional layer": ({"layers": [0.5]}, "'layers'"),
    "layers as text": ({"layers": "all"}, "The 'layers' parameter of ActivationExtractor"),
    "layer names": ({"layers": ["one"]}, "'layers'"),
    "mask of layers": ({"layers": [False, True]}, "'layers'.*must be an int, a list of int"),
    "nested layers": ({"layers": [[0, 1]]}, "'layers'"),
    "component": ({"component": "neurons"}, "The 'component' parameter of ActivationExtractor"),
    "weights": ({"weights": "none"}, "The 'weights' parameter"),
    "random_state": ({"random_state": -1}, "The 'random_state' parameter"),
    "missing": ({"missing": "drop"}, "The 'missing' parameter"),
    "overflow": ({"overflow": "truncate"}, "The 'overflow' parameter"),
    "max_batch_tokens": ({"max_batch_tokens": 0}, "The 'max_batch_tokens' parameter"),
    "special_tokens": ({"special_tokens": "yes"}, "The 'special_tokens' parameter"),
    "model": ({"model": 3}, "The 'model' parameter of ActivationExtractor must be"),
    "tokenizer": ({"tokenizer": 3}, "The 'tokenizer' parameter of ActivationExtractor must be"),
    "cache": ({"cache": 3}, "The 'cache' parameter"),
    "verbose": ({"verbose": -1}, "The 'verbose' parameter"),
}


@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_bad_parameters(case, tiny, words):
    parameters, message = BAD_PARAMETERS[case]
    before = words.copy(deep=True)
    extractor = ActivationExtractor(**{"model": tiny("bert"), **parameters})
    with pytest.raises(ValueError, match=message):
        extractor.transform(words).pool("last")
    pd.testing.assert_frame_equal(words, before)


def test_parameters_are_checked_in_fit_too(tiny, words):
    for parameters in ({"layers": [7]}, {"missing": "drop"}, {"model": "no-such-model-anywhere"}):
        with pytest.raises(ValueError):
            ActivationExtractor(**{"model": tiny("bert"), **parameters}).fit(words)
    with pytest.raises(ValueError, match="there is no layer 7"):
        ActivationExtractor(tiny("bert"), layers=[7]).get_feature_names_out()


def test_errors_of_tokens_surface_before_the_model_is_loaded(tiny, words, tmp_path, monkeypatch):
    from sklearn_neurox.extraction._model import _loading

    def loads(*_):
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr(_loading, "_build_model", loads)
    plan = ActivationExtractor(tiny("bert"), max_batch_tokens=3).transform(words)
    assert plan.shape == (len(words),)
    assert len(plan.get_feature_names()) == 48


def test_seeds_have_32_bits(tiny, words):
    extractor = ActivationExtractor(tiny("bert"), weights="random", random_state=2**32 - 1)
    extractor.fit(words)
    for seed in (2**32, -1):
        with pytest.raises(ValueError, match=rf"in the range \[0, {2**32 - 1}\]. Got {seed}"):
            extractor.set_params(random_state=seed).fit(words)


def test_a_folder_that_is_not_a_model(tmp_path, words):
    (tmp_path / "notes.txt").write_text("not a model")
    for folder in (tmp_path, str(tmp_path)):
        with pytest.raises(ValueError, match=r"only.*notes\.txt.*no config\.json.*save_pretrained"):
            ActivationExtractor(folder).fit(words)
    for inner in ("snapshots/0a1b", "checkpoint-500"):
        (tmp_path / inner).mkdir(parents=True)
        (tmp_path / inner / "config.json").write_text("{}")
        with pytest.raises(ValueError, match=f"Pass its folder '{inner}', which has one"):
            ActivationExtractor(tmp_path).fit(words)
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(ValueError, match=r"config\.json is not JSON .*Save the model again"):
        ActivationExtractor(tmp_path).fit(words)
    (tmp_path / "config.json").write_text('{"model_type": "no such type"}')
    with pytest.raises(ValueError, match="a config could not be loaded"):
        ActivationExtractor(tmp_path).fit(words)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_folder_without_a_vocabulary(family, tiny, words, tmp_path):
    shutil.copytree(tiny(family), tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="lacks the files of its tokenizer: tokenizer.json"):
        ActivationExtractor(tmp_path).transform(words)


def test_a_folder_without_weights(tiny, words, tmp_path):
    from transformers import AutoConfig, AutoTokenizer

    AutoConfig.from_pretrained(tiny("bert")).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="."):
        ActivationExtractor(tmp_path).transform(words).pool("last")
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert"))
    plan = ActivationExtractor(tmp_path, tokenizer=tokenizer).transform(words)
    with pytest.raises(ValueError, match="weights could not be loaded.*allow_bin_weights=True"):
        plan.pool("last")
    tokenizer.save_pretrained(tmp_path)
    plan = ActivationExtractor(tmp_path).transform(words)
    with pytest.raises(ValueError, match="weights could not be loaded.*allow_bin_weights=True"):
        plan.pool("last")
    untrained = ActivationExtractor(tmp_path, weights="random").transform(words)
    assert np.isfinite(untrained.pool("last")).all()


@pytest.mark.slow
def test_bin_weights_need_permission(tiny, words, tmp_path):
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(tiny("bert"))
    model.config.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny("bert")).save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="allow_bin_weights=True"):
        ActivationExtractor(tmp_path).transform(words).pool("last")
    H = ActivationExtractor(tmp_path, allow_bin_weights=True).transform(words).pool("last")
    expected = ActivationExtractor(tiny("bert")).transform(words).pool("last")
    np.testing.assert_array_equal(H, expected)


_OWN_CODE = """
import pathlib
import transformers

pathlib.Path(__file__).with_name("ran").touch()


class OwnConfig(transformers.BertConfig):
    model_type = "own-bert"


class OwnModel(transformers.BertModel):
    config_class = OwnConfig
"""


@pytest.mark.slow
def test_code_that_comes_with_a_model_runs_only_on_request(tiny, words, tmp_path, monkeypatch):
    import json
    import shutil

    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    folder = tmp_path / "own"
    shutil.copytree(tiny("bert"), folder)
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    config |= {"model_type": "own-bert", "auto_map": own, "architectures": ["OwnModel"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(_OWN_CODE)
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        ActivationExtractor(folder).transform(words)
    assert not list(tmp_path.rglob("ran"))
    H = ActivationExtractor(folder, trust_remote_code=True).transform(words).pool("last")
    assert list(tmp_path.rglob("ran"))
    expected = ActivationExtractor(tiny("bert")).transform(words).pool("last")
    np.testing.assert_array_equal(H, expected)


@pytest.mark.parametrize(
    ("family", "reason"),
    [("gpt2", "no token that stands"), ("llama", "no token"), ("marian", "no token")],
)
def test_cls_needs_a_model_that_has_one(family, reason, tiny):
    plan = ActivationExtractor(tiny(family)).transform(["Dogs bark", "A dog"])
    with pytest.raises(ValueError, match=rf"'cls'.*{reason}.*Use 'first', 'last', 'mean' or 'max'"):
        SubwordAggregator("cls").fit_transform(plan)


def test_cls_is_for_whole_texts(tiny, words):
    plan = ActivationExtractor(tiny("bert")).transform(words)
    with pytest.raises(ValueError, match="'cls'.*row 0 is a word, not a whole text"):
        SubwordAggregator("cls").fit_transform(plan)
    stored = Activations.from_arrays([np.ones((1, 2))])
    with pytest.raises(ValueError, match="'cls'.*stored"):
        SubwordAggregator("cls").fit_transform(stored)


@pytest.mark.parametrize("strategy", ["average", None, 3, ["last"]])
def test_bad_strategies(strategy, tiny, words):
    plan = ActivationExtractor(tiny("bert")).transform(words)
    with pytest.raises(ValueError, match="The 'strategy' parameter of SubwordAggregator must be"):
        SubwordAggregator(strategy).fit(plan)


@pytest.mark.parametrize("X", [np.ones((3, 2)), pd.DataFrame({"a": [1.0]}), [["a"]], None])
def test_the_aggregator_takes_activations_only(X):
    with pytest.raises(TypeError, match="pools Activations, got .*ActivationExtractor before it"):
        SubwordAggregator().fit(X)


@pytest.mark.parametrize(
    ("arrays", "parameters", "message"),
    [
        ([], {}, r"0 sample\(s\)"),
        ([np.ones(3)], {}, "2D"),
        ([np.ones((1, 3)), np.ones((1, 2))], {}, "array 1 has 2 and array 0 has 3"),
        ([np.array([[1.0, NAN]])], {}, "NaN"),
        ([np.array([["a", "b"]])], {}, "."),
        ([np.ones((1, 2))], {"feature_names": ["one"]}, "must name 2 neurons"),
        ([np.ones((1, 2))], {"index": ["a", "b"]}, "index"),
    ],
)
def test_bad_arrays(arrays, parameters, message):
    with pytest.raises(ValueError, match=message):
        Activations.from_arrays(arrays, **parameters)


def test_messages_count_rows_by_position_whatever_the_index(tiny, words):
    words.index = words.index + 1000
    broken = with_cell(5, "end", 26)(words)
    with pytest.raises(ValueError, match="span of row 5 "):
        ActivationExtractor(tiny("bert")).fit(broken)


def test_rows_of_a_filtered_frame_are_named_by_their_label_too(tiny, words):
    words.loc[20, "word"] = "another"
    with pytest.raises(ValueError, match=r"the word of row 2 \(index label 20\) is 'another'"):
        ActivationExtractor(tiny("bert")).transform(words.iloc[18:])


def test_the_tokenizer_of_a_larger_model_is_refused(tiny, words):
    extractor = ActivationExtractor(tiny("bert"), tokenizer=demo_model_path())
    with pytest.raises(ValueError, match="has 30522 tokens, and the model has 600"):
        extractor.transform(words)


@pytest.mark.parametrize("family", ["bert", "gpt2", "byt5"])
def test_a_text_that_is_not_unicode_is_named(family, tiny):
    texts = ["A dog", "half a \ud83d smile", "\udc4d"]
    with pytest.raises(
        ValueError, match=r"the text 'half a .ud83d smile' \(2 in total\).*surrogate"
    ):
        ActivationExtractor(tiny(family)).transform(texts)
    whole = [text.encode("utf-8", "replace").decode() for text in texts]
    assert ActivationExtractor(tiny(family)).transform(whole).shape == (3,)
