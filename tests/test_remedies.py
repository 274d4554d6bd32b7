# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning gets a result, and the right one.

Each row of a table has a call that fails or warns, a part of its message that holds the advice, and
the same call with the advice followed. Warnings are errors here, so following must silence them.
"""

import re
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sklearn_neurox import ablation, evaluation, inspection, io, probes, ranking, selection
from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, Activations, SubwordAggregator
from sklearn_neurox.extraction._run._repeated_reads import forget_passes
from sklearn_neurox.words import annotate, read_parallel, words_frame


class Followed(NamedTuple):
    """A wrong call, its advice, and the call that follows it."""

    wrong: object
    advice: str
    right: object
    result: object = None  # what the right call returns, if it is known


def follow(rows):
    for wrong, advice, right, result in rows:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            try:
                wrong()
            except (ValueError, TypeError, UserWarning) as problem:
                message = str(problem)
            else:
                pytest.fail(f"nothing was said that advises {advice!r}")
        assert re.search(advice, message), message
        forget_passes()
        found = right()
        if result is not None:
            np.testing.assert_array_equal(np.asarray(found), np.asarray(result), err_msg=advice)


@pytest.fixture(scope="module")
def words():
    words = make_tagged_words(40, random_state=0)
    return words[words["upos"].isin(["NOUN", "VERB", "DET"])].reset_index(drop=True)


@pytest.fixture(scope="module")
def folder():
    return make_tiny_model("bert", n_layers=2, hidden_size=8, random_state=0)


@pytest.fixture(scope="module")
def features(folder, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return make_pipeline(ActivationExtractor(folder, cache=cache), SubwordAggregator())


@pytest.fixture(scope="module")
def H(words, features):
    values = features.fit_transform(words)
    return pd.DataFrame(values, columns=features.get_feature_names_out())


LONG = pd.DataFrame(
    {
        "sentence_id": [1, 1, 1, 2, 2],
        "word": ["a", "b", "c", "d", "e"],
        "position": [0, 1, 2, 0, 1],
        "label": list("VWXYZ"),
    }
)
RIGHT = ["a b c"] * 3 + ["d e"] * 2


def texts(*arguments, **options):
    return words_frame(*arguments, **options)["text"].astype(str)


@pytest.mark.slow
def test_shuffled_rows_get_their_own_text():
    plain = LONG.drop(columns="position")
    rng = np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(5)
        # With positions, the rows may have any order.
        for rows in (LONG.iloc[order], LONG.iloc[order].reset_index(drop=True)):
            frame = words_frame(rows)
            assert frame["text"].tolist() == [RIGHT[row] for row in order]
            assert frame["word"].tolist() == [LONG["word"][row] for row in order]
            assert frame["label"].tolist() == [LONG["label"][row] for row in order]
            assert frame["position"].tolist() == [LONG["position"][row] for row in order]
            assert list(frame.index) == list(range(5))
            spans = zip(frame["text"], frame["start"], frame["end"], frame["word"], strict=True)
            assert all(text[start:end] == word for text, start, end, word in spans)
        # Without positions, the index still has the order, and sorting by sentence keeps disorder.
        shuffled = plain.iloc[order]
        by_sentence = shuffled.sort_values("sentence_id", kind="stable")
        for rows in (shuffled, by_sentence):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    found = texts(rows).tolist()
            except (ValueError, UserWarning) as problem:
                assert "frame.sort_index()" in str(problem)
                found = texts(rows.sort_index()).tolist()
                assert found == RIGHT
            else:
                assert found == [RIGHT[row] for row in rows.index]


def test_positions_that_do_not_place_words():
    def with_positions(*positions):
        return LONG.assign(position=positions)

    follow(
        [
            Followed(
                lambda positions=positions: words_frame(with_positions(*positions)),
                advice,
                lambda: texts(with_positions(1, 2, 3, 1, 2)),
                RIGHT,
            )
            for positions, advice in (
                ((0, 1, 3, 0, 1), "sentence 1 do not count .*row 2 has position 3 where 2 was"),
                ((0, 1, 1, 0, 1), "row 2 has position 1 where 2 was expected"),
                ((1, 2, 3, 2, 3), "sentence 2 .*row 3 has position 2 where 1 was expected"),
                ((0, 1, 2, 1, 2), "sentence 2 .*row 3 has position 1 where 0 was expected"),
                ((3, 4, 5, 3, 4), "from 0 or 1 .*pass them all and select rows afterwards"),
                ((0, 1, 0.5, 0, 1), "position of row 2 is 0.5, not a whole number"),
                ((0, 1, None, 0, 1), "position of row 2 is nan, not a whole number"),
                (("x", 1, 2, 0, 1), "position of row 0 is 'x', not a whole number"),
            )
        ]
    )


def test_words():
    tokens = LONG.drop(columns="position").rename(columns={"word": "token", "sentence_id": "s"})
    lists = pd.DataFrame({"id": ["x", "y"], "tokens": [list("abc"), list("de")], "text": ["", ""]})
    plain = LONG.drop(columns="position")
    interleaved = plain.iloc[[0, 3, 1, 4, 2]].reset_index(drop=True)
    same_id = plain.assign(sentence_id=[1, 1, 2, 1, 1])
    sentences = [["a", "b", "c"], ["d", "e"]]
    walked = words_frame([["He", "walked", "("]])
    follow(
        [
            Followed(
                lambda: words_frame(tokens),
                r"words_frame\(frame, word='token'\)",
                lambda: texts(tokens, word="token", sentence_id="s"),
                RIGHT,
            ),
            Followed(
                lambda: words_frame(tokens, word="token"),
                "Name the column with the 'sentence_id' parameter",
                lambda: texts(tokens, word="token", sentence_id="s"),
                RIGHT,
            ),
            Followed(
                lambda: words_frame(lists),
                r"words_frame\(frame, word='tokens'\)",
                lambda: texts(lists.drop(columns="text"), word="tokens"),
                RIGHT,
            ),
            Followed(
                lambda: words_frame(lists, word="tokens"),
                "called 'text', .*Rename or drop it",
                lambda: texts(lists.rename(columns={"text": "raw"}), word="tokens"),
                RIGHT,
            ),
            Followed(
                lambda: words_frame(LONG, word="label"),
                r"frame.drop\(columns='word'\)",
                lambda: texts(LONG.drop(columns="word"), word="label"),
                ["V W X"] * 3 + ["Y Z"] * 2,
            ),
            Followed(
                lambda: words_frame(interleaved),
                "occurs again at row 2.*with a column 'position' .*any order",
                lambda: texts(interleaved.assign(position=[0, 0, 1, 1, 2])),
                [RIGHT[row] for row in (0, 3, 1, 4, 2)],
            ),
            Followed(
                lambda: words_frame(same_id),
                "different sentences, give them different ids",
                lambda: texts(same_id.assign(sentence_id=[1, 1, 2, 3, 3])),
                ["a b", "a b", "c", "d e", "d e"],
            ),
            Followed(
                lambda: words_frame(plain[::-1]),
                r"pass frame.reset_index\(drop=True\)",
                lambda: texts(plain[::-1].reset_index(drop=True)),
                ["e d"] * 2 + ["c b a"] * 3,
            ),
            Followed(
                lambda: words_frame(plain, labels=[list("abc"), list("de")]),
                "Add a column .* 'label' parameter",
                lambda: words_frame(plain.assign(x=list("abcde")).drop(columns="label"), label="x")[
                    "label"
                ],
                list("abcde"),
            ),
            Followed(
                lambda: words_frame(sentences, label="pos"),
                r"labels=\{'name': ...\}",
                lambda: words_frame(sentences, {"pos": sentences})["pos"],
                list("abcde"),
            ),
            Followed(
                lambda: words_frame("a b c".splitlines()),
                r"such as sentence.split\(\)",
                lambda: texts([line.split() for line in "a b c".splitlines()]),
                RIGHT[:3],
            ),
            Followed(
                lambda: words_frame(sentences, text="natural"),
                "DataFrame with the columns sentence_id, word and space_after",
                lambda: texts(
                    LONG.assign(space_after=[True, False, True] + [False] * 2), text="natural"
                ),
                ["a bc"] * 3 + ["de"] * 2,
            ),
            Followed(
                lambda: words_frame([["a"], []]),
                "sentence 1, so it would have no row. Remove it",
                lambda: texts([["a"]]),
                ["a"],
            ),
            Followed(
                lambda: words_frame([["a", ""]], [["X", "Y"]]),
                "remove it from the words and from their labels",
                lambda: texts([["a"]], [["X"]]),
                ["a"],
            ),
            Followed(
                lambda: words_frame([["a", "b"]], [["X", 1]]),
                r"'X' at row 0 .*but 1 at row 1 .*to strings with str\(\)",
                lambda: words_frame([["a", "b"]], [["X", str(1)]])["label"],
                ["X", "1"],
            ),
            Followed(
                lambda: words_frame(sentences, sentence_ids=["x", None]),
                "omit 'sentence_ids' to number them",
                lambda: words_frame(sentences)["sentence_id"],
                [0, 0, 0, 1, 1],
            ),
            Followed(
                lambda: annotate(walked, "("),
                r"pass it in a set, \{'\('\}",
                lambda: annotate(walked, {"("})["label"],
                ["negative", "negative", "positive"],
            ),
            Followed(
                lambda: annotate(walked, "walk"),
                "use match='search' to match a part",
                lambda: annotate(walked, "walk", match="search")["label"],
                ["negative", "positive", "negative"],
            ),
            Followed(
                lambda: annotate(walked, "HE", match="search"),
                "check 'by' and 'case_sensitive'",
                lambda: annotate(walked, "HE", case_sensitive=False)["label"],
                ["positive", "negative", "negative"],
            ),
            Followed(
                lambda: annotate(walked, {"He": "PRON"}),
                r"assign words\['word'\].map\(mapping\)",
                lambda: walked.assign(label=walked["word"].map({"He": "PRON"}))["label"].notna(),
                [True, False, False],
            ),
            Followed(
                lambda: annotate(walked, lambda word: len(word)),
                r"Wrap the result in bool\(...\)",
                lambda: annotate(walked, lambda word: bool(len(word) > 1))["label"],
                ["positive", "positive", "negative"],
            ),
            Followed(
                lambda: annotate(walked, str.isalpha, case_sensitive=False),
                "omit the parameter",
                lambda: annotate(walked, str.isalpha)["label"],
                ["positive", "positive", "negative"],
            ),
            Followed(
                lambda: annotate(walked, {"He"}, name="word"),
                "Rename or drop it",
                lambda: annotate(walked, {"He"}, name="he")["he"],
                ["positive", "negative", "negative"],
            ),
        ]
    )


@pytest.mark.slow
def test_extraction(words, folder, tmp_path):
    text = "Dogs bark at the old cat ."
    bracket = words_frame([["a", "[MASK]", "b"]])
    control = words_frame([["a", "\u200b", "b"]])
    two = words_frame([["Dogs", "bark"]])
    pool = SubwordAggregator()

    def H(X, **options):
        forget_passes()
        return pool.fit_transform(ActivationExtractor(folder, **options).fit_transform(X))

    from transformers import AutoModel

    live = AutoModel.from_pretrained(folder)
    expected = H(two)
    surrogate = "a \udc80 b"
    stored = Activations.from_arrays([np.ones((2, 3))])
    follow(
        [
            Followed(
                lambda: H([["Dogs", "bark"]]),
                r"use words_frame\(sentences\)",
                lambda: H(words_frame([["Dogs", "bark"]])),
                expected,
            ),
            Followed(
                lambda: H(two.to_numpy()), "Pass the DataFrame itself", lambda: H(two), expected
            ),
            Followed(lambda: H("Dogs bark"), "takes a list of texts", lambda: H(["Dogs bark"])),
            Followed(
                lambda: H(two.drop(columns="end")),
                "Words need both, and whole texts need neither",
                lambda: H(two[["text"]]),
            ),
            Followed(
                lambda: H(words["word"]),
                "pass the frame of words with its columns",
                lambda: H(words),
            ),
            Followed(
                lambda: H(bracket),
                "Pass split_special_tokens=True",
                lambda: H(bracket, split_special_tokens=True),
            ),
            Followed(
                lambda: H(control),
                "Remove them if that is not what you want",
                lambda: H(control[control["word"] != "\u200b"]),
            ),
            Followed(
                lambda: H(control),
                "Setting missing= to 'zero', 'nan' or 'error'",
                lambda: _quietly(lambda: np.isnan(H(control, missing="nan")).all(axis=1)),
                [False, True, False],
            ),
            Followed(
                lambda: H(control, missing="error"),
                "Remove them, or choose",
                lambda: H(control[control["word"] != "\u200b"], missing="error"),
            ),
            Followed(
                lambda: H([text], max_length=5, overflow="error"),
                "Pass overflow='window'",
                lambda: H([text], max_length=5, overflow="window"),
            ),
            Followed(
                lambda: H([text], max_length=2), "Increase it", lambda: H([text], max_length=5)
            ),
            Followed(
                lambda: H([surrogate]),
                r"text.encode\('utf-8', 'replace'\).decode\(\)",
                lambda: H([surrogate.encode("utf-8", "replace").decode()]),
                H(["a ? b"]),
            ),
            Followed(
                lambda: H(two, stack="decoder"),
                "Use stack=None",
                lambda: H(two, stack=None),
                expected,
            ),
            Followed(
                lambda: H(two, layers=[9]),
                r"has the layers \[0, 1, 2\]",
                lambda: H(two, layers=[2]),
            ),
            Followed(
                lambda: ActivationExtractor(live, weights="random").fit(two),
                r"Pass the name or folder of the model, or an untrained model: AutoModel",
                lambda: ActivationExtractor(
                    AutoModel.from_config(live.config), tokenizer=_tokenizer(folder)
                ).fit(two),
            ),
            Followed(
                lambda: ActivationExtractor(folder).fill_cache(two),
                "set it with cache=",
                lambda: ActivationExtractor(folder, cache=tmp_path / "c").fill_cache(two),
                1,
            ),
            Followed(
                lambda: pool.fit_transform(two),
                "Put an ActivationExtractor before it",
                lambda: make_pipeline(ActivationExtractor(folder), pool).fit_transform(two),
                expected,
            ),
            Followed(
                lambda: np.asarray(ActivationExtractor(folder).transform(two)),
                "Put a SubwordAggregator after",
                lambda: make_pipeline(
                    ActivationExtractor(folder), SubwordAggregator("last")
                ).fit_transform(two),
                expected,
            ),
            Followed(
                lambda: SubwordAggregator("cls").fit_transform(stored),
                "Use 'first', 'last', 'mean' or 'max'",
                lambda: SubwordAggregator("mean").fit_transform(stored),
                np.ones((1, 3)),
            ),
            Followed(
                lambda: H(two, component="module:nothing"),
                "The modules are",
                lambda: H(two, component="module:*.output.dense"),
            ),
        ]
    )


def _quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def _tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.slow
def test_repeated_reads_and_pickles(words, folder, tmp_path):
    import pickle

    from transformers import AutoModel

    def thrice(**options):
        for _ in range(3):
            make_pipeline(
                ActivationExtractor(folder, **options), SubwordAggregator()
            ).fit_transform(words)

    live = ActivationExtractor(AutoModel.from_pretrained(folder), tokenizer=_tokenizer(folder))
    with pytest.warns(UserWarning, match="leaves out <a live BertModel>"):
        pickled = pickle.dumps(live)
    follow(
        [
            Followed(thrice, "a folder with cache=", lambda: thrice(cache=tmp_path / "cache")),
            Followed(
                lambda: pickle.loads(pickled).transform(words),
                r"set_params\(model=..., tokenizer=...\)",
                lambda: (
                    (
                        pickle.loads(pickled)
                        .set_params(model=live.model, tokenizer=live.tokenizer)
                        .transform(words)
                    ).shape
                ),
                (len(words),),
            ),
            Followed(
                lambda: pickle.loads(pickled).transform(words),
                "Save the model with save_pretrained and pass its path",
                lambda: (
                    pickle.loads(pickled)
                    .set_params(model=folder, tokenizer=None)
                    .transform(words)
                    .shape
                ),
                (len(words),),
            ),
        ]
    )


@pytest.mark.slow
def test_labels_and_order(words, H, features):
    y = words["upos"].copy()
    y[5] = None
    values = H.to_numpy()
    probe = make_pipeline(features, GaussianNB())
    labeled = words.assign(upos=y)
    shuffled = y.fillna("NOUN").sample(frac=1, random_state=0)
    mixed = words["upos"].astype(object)
    mixed[3] = 7
    clean = words["upos"]
    ranker = ranking.ProbelessRanker
    tensor = torch.tensor(values, dtype=torch.bfloat16, requires_grad=True)
    holes = values.copy()
    holes[3, 2] = np.nan
    some = H.iloc[:-5]
    follow(
        [
            Followed(
                lambda: ranker().fit(values, y.rename("upos")),
                r"words = words.dropna\(subset=\['upos'\]\)",
                lambda: (
                    make_pipeline(features, ranker())
                    .fit(labeled.dropna(subset=["upos"]), labeled.dropna(subset=["upos"])["upos"])[
                        -1
                    ]
                    .scores_.shape
                ),
                (H.shape[1],),
            ),
            Followed(
                lambda: ranker().fit(H, shuffled),
                r"To pair rows by label: y = y.loc\[X.index\]",
                lambda: ranker().fit(H, shuffled.loc[H.index]).scores_,
                ranker().fit(values, y.fillna("NOUN").to_numpy()).scores_,
            ),
            Followed(
                lambda: ranker().fit(H, shuffled),
                r"y = y.set_axis\(X.index\)",
                lambda: ranker().fit(H, shuffled.set_axis(H.index)).scores_,
                ranker().fit(values, shuffled.to_numpy()).scores_,
            ),
            Followed(
                lambda: ranker().fit(some, shuffled[shuffled.index != 3][: len(some)]),
                "take both from one frame",
                lambda: ranker().fit(some, clean.loc[some.index]).scores_,
            ),
            Followed(
                lambda: ranker().fit(values, mixed),
                r"7 at row 3 is of type int.* y.astype\(str\)",
                lambda: ranker().fit(values, mixed.astype(str)).classes_,
                ["7", "DET", "NOUN", "VERB"],
            ),
            Followed(
                lambda: ranker().fit(tensor, clean),
                r"Pass X.detach\(\).cpu\(\).float\(\).numpy\(\)",
                lambda: ranker().fit(tensor.detach().cpu().float().numpy(), clean),
            ),
            Followed(
                lambda: ranker().fit(holes, clean),
                "remove their rows first",
                lambda: ranker().fit(holes[np.arange(len(H)) != 3], clean.drop(3)),
            ),
            Followed(
                lambda: ranker().fit(words, clean),
                r"make_pipeline\(ActivationExtractor\(...\), SubwordAggregator\(\), ...\)",
                lambda: make_pipeline(features, ranker()).fit(words, clean)[-1].scores_,
                ranker().fit(values, clean).scores_,
            ),
            Followed(
                lambda: BaggingClassifier(probe, n_estimators=2).fit(words, clean),
                "compute the activations first and pass it the matrix",
                lambda: BaggingClassifier(GaussianNB(), n_estimators=2).fit(values, clean),
            ),
        ]
    )


@pytest.mark.slow
def test_evaluation(words, H, features):
    y, groups = words["upos"], words["text"]
    values, probe = H.to_numpy(), GaussianNB()
    layer_profile, options = evaluation.layer_profile, {"cv": 3}
    control = evaluation.control_labels(words, y)
    task = evaluation.ControlTaskClassifier(probe)
    folds = GroupKFold(3)
    twice = pd.concat([words, words], ignore_index=True)
    half = np.arange(len(twice)) % 2 == 0
    code = {"fractions": [0.3, 1.0], "random_state": 0}

    def routed(call):
        with sklearn.config_context(enable_metadata_routing=True):
            return call()

    def requested():
        return evaluation.ControlTaskClassifier(probe).set_fit_request(control_y=True)

    def scored():
        return cross_validate(
            requested(),
            values,
            y,
            cv=3,
            scoring=evaluation.SelectivityScorer().set_score_request(control_y=True),
            params={"control_y": control},
            error_score="raise",
        )["test_score"].shape

    follow(
        [
            Followed(
                lambda: layer_profile(probe, values, y, groups=groups, **options),
                "pass the number of equal layers as n_layers=",
                lambda: layer_profile(probe, values, y, groups=groups, n_layers=3, **options)[
                    "score"
                ],
                layer_profile(probe, H, y, groups=groups, **options)["score"],
            ),
            Followed(
                lambda: layer_profile(
                    probe,
                    H,
                    y,
                    groups=np.arange(len(H)) < 60,
                    cv=[(np.arange(60), np.arange(60, len(H)))],
                ),
                r'groups=words\["text"\]',
                lambda: layer_profile(probe, H, y, groups=groups, **options),
            ),
            Followed(
                lambda: evaluation.online_codelength(probe, values, y, **code),
                r'Pass groups=words\["text"\]',
                lambda: evaluation.online_codelength(probe, values, y, groups=groups, **code),
            ),
            Followed(
                lambda: evaluation.online_codelength(LinearSVC(), values, y, groups=groups, **code),
                "wrap this one in CalibratedClassifierCV",
                lambda: evaluation.online_codelength(
                    CalibratedClassifierCV(LinearSVC(), cv=2), values, y, groups=groups, **code
                ),
            ),
            Followed(
                lambda: evaluation.leakage_report(
                    twice, cv=[(np.flatnonzero(half), np.flatnonzero(~half))]
                ),
                r'groups=words\["text"\] and GroupKFold',
                lambda: evaluation.leakage_report(twice, cv=folds, groups=twice["text"])[
                    "n_shared_texts"
                ],
                [0, 0, 0],
            ),
            Followed(
                lambda: ablation_curve(probe, H, y, groups=groups, cv=3, n_draws=1, random_state=0),
                r"ranker=ProbelessRanker\(\)",
                lambda: ablation_curve(
                    probe,
                    H,
                    y,
                    groups=groups,
                    cv=3,
                    n_draws=1,
                    random_state=0,
                    ranker=ranking.ProbelessRanker(),
                ),
            ),
            Followed(
                lambda: ablation_curve(
                    FrozenEstimator(
                        GridSearchCV(LogisticRegression(max_iter=5000), {"C": [1.0]}, cv=2).fit(
                            values, y
                        )
                    ),
                    values,
                    y,
                    groups=groups,
                    cv=3,
                    n_draws=1,
                    random_state=0,
                ),
                "pass its best_estimator_ instead",
                lambda: ablation_curve(
                    GridSearchCV(LogisticRegression(max_iter=5000), {"C": [1.0]}, cv=2)
                    .fit(values, y)
                    .best_estimator_,
                    values,
                    y,
                    groups=groups,
                    cv=3,
                    n_draws=1,
                    random_state=0,
                ),
            ),
            Followed(
                lambda: ablation_curve(
                    probe, H, y, cv=3, n_draws=1, random_state=0, ranker=ranking.ProbelessRanker()
                ),
                r'Pass groups=words\["text"\]',
                lambda: ablation_curve(
                    probe,
                    H,
                    y,
                    groups=words["text"],
                    cv=3,
                    n_draws=1,
                    random_state=0,
                    ranker=ranking.ProbelessRanker(),
                ),
            ),
            Followed(
                lambda: task.fit(values, y),
                r"fit\(X, y, control_y=control_labels\(words, y\)\)",
                lambda: task.fit(values, y, control_y=evaluation.control_labels(words, y)),
            ),
            Followed(
                lambda: cross_validate(task, values, y, cv=3, error_score="raise"),
                r"call set_fit_request\(control_y=True\) on it",
                lambda: (
                    routed(
                        lambda: cross_validate(
                            requested(),
                            values,
                            y,
                            cv=3,
                            params={"control_y": control},
                            error_score="raise",
                        )
                    )["test_score"].shape
                ),
                (3,),
            ),
            Followed(
                lambda: evaluation.SelectivityScorer()(
                    task.fit(values, y, control_y=control), values, y
                ),
                r"params=\{'control_y': ...\} of cross_validate",
                lambda: routed(scored),
                (3,),
            ),
            Followed(
                lambda: evaluation.SelectivityScorer()(probe.fit(values, y), values, y),
                r"ControlTaskClassifier\(make_pipeline\(...\)\)",
                lambda: evaluation.SelectivityScorer()(
                    evaluation.ControlTaskClassifier(make_pipeline(StandardScaler(), probe)).fit(
                        values, y, control_y=control
                    ),
                    values,
                    y,
                    control_y=control,
                ),
            ),
            Followed(
                lambda: evaluation.control_labels(words[["upos"]], y),
                "Pass the column to use instead of the frame",
                lambda: evaluation.control_labels(words["upos"], y).shape,
                (len(words),),
            ),
            Followed(
                lambda: evaluation.cka(values, values[:-1]),
                "Pass the same words to both",
                lambda: evaluation.cka(values, values) > 0.99,
                True,
            ),
            Followed(
                lambda: evaluation.baseline_table(
                    words, y, groups=groups, cv=3, baselines=["probe"]
                ),
                "It needs an estimator",
                lambda: evaluation.baseline_table(
                    words, y, estimator=probe, X=H, groups=groups, cv=3, baselines=["probe"]
                )["name"],
                ["probe"],
            ),
        ]
    )


@pytest.mark.slow
def test_probes_and_rankers(words, H):
    y, groups, values = words["upos"], words["text"], H.to_numpy()
    net = probes.ElasticNetProbeClassifier
    two = y.where(y == "NOUN", "other")
    separable = np.where(two == "NOUN", 1.0, -1.0)[:, np.newaxis]
    huge = net(alpha=1e9).set_params(max_iter=50)
    weights = np.ones(len(y))
    gaussian = probes.GaussianProbeClassifier
    one_class = np.full(len(y), "a")
    follow(
        [
            Followed(
                lambda: net(alpha=0, max_iter=2000).fit(separable, two),
                "Set alpha above zero",
                lambda: net(alpha=1e-3).fit(separable, two),
            ),
            Followed(
                lambda: huge.fit(values, y),
                "All coefficients are zero",
                lambda: net(alpha=1e-3).fit(values, y),
            ),
            Followed(
                lambda: net(alpha=1e-6, max_iter=1).fit(values, y),
                "Increase max_iter, .*or increase alpha",
                lambda: net(alpha=1e-2, max_iter=2000).fit(values, y),
            ),
            Followed(
                lambda: net(class_weight="balanced").partial_fit(values, y, classes=np.unique(y)),
                "Pass the weights as a dict, or use sample_weight",
                lambda: net(class_weight=dict.fromkeys(np.unique(y), 1.0)).partial_fit(
                    values, y, classes=np.unique(y)
                ),
            ),
            Followed(
                lambda: net().partial_fit(values, y, classes=["DET", "NOUN"]),
                "set classes to all labels that can occur",
                lambda: net().partial_fit(values, y, classes=np.unique(y)),
            ),
            Followed(
                lambda: net(solver="newton").fit(values, y),
                "Use solver='auto'",
                lambda: net(solver="auto", alpha=1e-2).fit(values, y),
            ),
            Followed(
                lambda: probes.ElasticNetProbeRegressor().fit(values, y),
                "For labels, use ElasticNetProbeClassifier",
                lambda: net(alpha=1e-2).fit(values, y),
            ),
            Followed(
                lambda: probes.ElasticNetProbeClassifierCV(alphas=3, cv=3).fit(values, y),
                r'Pass groups=words\["text"\]',
                lambda: probes.ElasticNetProbeClassifierCV(alphas=2, cv=3).fit(
                    values, y, groups=words["text"]
                ),
            ),
            Followed(
                lambda: gaussian(max_memory=1e-9, candidates=None).fit(values, y),
                "increase max_memory",
                lambda: gaussian(max_memory=1.0).fit(values, y),
            ),
            Followed(
                lambda: ranking.LCARanker(n_neurons=3, mass=0.5).fit(values, y),
                "Set only one of them",
                lambda: (
                    ranking.LCARanker(net(alpha=1e-2), n_neurons=3)
                    .fit(values, y)
                    .get_support()
                    .sum()
                ),
                3,
            ),
            Followed(
                lambda: ranking.LCARanker(GaussianNB()).fit(values, y),
                "Use a linear estimator",
                lambda: ranking.LCARanker(LogisticRegression(max_iter=5000)).fit(values, y),
            ),
            Followed(
                lambda: ranking.LCARanker(
                    make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
                ).fit(values, y),
                "put the other steps in front of the ranker",
                lambda: make_pipeline(
                    StandardScaler(), ranking.LCARanker(LogisticRegression(max_iter=5000))
                ).fit(values, y),
            ),
            Followed(
                lambda: ranking.LCARanker(net(alpha=1e9)).fit(values, y),
                "All coefficients are zero|Fit the probe with a weaker penalty",
                lambda: ranking.LCARanker(net(alpha=1e-3)).fit(values, y),
            ),
            Followed(
                lambda: ranking.IoURanker(threshold=2.5).fit(values, two),
                'set unit="value"',
                lambda: ranking.IoURanker(threshold=0.5, unit="value").fit(values, two),
            ),
            Followed(
                lambda: ranking.ProbelessRanker(n_neurons=99).fit(values, y),
                "or for all with n_neurons=1.0",
                lambda: ranking.ProbelessRanker(n_neurons=1.0).fit(values, y).get_support().all(),
                True,
            ),
            Followed(
                lambda: ranking.ProbelessRanker().fit(values, one_class),
                "rows of another class as well",
                lambda: ranking.ProbelessRanker().fit(values, y),
            ),
            Followed(
                lambda: selection.NeuronSelector(["hidden.1.3"]).fit(values),
                "Give indices, or make X a DataFrame",
                lambda: selection.NeuronSelector(["hidden.1.3"]).fit(H).get_support(indices=True),
                [11],
            ),
            Followed(
                lambda: selection.NeuronSelector([]).fit(H),
                "keep all with neurons=None",
                lambda: selection.NeuronSelector(None).fit(H).get_support().all(),
                True,
            ),
            Followed(
                lambda: selection.LayerSelector([7]).fit(H, y),
                r"The layers present are \[0, 1, 2\]",
                lambda: selection.LayerSelector([2]).fit(H, y).get_support().sum(),
                8,
            ),
            Followed(
                lambda: selection.CorrelationClusterSelector(0.99, max_memory=1e-9).fit(H),
                "or a larger max_memory",
                lambda: selection.CorrelationClusterSelector(0.99, max_memory=1.0).fit(H),
            ),
            Followed(
                lambda: ablation_curve_weights(weights, H, y, groups),
                r"call set_fit_request\(sample_weight=True\) on the inner",
                lambda: ablation_curve_weights(weights, H, y, groups, routed=True),
            ),
        ]
    )


def ablation_curve_weights(weights, H, y, groups, *, routed=False):
    """Score a weighted search, which takes weights only if they are routed to its probe."""
    options = {"groups": groups, "cv": 3, "n_draws": 1, "random_state": 0, "fractions": [0.5]}
    options |= {"ranker": ranking.ProbelessRanker(), "sample_weight": weights}
    with sklearn.config_context(enable_metadata_routing=routed):
        probe = GaussianNB().set_fit_request(sample_weight=True) if routed else GaussianNB()
        if routed:
            probe.set_score_request(sample_weight=True)
        return ablation_curve(GridSearchCV(probe, {}, cv=2), H, y, **options)


@pytest.mark.slow
def test_tables_and_reports(words, H, tmp_path):
    y, values = words["upos"], H.to_numpy()
    every = ranking.ProbelessRanker().fit(H, y)
    constant = H.assign(**{"hidden.0.0": 1.0})
    score = pd.Series(values[:, 0], name="score")
    pipe = make_pipeline(StandardScaler(), GaussianNB()).fit(values, y)
    order = np.random.default_rng(0).permutation(len(words))
    mixed, mixed_H = words.iloc[order], H.iloc[order]
    sorting = mixed.reset_index(drop=True).sort_values(["sentence_id", "position"]).index
    path = tmp_path / "acts.json"

    def written(rows, matrix):
        io.write_neurox(path, matrix, rows)
        return io.read_neurox(path, rows)[0].pool("last")

    follow(
        [
            Followed(
                lambda: written(mixed, mixed_H),
                r"words.iloc\[order\] and H\[order\]",
                lambda: written(mixed.iloc[sorting], mixed_H.iloc[sorting]),
                values,
            ),
            Followed(
                lambda: inspection.top_words(H, words, [0], min_count=10**6),
                "Lower min_count",
                lambda: inspection.top_words(H, words, [0], min_count=2),
            ),
            Followed(
                lambda: inspection.top_words(constant, words, ["hidden.0.0"], min_count=2),
                "Leave these neurons out",
                lambda: inspection.top_words(constant, words, ["hidden.0.1"], min_count=2),
            ),
            Followed(
                lambda: inspection.top_words(H, words, [], min_count=2),
                "at least one neuron, or None for all",
                lambda: inspection.top_words(H, words, None, min_count=2),
            ),
            Followed(
                lambda: inspection.neuron_table(every),
                "Set the number of best neurons with n_neurons",
                lambda: inspection.neuron_table(every, n_neurons=3)["n_selected"].sum(),
                3,
            ),
            Followed(
                lambda: inspection.neuron_table(every, mass=0.5),
                "Use n_neurons instead",
                lambda: inspection.neuron_table(every, n_neurons=3)["n_selected"].sum(),
                3,
            ),
            Followed(
                lambda: inspection.neuron_table(["hidden.1.3"]),
                "names of all columns as input_features, or a mask",
                lambda: inspection.neuron_table(["hidden.1.3"], input_features=H.columns)[
                    "n_selected"
                ],
                [0, 1, 0],
            ),
            Followed(
                lambda: inspection.neuron_table(
                    ranking.ProbelessRanker(n_neurons=3).fit(values, y)
                ),
                "pass the number of equal layers as n_layers=",
                lambda: inspection.neuron_table(
                    ranking.ProbelessRanker(n_neurons=3).fit(values, y), n_layers=3
                )["n_selected"].sum(),
                3,
            ),
            Followed(
                lambda: inspection.highlight(words, pipe, [0]),
                r"Leave the probe out: pipeline\[:-1\]",
                lambda: None,
            ),
            Followed(
                lambda: inspection.highlight(words, H, ["nothing"]),
                "the first columns are",
                lambda: inspection.highlight(words, H, ["hidden.1.3"]),
            ),
            Followed(
                lambda: inspection.NeuronReport(every, H, score, words),
                r"pandas.qcut\(y, 4\).astype\(str\)",
                lambda: inspection.NeuronReport(
                    ranking.ProbelessRanker().fit(H, pd.qcut(score, 4).astype(str)),
                    H,
                    pd.qcut(score, 4).astype(str),
                    words,
                ),
            ),
            Followed(
                lambda: inspection.NeuronReport(every, H, y, words, probe=pipe),
                "which .* is not. For a pipeline, pass its last step",
                lambda: inspection.NeuronReport(
                    every,
                    H,
                    y,
                    words,
                    probe=make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(
                        values, y
                    )[-1],
                ),
            ),
            Followed(
                lambda: ablation.NeuronAblator(["hidden.1.3"]).fit(values),
                "Give indices, or make X a DataFrame",
                lambda: ablation.NeuronAblator(["hidden.1.3"]).fit(H).get_support().sum(),
                len(H.columns) - 1,
            ),
        ]
    )


def test_files(words, H, tmp_path):
    text, labels = tmp_path / "words.txt", tmp_path / "labels.txt"

    def parallel(content, tags):
        text.write_text(content)
        labels.write_text(tags)
        return read_parallel(text, labels)["word"]

    numbers = H.to_numpy()
    stored = tmp_path / "acts.json"
    io.write_neurox(stored, H, words)
    short = words[words["sentence_id"] != words["sentence_id"].iloc[0]]
    other = words.drop(index=words.index[0])
    follow(
        [
            Followed(
                lambda: parallel("a b\n\nc\n", "X Y\n\nZ\n"),
                "Delete it from all files",
                lambda: parallel("a b\nc\n", "X Y\nZ\n"),
                ["a", "b", "c"],
            ),
            Followed(
                lambda: parallel("a\u00a0b\n", "X Y\n"),
                "Only spaces and tabs separate",
                lambda: parallel("a b\n", "X Y\n"),
                ["a", "b"],
            ),
            Followed(
                lambda: io.write_neurox(tmp_path / "acts.npy", H, words),
                "must end with .hdf5 or .json",
                lambda: io.write_neurox(tmp_path / "acts2.json", H, words),
            ),
            Followed(
                lambda: _as_value_error(
                    lambda: io.write_neurox(tmp_path / "no" / "acts.json", H, words)
                ),
                "Create it first",
                lambda: (
                    (tmp_path / "no").mkdir(),
                    io.write_neurox(tmp_path / "no" / "acts.json", H, words),
                )[1],
            ),
            Followed(
                lambda: io.write_neurox(tmp_path / "a.json", numbers, words),
                "number of equal layers as n_layers=",
                lambda: io.write_neurox(tmp_path / "a.json", numbers, words, n_layers=3),
            ),
            Followed(
                lambda: io.read_neurox(stored, short),
                "Pass the words of exactly the sentences",
                lambda: io.read_neurox(stored, words)[0].pool("last"),
                numbers,
            ),
            Followed(
                lambda: io.read_neurox(stored, other),
                "or drop them with mismatched='drop'",
                lambda: _dropped(stored, other),
            ),
            Followed(
                lambda: io.read_neurox(stored, [["a"]]),
                r"words_frame\(sentences\)",
                lambda: io.read_neurox(
                    stored, words_frame(words.groupby("sentence_id")["word"].agg(list))
                )[0].pool("last"),
                numbers,
            ),
        ]
    )


def _as_value_error(call):
    try:
        call()
    except FileNotFoundError as error:
        raise ValueError(str(error)) from error


def _dropped(stored, other):
    with pytest.warns(UserWarning, match="They are dropped"):
        return io.read_neurox(stored, other, mismatched="drop")


@pytest.mark.slow
def test_models_that_are_changed_while_they_run(words, folder):
    from transformers import AutoModelForCausalLM

    gpt = make_tiny_model("gpt2", n_layers=1, hidden_size=8, random_state=0)
    own = words[words["position"] > 0]
    options = {"positive": "NOUN", "steps": [2], "n_draws": 1, "random_state": 0}
    neurons = [f"hidden.1.{unit}" for unit in range(4)]

    def effect(model=gpt, rows=own, names=neurons, **changed):
        forget_passes()
        return ablation.causal_effect(model, rows, rows["upos"], names, **options | changed)

    live = AutoModelForCausalLM.from_pretrained(gpt)
    follow(
        [
            Followed(
                lambda: effect(ActivationExtractor(gpt), max_length=9),
                "Set it on the extractor with set_params, and omit it here",
                lambda: effect(ActivationExtractor(gpt).set_params(max_length=9)),
            ),
            Followed(
                lambda: effect(ActivationExtractor(gpt, weights="random")),
                "Use weights='pretrained'",
                lambda: effect(ActivationExtractor(gpt, weights="pretrained")),
            ),
            Followed(
                lambda: effect(live.base_model, tokenizer=_tokenizer(gpt)),
                "Load it with transformers.AutoModelForCausalLM",
                lambda: effect(live, tokenizer=_tokenizer(gpt)),
            ),
            Followed(
                lambda: effect(positive="X"),
                r"The labels are \[.*'NOUN'",
                lambda: effect(positive="NOUN"),
            ),
            Followed(lambda: effect(steps=[9]), "lists only 4", lambda: effect(steps=[4])),
            Followed(
                lambda: effect(fill="mean"),
                "needs ",
                lambda: effect(fill="mean", values=np.zeros(4)),
            ),
            Followed(lambda: effect(values=np.zeros(4)), "Omit them", lambda: effect()),
            Followed(
                lambda: effect(rows=own[["text", "upos"]]),
                "with the columns 'text', 'start' and 'end'",
                lambda: effect(rows=own[["text", "start", "end", "upos"]]),
            ),
        ]
    )


@pytest.mark.slow
def test_more_probes_and_rankers(words, H):
    y, values, groups = words["upos"], H.to_numpy(), words["text"]
    gaussian = probes.GaussianProbeClassifier
    fitted = gaussian(candidates=[0, 1]).fit(values, y)
    rng = np.random.default_rng(0)
    n = len(y)
    few = values[:12]
    from sklearn.feature_selection import SelectKBest, VarianceThreshold

    too_large = []

    def limited(**options):
        return gaussian(max_memory=1e-6, **options).fit(values, y)

    def at_the_limit():
        with pytest.raises(ValueError, match="Set candidates=") as caught:
            limited()
        most = int(re.search(r"Set candidates=(\d+)", str(caught.value))[1])
        too_large.append(most)
        return len(limited(candidates=most).candidates_)

    half = np.arange(n) < n // 2
    unseen = y.where(half, "OTHER")
    lca = ranking.LCARanker(probes.ElasticNetProbeClassifier(alpha=1e-2))
    follow(
        [
            Followed(limited, r"Set candidates=\d+ or less", at_the_limit),
            Followed(
                lambda: fitted.subset([5]),
                "Add it to candidates and fit again",
                lambda: gaussian(candidates=[0, 1, 5]).fit(values, y).subset([5]),
            ),
            Followed(
                lambda: fitted.mutual_information(values, unseen),
                "Drop these rows",
                lambda: fitted.mutual_information(values[half], unseen[half]),
            ),
            Followed(
                lambda: gaussian(priors=[0.5, 0.5]).fit(values, y),
                "Give one probability per class",
                lambda: gaussian(priors=[0.5, 0.25, 0.25]).fit(values, y),
            ),
            Followed(
                lambda: ranking.ConsensusRanker([("v", VarianceThreshold())]).fit(values, y),
                "wrap a scikit-learn score function in SelectKBest",
                lambda: ranking.ConsensusRanker([("f", SelectKBest())]).fit(values, y),
            ),
            Followed(
                lambda: ranking.ConsensusRanker([("a", lca), ("b", lca)], weights=[1]).fit(
                    values, y
                ),
                "Pass one weight per ranker, or weights=None",
                lambda: ranking.ConsensusRanker([("a", lca), ("b", lca)], weights=None).fit(
                    values, y
                ),
            ),
            Followed(
                lambda: lca.fit(values, y).to_frame(label="X"),
                r"must be one of \['DET', 'NOUN', 'VERB'\]",
                lambda: lca.fit(values, y).to_frame(label="NOUN"),
            ),
            Followed(
                lambda: selection.LayerSelector([1]).fit(H, y).to_frame(),
                "Fit it with layers='auto'",
                lambda: (
                    selection.LayerSelector("auto", estimator=GaussianNB())
                    .fit(H, y, groups=groups)
                    .to_frame()
                ),
            ),
            Followed(
                lambda: selection.LayerSelector("auto", estimator=GaussianNB()).fit(H, y),
                r'Pass groups=words\["text"\]',
                lambda: selection.LayerSelector("auto", estimator=GaussianNB()).fit(
                    H, y, groups=groups
                ),
            ),
            Followed(
                lambda: selection.LayerSelector([1]).fit(values, y),
                "pass the number of equal layers as n_layers=",
                lambda: selection.LayerSelector([1], n_layers=3).fit(values, y).get_support().sum(),
                8,
            ),
            Followed(
                lambda: ranking.CrossModelRanker("linreg").fit(few, reference=few),
                "Use more rows, or criterion='maxcorr' or 'svcca'",
                lambda: ranking.CrossModelRanker("maxcorr").fit(few, reference=few),
            ),
            Followed(
                lambda: ranking.CrossModelRanker().fit(values[:-1], reference=values),
                "for the same words, in the same order",
                lambda: ranking.CrossModelRanker().fit(values, reference=values),
            ),
            Followed(
                lambda: evaluation.svcca(rng.normal(size=(12, 9)), rng.normal(size=(12, 9))),
                "Use more rows, or a smaller 'variance'",
                lambda: evaluation.svcca(rng.normal(size=(90, 9)), rng.normal(size=(90, 9))),
            ),
            Followed(
                lambda: evaluation.ranking_agreement({"a": lca.fit(values, y), "b": [0, 1]}),
                "contains each neuron index from 0 exactly once|the same neurons",
                lambda: evaluation.ranking_agreement({"a": lca.fit(values, y), "b": range(24)}),
            ),
            Followed(
                lambda: (
                    ablation.NeuronAblator([0], fill=1e9)
                    .fit(values.astype(np.float16))
                    .transform(values.astype(np.float16))
                ),
                "Use a smaller number or a wider dtype",
                lambda: ablation.NeuronAblator([0], fill=1e9).fit(values).transform(values),
            ),
        ]
    )


@pytest.mark.slow
def test_pictures_and_pages(words, H, features):
    y, values = words["upos"], H.to_numpy()
    every = ranking.ProbelessRanker().fit(values, y)
    plain = {"groups": words["text"], "cv": 3, "n_draws": 1, "random_state": 0}
    two = ablation.ablation_table(
        H,
        y,
        probes={"a": GaussianNB(), "b": GaussianNB()},
        rankings={"r": ranking.ProbelessRanker()},
        **plain,
    )
    names = ["x"] * H.shape[1]
    overlapping = pd.DataFrame({"text": ["abc", "abc"], "start": [0, 1], "end": [2, 3]})
    picture = inspection.highlight(words, H, ["hidden.1.3"])
    pipe = make_pipeline(StandardScaler(), ranking.ProbelessRanker(), GaussianNB())

    def drawn(call):
        import matplotlib.pyplot as plt

        call()
        plt.close("all")

    follow(
        [
            Followed(
                lambda: inspection.AblationCurveDisplay.from_frame(two),
                "Keep the rows of one probe",
                lambda: drawn(
                    lambda: inspection.AblationCurveDisplay.from_frame(two[two["probe"] == "a"])
                ),
            ),
            Followed(
                lambda: inspection.NeuronReport(every, values, y, words, input_features=names),
                "Pass distinct names as input_features",
                lambda: inspection.NeuronReport(every, values, y, words, input_features=H.columns),
            ),
            Followed(
                lambda: inspection.NeuronReport(every, values, y, words[["word"]]),
                "Create it with words_frame or read_conllu",
                lambda: inspection.NeuronReport(every, values, y, words),
            ),
            Followed(
                lambda: inspection.highlight(overlapping, np.ones((2, 1)), [0]),
                "Keep one of these rows",
                lambda: inspection.highlight(overlapping[:1], np.ones((1, 1)), [0]),
            ),
            Followed(
                lambda: picture.to_svg(width=0.2),
                "Increase the width or decrease the font size",
                lambda: picture.to_svg(width=6),
            ),
            Followed(
                lambda: inspection.NeuronReport.from_pipeline(
                    make_pipeline(features, GaussianNB()).fit(words, y), words, y
                ),
                r"needs a pipeline with a ranker, such as LCARanker\(\)",
                lambda: inspection.NeuronReport.from_pipeline(
                    make_pipeline(features, *pipe).fit(words, y), words, y
                ),
            ),
            Followed(
                lambda: inspection.LayerProfileDisplay.from_frame(
                    pd.DataFrame({"layer": [1, 1], "score": [0.1, 0.2]})
                ),
                "Aggregate the frame first",
                lambda: drawn(
                    lambda: inspection.LayerProfileDisplay.from_frame(
                        pd.DataFrame({"layer": [1, 1], "score": [0.1, 0.2]})
                        .groupby("layer", as_index=False)
                        .mean()
                    )
                ),
            ),
        ]
    )
