# SPDX-License-Identifier: BSD-3-Clause
"""Tables of other libraries give the same results as those of pandas."""

import importlib.util
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from sklearn_neurox.ablation import ablation_curve, causal_effect
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.evaluation import (
    ControlTaskClassifier,
    attention_head_table,
    baseline_table,
    cka,
    control_labels,
    layer_profile,
    leakage_report,
    online_codelength,
    selectivity_score,
)
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.inspection import (
    AblationCurveDisplay,
    LayerProfileDisplay,
    NeuronReport,
    highlight,
    neuron_summary,
    neuron_table,
    predictions_frame,
    top_contexts,
    top_words,
)
from sklearn_neurox.io import read_neurox, write_neurox
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.selection import NeuronSelector
from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.words import annotate, pair_frame, words_frame


class Exported:
    """A table that does nothing but export an Arrow stream, as those of DuckDB can."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def table(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


FRAMES = {
    "Arrow table": table,
    "Arrow batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
    "Arrow stream": lambda frame: Exported(table(frame)),
    "list of dicts": lambda frame: frame.to_dict("records"),
}
COLUMNS = {"Arrow table": lambda column: pa.chunked_array([column])}
if importlib.util.find_spec("polars"):
    import polars as pl

    FRAMES["polars"] = COLUMNS["polars"] = lambda rows: pl.from_pandas(rows)
if importlib.util.find_spec("datasets"):
    from datasets import Dataset

    FRAMES["Dataset"] = lambda frame: Dataset.from_pandas(frame, preserve_index=False)
    FRAMES["list of a Dataset"] = lambda frame: list(
        Dataset.from_pandas(frame, preserve_index=False)
    )


@pytest.fixture(scope="module")
def words():
    # Categories are stored differently by each library, so compare plain strings.
    words = make_tagged_words(30, random_state=0).astype({"text": str})
    # Every fold has these labels.
    return words[words["upos"].isin(["NOUN", "VERB", "DET"])].reset_index(drop=True)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    model = make_tiny_model("bert", n_layers=2, hidden_size=8, random_state=0)
    cache = tmp_path_factory.mktemp("cache")
    return make_pipeline(ActivationExtractor(model, cache=cache), SubwordAggregator())


@pytest.fixture(scope="module")
def H(words, features):
    return pd.DataFrame(features.fit_transform(words), columns=features.get_feature_names_out())


def assert_same(found, expected, where):
    if isinstance(expected, pd.DataFrame):
        assert isinstance(found, pd.DataFrame), where
        pd.testing.assert_frame_equal(found, expected, obj=str(where))
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected, obj=str(where))
    else:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected), err_msg=str(where))


def calls_on_words(words, H, features, tmp_path):
    """Return calls that take the frame of words in any container."""
    y, groups = words["upos"], words["text"]
    probe = GaussianNB()
    fitted = probe.fit(H.to_numpy(), y)
    values = H.to_numpy()

    def written(frame):
        write_neurox(tmp_path / "acts.json", H, frame, parallel={"word": tmp_path / "w.txt"})
        activations, own = read_neurox(tmp_path / "acts.json", frame)
        return own.assign(first=activations.pool("last")[:, 0])

    def profile(frame):
        return layer_profile(probe, frame, y, groups=groups, features=features, cv=2)

    return {
        "annotate": lambda frame: annotate(frame, {"NOUN"}, on="upos"),
        "transform": features.transform,
        "control_labels": lambda frame: control_labels(frame, y),
        "leakage_report": lambda frame: leakage_report(frame, cv=3, groups=groups),
        "baseline_table": lambda frame: baseline_table(
            frame, y, groups=groups, cv=2, baselines=["word type", "characters"]
        ),
        "layer_profile": profile,
        "top_words": lambda frame: top_words(H, frame, [0], min_count=2),
        "top_contexts": lambda frame: top_contexts(H, frame, [0]),
        "predictions_frame": lambda frame: predictions_frame(fitted, values, frame, y),
        "highlight": lambda frame: highlight(frame, H, ["hidden.1.3"]).to_frame(),
        "write_neurox": written,
        "NeuronReport": lambda frame: NeuronReport(
            ProbelessRanker().fit(H, y), H, y, frame, n_detailed=2
        ).to_html(),
    }


def calls_on_matrix(words, H):
    """Return calls that take the matrix of activations in any container, with its names."""
    y, groups = words["upos"], words["text"]
    probe = GaussianNB()

    def layers(X):
        return layer_profile(probe, X, y, groups=groups, cv=2)

    return {
        "top_words": lambda X: top_words(X, words, ["hidden.1.3"], min_count=2),
        "top_contexts": lambda X: top_contexts(X, words, ["hidden.1.3"]),
        "layer_profile": layers,
        "ranker": lambda X: ProbelessRanker(n_neurons=3).fit(X, y).to_frame(),
        "neuron_summary": lambda X: neuron_summary(ProbelessRanker().fit(X, y), X, y),
        "neuron_table": lambda X: neuron_table(ProbelessRanker(n_neurons=3).fit(X, y)),
        "selector": lambda X: NeuronSelector(["hidden.1.3"]).fit(X).transform(X),
        "highlight": lambda X: highlight(words, X, ["hidden.1.3"]).to_frame(),
        "ablation_curve": lambda X: ablation_curve(
            probe, X, y, ranker=ProbelessRanker(), groups=groups, cv=2, n_draws=1, random_state=0
        ),
        "cka": lambda X: cka(X, H),
    }


@pytest.mark.slow
def test_frames_of_words(words, H, features, tmp_path):
    calls = calls_on_words(words, H, features, tmp_path)
    for name, call in calls.items():
        expected = call(words)
        for kind, convert in FRAMES.items():
            assert_same(call(convert(words)), expected, (name, kind))


@pytest.mark.slow
def test_matrices_with_names(words, H):
    for name, call in calls_on_matrix(words, H).items():
        expected = call(H)
        for kind in COLUMNS:
            assert_same(call(FRAMES[kind](H)), expected, (name, kind))


@pytest.mark.slow
def test_columns(words, H):
    probe, values = GaussianNB(), H.to_numpy()
    y, groups, control = words["upos"], words["text"], control_labels(words, words["upos"])
    calls = {
        "control_labels": lambda c: control_labels(c(words["word"]), c(y)).to_numpy(),
        "selectivity": lambda c: selectivity_score(
            probe, values, c(y), c(control), types=c(words["word"]), groups=c(groups), cv=2
        ),
        "codelength": lambda c: (
            online_codelength(
                probe, values, c(y), groups=c(groups), fractions=[0.3, 1.0], random_state=0
            ).codelength
        ),
        "layer_profile": lambda c: layer_profile(probe, H, c(y), groups=c(groups), cv=2),
        "ranker": lambda c: ProbelessRanker().fit(values, c(y)).scores_,
        "control task": lambda c: (
            ControlTaskClassifier(probe).fit(values, c(y), control_y=c(control)).predict(values)
        ),
        "top_words": lambda c: top_words(values, c(words["word"]), [0], min_count=2),
        "words_frame": lambda c: words_frame(
            c(pd.Series([["a", "b"], ["c"]])),
            c(pd.Series([[1, 2], [3]])),
            sentence_ids=c(pd.Series(["x", "y"])),
        ),
    }
    for name, call in calls.items():
        expected = call(lambda column: column)
        for kind, convert in COLUMNS.items():
            assert_same(call(convert), expected, (name, kind))


@pytest.mark.slow
def test_missing_labels_are_found_in_every_container(H):
    y = pd.Series(["a", "b"] * (len(H) // 2) + ["a"] * (len(H) % 2))
    y[3] = None
    for kind, convert in COLUMNS.items():
        with pytest.raises(ValueError, match="the first at row 3") as caught:
            ProbelessRanker().fit(H, convert(y))
        assert "labels are missing" in str(caught.value), kind


@pytest.mark.parametrize("kind", FRAMES)
def test_words_frame(words, kind):
    long = words[["sentence_id", "word", "upos"]]
    assert_same(words_frame(FRAMES[kind](long)), words_frame(long), kind)
    lists = pd.DataFrame({"tokens": [["a", "b"], ["c"]], "tags": [[1, 2], [3]], "id": ["x", "y"]})
    found = words_frame(FRAMES[kind](lists), word="tokens", label="tags", sentence_id="id")
    assert_same(
        found, words_frame([["a", "b"], ["c"]], [[1, 2], [3]], sentence_ids=["x", "y"]), kind
    )


@pytest.mark.slow
def test_causal_effect(words):
    model = make_tiny_model("gpt2", hidden_size=8, random_state=0)
    own = words[words["position"] > 0].reset_index(drop=True)
    neurons = [f"hidden.1.{unit}" for unit in range(8)]

    def call(frame, y):
        return causal_effect(
            model, frame, y, neurons, positive="NOUN", steps=[4], n_draws=1, random_state=0
        )

    for kind in COLUMNS:
        found = call(FRAMES[kind](own), COLUMNS[kind](own["upos"]))
        assert_same(found, call(own, own["upos"]), kind)


@pytest.mark.slow
def test_displays(H, words):
    import matplotlib.pyplot as plt

    probe, y = GaussianNB(), words["upos"]
    curve = ablation_curve(
        probe, H, y, ranker=ProbelessRanker(), groups=words["text"], cv=2, n_draws=1, random_state=0
    )
    profile = layer_profile(probe, H, y, groups=words["text"], cv=2)
    for display, frame in ((AblationCurveDisplay, curve), (LayerProfileDisplay, profile)):
        expected = display.from_frame(frame).frame
        for kind in COLUMNS:
            assert_same(display.from_frame(FRAMES[kind](frame)).frame, expected, kind)
    plt.close("all")


needs_polars = pytest.mark.skipif("polars" not in FRAMES, reason="polars is not installed")


@pytest.mark.slow
@needs_polars
def test_polars_output(words, features, H):
    ours = make_pipeline(*(step for _, step in features.steps)).set_output(transform="polars")
    found = ours.fit_transform(pl.from_pandas(words))
    assert isinstance(found, pl.DataFrame)
    assert found.columns == list(H.columns)
    np.testing.assert_array_equal(found.to_numpy(), H.to_numpy())
    best = make_pipeline(ours, ProbelessRanker(n_neurons=3)).set_output(transform="polars")
    kept = best.fit_transform(pl.from_pandas(words), pl.Series(words["upos"]))
    assert isinstance(kept, pl.DataFrame)
    expected = ProbelessRanker(n_neurons=3).fit(H, words["upos"]).get_feature_names_out()
    assert kept.columns == list(expected)
    # Cross-validation selects rows of the polars frame itself.
    pipe = make_pipeline(*(step for _, step in features.steps), GaussianNB())
    predicted = [
        cross_val_predict(pipe, rows, words["upos"], cv=2)
        for rows in (words, pl.from_pandas(words), table(words))
    ]
    np.testing.assert_array_equal(predicted[0], predicted[1])
    np.testing.assert_array_equal(predicted[0], predicted[2])


_WITHOUT_PYARROW = """
import sys

class NoPyarrow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoPyarrow())
import polars as pl
from sklearn_neurox.words import words_frame

rows = pl.DataFrame({"s": [1, 1, 2], "w": ["a", "b", None], "pos": ["X", None, "Y"]})
frame = words_frame(rows[:2], word="w", sentence_id="s", label="pos")
assert frame["text"].tolist() == ["a b", "a b"], frame
assert frame["label"].isna().tolist() == [False, True], frame
assert words_frame(pl.Series([["a", "b"], ["c"]]))["word"].tolist() == ["a", "b", "c"]
print("done")
"""


@needs_polars
@pytest.mark.slow
def test_polars_without_pyarrow():
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_PYARROW], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "done", done.stderr


def test_what_is_not_a_table_is_named(words, H):
    not_tables = {
        "None": None,
        "of type list": ["a", "b"],
        "of type str": "words",
        r"pandas.DataFrame\(...\)": {"word": ["a"]},
        r"such as \['train'\]": {"train": words},
        r"list\(...\)": iter([{"word": "a"}]),
    }
    if "polars" in FRAMES:
        not_tables[r"collect\(\)"] = pl.LazyFrame({"word": ["a"]})
    for message, rows in not_tables.items():
        for call in (
            lambda rows: annotate(rows, {"a"}),
            lambda rows: top_contexts(H, rows, [0]),
            lambda rows: leakage_report(rows, cv=2),
            lambda rows: write_neurox("acts.json", H, rows),
        ):
            with pytest.raises((TypeError, ValueError), match=message) as caught:
                call(rows)
            assert isinstance(caught.value, TypeError), (message, call)
        if not isinstance(rows, list):
            with pytest.raises(TypeError):
                words_frame(rows if message != r"list\(...\)" else 3)


def test_missing_columns_are_named_with_what_makes_them(words):
    arcs = words.assign(head=0)
    for call, message in (
        (lambda: top_words(np.eye(len(words)), words[["upos"]]), "Make the frame with words_frame"),
        (lambda: pair_frame(arcs, heads="heads"), "'heads' .*Check the spelling, or add the"),
        (
            lambda: attention_head_table(pd.DataFrame({"a": [1.0]}), words.head(1)),
            "of the 'pairs' parameter, .*Make the frame with pair_frame",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_repeated_columns_are_named(words, H):
    twice = pd.concat([words, words[["word"]]], axis=1)
    calls = {
        "words_frame": words_frame,
        "annotate": lambda rows: annotate(rows, {"a"}),
        "top_words": lambda rows: top_words(H, rows, [0]),
        "top_contexts": lambda rows: top_contexts(H, rows, [0]),
        "control_labels": lambda rows: control_labels(rows, words["upos"]),
        "leakage_report": lambda rows: leakage_report(rows, cv=2),
        "ActivationExtractor": ActivationExtractor(make_tiny_model("bert")).transform,
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match="'word'.*[Rr]ename or drop") as caught:
            call(twice)
        assert name in str(caught.value)


def test_anything_else_stays_as_it_is():
    for rows in (None, [], ["a"], [["a"]], np.zeros(3), "text", {"a": 1}, (1, 2)):
        assert to_pandas(rows) is rows
    frame = pd.DataFrame({"a": [1]})
    assert read_frame(frame, caller="f") is frame
