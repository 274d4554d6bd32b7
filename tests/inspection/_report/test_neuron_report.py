# SPDX-License-Identifier: BSD-3-Clause
"""The contents of a report, compared with plain computations, and its page."""

import base64
import hashlib
import html
import json
import re
import webbrowser
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_neurox.inspection._report._neuron_report as module
from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.datasets import make_planted_neurons, make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.inspection import NeuronReport
from sklearn_neurox.inspection._report._input import model_name
from sklearn_neurox.ranking import LCARanker, ProbelessRanker, RandomRanker
from sklearn_neurox.words import words_frame

N_NEURONS = 12


@pytest.fixture(scope="module")
def words():
    return make_tagged_words(40, random_state=0)


@pytest.fixture(scope="module")
def data(words):
    made = make_planted_neurons(len(words), N_NEURONS, n_classes=3, n_layers=2, random_state=0)
    # Equal sentences have equal activations, as with a model.
    keys = words.groupby(["text", "start"], observed=True, sort=False).ngroup().to_numpy()
    first = pd.Series(range(len(words))).groupby(keys).first().to_numpy()
    return made.X[first][keys] + 3, np.array(["A", "B", "C"])[made.y], made.feature_names


@pytest.fixture(scope="module")
def ranker(data):
    return LCARanker(LogisticRegression()).fit(pd.DataFrame(data[0], columns=data[2]), data[1])


@pytest.fixture(scope="module")
def report(ranker, data, words):
    return NeuronReport(ranker, data[0], data[1], words, n_top_words=4, n_contexts=3, min_count=3)


def contents(report):
    """Return the data of the page, with arrays decoded as in a browser."""
    page = report.to_html()
    found = re.search('<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    parsed = json.loads(found[1])
    arrays = {}
    for name, packed in parsed["arrays"].items():
        flat = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), packed["dtype"])
        arrays[name] = flat.reshape(packed["shape"]) * packed.get("scale", 1)
    return parsed, arrays


def standardized(X):
    X = X.astype(np.float64)
    return (X - X.mean(axis=0)) / X.std(axis=0)


def test_ranks_scores_and_weights_are_those_of_the_ranker(report, ranker, data):
    parsed, arrays = contents(report)
    assert parsed["neurons"] == data[2].tolist()
    assert [parsed["layers"][i] for i in arrays["layer_of"]] == [
        name.rsplit(".", 1)[0] for name in data[2]
    ]
    np.testing.assert_array_equal(arrays["rank"], ranker.ranks_)
    np.testing.assert_allclose(arrays["score"], ranker.scores_, rtol=1e-6)
    np.testing.assert_allclose(arrays["class_score"], ranker.class_scores_, rtol=1e-6)
    np.testing.assert_allclose(arrays["weight"], ranker.estimator_.coef_, rtol=1e-6)
    for order, ranks in zip(ranker.class_order_, arrays["class_rank"], strict=True):
        np.testing.assert_array_equal(np.argsort(ranks), order)
    assert (parsed["ranker"], parsed["probe"]) == ("LCARanker", "LogisticRegression")


def test_layers_are_those_of_the_names(data, words):
    names = [f"decoder.attention.{i}.h1.2" for i in (1, 2)]
    names += ["module:encoder.layer.2.dense.17", "x3", *(f"hidden.0.{i}" for i in range(8))]
    X, y, _ = data
    ranker = ProbelessRanker().fit(X, y)
    parsed, arrays = contents(NeuronReport(ranker, X, y, words, input_features=names))
    layers = [parsed["layers"][i] if i >= 0 else None for i in arrays["layer_of"]]
    assert layers[:2] == ["decoder.attention.1", "decoder.attention.2"]
    assert layers[2:] == ["module:encoder.layer.2.dense", None, *["hidden.0"] * 8]


def test_distributions_are_the_histograms_of_the_classes(report, data):
    _, arrays = contents(report)
    X, y, _ = data
    Z = standardized(X)
    np.testing.assert_allclose(arrays["mean"], X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(arrays["deviation"], X.std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(arrays["range"], np.stack([Z.min(0), Z.max(0)], 1), atol=1e-4)
    for j in range(N_NEURONS):
        low, high = arrays["range"][j]
        for c, label in enumerate("ABC"):
            values = Z[y == label, j]
            counts, _ = np.histogram(values, bins=32, range=(low - 1e-6, high + 1e-6))
            expected = np.ceil(31 * counts / counts.max())
            # Values on the border of two bins can fall into either.
            assert np.sum(arrays["shares"][j, c] != expected) <= 2
            places = (arrays["quantiles"][j, c] + 0.5) / 256 * (high - low) + low
            quantiles = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95], method="inverted_cdf")
            np.testing.assert_allclose(places, quantiles, atol=(high - low) / 250)
            assert abs(arrays["class_mean"][j, c] - values.mean()) < 1e-3


def test_outliers_do_not_squeeze_the_others(ranker, data, words):
    X, y, _ = data
    X = X.copy()
    X[7, 0] = 1e4
    _, arrays = contents(NeuronReport(ranker, X, y, words))
    assert arrays["range"][0, 1] == 5


def test_top_words_are_the_extreme_means_of_frequent_words(report, data, words):
    parsed, arrays = contents(report)
    means = pd.DataFrame(standardized(data[0])).groupby(words["word"]).agg(["mean", "size"])
    for j in range(N_NEURONS):
        frequent = means[j][means[j]["size"] >= 3]["mean"].sort_values()
        highest, lowest = ([parsed["words"][w] for w in side] for side in arrays["top_word"][j])
        assert highest == frequent.index[::-1][:4].tolist()
        assert lowest == frequent.index[:4].tolist()
        np.testing.assert_allclose(arrays["top_word_mean"][j, 1], frequent[:4], atol=1e-3)
    sizes = words["word"].value_counts()
    assert arrays["type_count"].tolist() == [sizes[word] for word in parsed["words"]]


def shown_contexts(parsed, arrays, neuron):
    """Return (text, word, value, values) of each context of a neuron, read as the page does."""
    spans = list(zip(arrays["span_start"], arrays["span_end"], strict=True))
    first, width = arrays["text_first"].tolist(), parsed["window"]
    offset, shown = 0, []
    for place, span in enumerate(arrays["context"].ravel().tolist()):
        text = int(np.searchsorted(first, span, "right")) - 1
        begin = min(max(span - width // 2, first[text]), max(first[text], first[text + 1] - width))
        stop = min(begin + width, first[text + 1])
        if place // arrays["context"][0].size == neuron:
            start, end = spans[span]
            values = arrays["window_values"][offset : offset + stop - begin] / 127 * 4
            word = parsed["texts"][text][start:end]
            value = arrays["context_value"].ravel()[place]
            shown.append((parsed["texts"][text], word, value, values))
        offset += stop - begin
    assert offset == len(arrays["window_values"])
    return shown


def test_sentences_are_those_of_the_most_extreme_words(report, data, words):
    parsed, arrays = contents(report)
    Z = standardized(data[0])
    for j in range(N_NEURONS):
        by_text = words.assign(z=Z[:, j]).groupby("text", observed=True)
        peaks = by_text["z"].max().sort_values(ascending=False)[:3]
        shown = shown_contexts(parsed, arrays, j)
        assert [text for text, *_ in shown[:3]] == peaks.index.tolist()
        np.testing.assert_allclose([value for *_, value, _ in shown[:3]], peaks, atol=1e-3)
        for text, word, value, values in shown:
            rows = words[words["text"] == text].drop_duplicates("start")
            expected = Z[rows.index, j]
            np.testing.assert_allclose(values, expected.clip(-4, 4), atol=0.02)
            assert rows["word"].iloc[np.argmin(np.abs(expected - value))] == word


def test_long_texts_are_shown_in_part():
    words = words_frame([[f"w{i}" for i in range(200)], ["short", "one"]])
    X = np.zeros((202, 1))
    X[150], X[3], X[201] = 5, -5, 4
    y = np.arange(202) % 2
    report = NeuronReport(ProbelessRanker().fit(X, y), X, y, words, n_contexts=2)
    shown = shown_contexts(*contents(report), 0)
    assert [(word, len(values)) for _, word, _, values in shown] == [
        ("w150", 40),
        ("one", 2),
        ("w3", 40),
        ("short", 2),
    ]


def test_rows_may_stand_in_any_order(report, ranker, data, words):
    X, y, _ = data
    order = np.random.default_rng(0).permutation(len(words))
    other = NeuronReport(
        ranker, X[order], y[order], words.iloc[order], n_top_words=4, n_contexts=3, min_count=3
    )
    (parsed, arrays), (expected, known) = contents(other), contents(report)
    for name in ("shares", "quantiles"):
        assert np.mean(arrays[name] == known[name]) > 0.99
    for j in range(N_NEURONS):
        for mine, theirs in zip(arrays["top_word"][j], known["top_word"][j], strict=True):
            assert [parsed["words"][w] for w in mine] == [expected["words"][w] for w in theirs]
        assert [c[:2] for c in shown_contexts(parsed, arrays, j)] == [
            c[:2] for c in shown_contexts(expected, known, j)
        ]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_mapped_files_are_read_in_their_type(ranker, data, words, dtype, tmp_path):
    X, y, _ = data
    np.save(tmp_path / "X.npy", X.astype(dtype))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    _, arrays = contents(NeuronReport(ranker, mapped, y, words))
    _, expected = contents(NeuronReport(ranker, X, y, words))
    np.testing.assert_allclose(arrays["class_mean"], expected["class_mean"], atol=2e-3)
    np.testing.assert_allclose(arrays["range"], expected["range"], atol=1e-2)


def test_blocks_of_columns_do_not_show(ranker, data, words, monkeypatch):
    gathering = "sklearn_neurox.inspection._report._gathering"
    X, y, _ = data
    wide = np.tile(X, (1, 3))
    names = [f"n{i}" for i in range(wide.shape[1])]
    everything = ProbelessRanker().fit(wide, y)
    monkeypatch.setattr(f"{gathering}._BLOCK_ENTRIES", 1)
    small = NeuronReport(everything, wide, y, words, input_features=names, n_detailed=20)
    monkeypatch.undo()
    large = NeuronReport(everything, wide, y, words, input_features=names, n_detailed=20)
    assert small.to_html() == large.to_html()


def test_fewer_neurons_in_detail(ranker, data, words):
    parsed, arrays = contents(NeuronReport(ranker, *data[:2], words, n_detailed=5))
    assert parsed["detailed"] == sorted(ranker.order_[:5].tolist())
    assert len(arrays["context"]) == len(arrays["top_word"]) == 5
    assert len(arrays["shares"]) == N_NEURONS
    used = {text for text, *_ in shown_contexts(parsed, arrays, 0)}
    assert used <= set(parsed["texts"]) <= set(words["text"])
    none = NeuronReport(ranker, *data[:2], words, n_detailed=0)
    assert contents(none)[0]["texts"] == []


def test_whole_texts_may_be_rows():
    texts = ["good film", "bad film", "good", "bad", "good film"]
    X = np.array([[1.0], [-1.0], [2.0], [-2.0], [1.0]])
    ranker = ProbelessRanker().fit(X, [1, 0, 1, 0, 1])
    report = NeuronReport(ranker, X, [1, 0, 1, 0, 1], texts, min_count=1, n_contexts=1)
    shown = shown_contexts(*contents(report), 0)
    assert [(text, word) for text, word, *_ in shown] == [("good", "good"), ("bad", "bad")]


def test_a_constant_neuron_is_no_harm(data, words):
    X, y, _ = data
    X = X.copy()
    X[:, 4] = 0.1
    with np.errstate(all="raise"):
        ranker = RandomRanker(random_state=0).fit(X, y)
        _, arrays = contents(NeuronReport(ranker, X, y, words))
    assert arrays["deviation"][4] == 0
    assert abs(arrays["mean"][4] - 0.1) < 1e-7
    assert not arrays["class_mean"][4].any()


def test_one_row_of_weights_speaks_for_two_classes(data, words):
    X, y = data[0], data[1] == "A"
    probe = LogisticRegression().fit(X, y)
    ranker = ProbelessRanker().fit(X, y)
    parsed, arrays = contents(NeuronReport(ranker, X, y, words, probe=probe))
    assert parsed["classes"] == ["False", "True"]
    np.testing.assert_allclose(arrays["weight"], np.concatenate([-probe.coef_, probe.coef_]))


def test_classes_that_one_side_does_not_know(data, words):
    X, y, _ = data
    known = y != "C"
    ranker = LCARanker(LogisticRegression()).fit(X[known], y[known])
    parsed, arrays = contents(NeuronReport(ranker, X, y, words))
    assert parsed["classes"] == ["A", "B", "C"]
    assert np.isnan(arrays["class_score"][2]).all() and not arrays["class_rank"][2].any()
    parsed, arrays = contents(NeuronReport(ranker, X[y == "A"], y[y == "A"], words[y == "A"]))
    assert parsed["class_counts"] == [np.sum(y == "A"), 0]


def test_rankers_without_classes_and_selectors_of_scikit_learn(data, words):
    X, y, _ = data
    regression = LCARanker(Ridge()).fit(X, X[:, 0])
    parsed, arrays = contents(NeuronReport(regression, X, y, words))
    assert "class_rank" not in arrays and "weight" not in arrays
    assert parsed["probe"] is None
    selector = SelectKBest(k=3).fit(X, y)
    _, arrays = contents(NeuronReport(selector, X, y, words))
    assert np.argmin(arrays["rank"]) == np.argmax(selector.scores_)


@pytest.mark.slow
def test_from_pipeline_takes_words_to_a_report(words, tmp_path):
    model = make_tiny_model("bert", n_layers=1, hidden_size=8)
    pipe = make_pipeline(
        ActivationExtractor(model, cache=tmp_path),
        SubwordAggregator("last"),
        ProbelessRanker(n_neurons=5),
        LogisticRegression(max_iter=1000),
    ).fit(words, words["upos"])
    parsed, arrays = contents(NeuronReport.from_pipeline(pipe, words, words["upos"]))
    assert parsed["neurons"][::8] == ["hidden.0.0", "hidden.1.0"]
    assert parsed["label"] == "upos"
    assert parsed["model"] == "/".join(Path(model).parts[-2:])
    H = pipe[:2].transform(words)
    np.testing.assert_allclose(arrays["mean"], H.mean(axis=0), rtol=1e-3, atol=1e-5)
    assert np.isfinite(arrays["weight"]).all(axis=0).sum() == 5


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("org/some-model", "org/some-model"),
        ("some-model", "some-model"),
        (Path("nowhere/model"), "nowhere/model"),
        ("{folder}/a/b/", "a/b"),
        (Path("{folder}/a/b"), "a/b"),
        (LogisticRegression(), "LogisticRegression"),
    ],
)
def test_the_model_is_named_without_the_folders_above_it(tmp_path, model, name):
    (tmp_path / "a" / "b").mkdir(parents=True)
    if not isinstance(model, LogisticRegression):
        model = type(model)(str(model).format(folder=tmp_path))
    assert model_name(make_pipeline(ActivationExtractor(model), StandardScaler())) == name


def test_a_pipeline_without_a_model_has_no_name():
    assert model_name(make_pipeline(StandardScaler())) is None


def test_from_pipeline_reads_the_ranker_and_the_probe(data, words):
    X, y, names = data
    frame = pd.DataFrame(X, columns=names)
    pipe = make_pipeline(StandardScaler(), ProbelessRanker(n_neurons=4), LogisticRegression()).fit(
        frame, y
    )

    class FromWords(StandardScaler):
        """A stand-in for an extractor."""

        def transform(self, rows):
            return super().transform(frame.iloc[rows.index])

    pipe.steps[0] = ("features", FromWords().fit(frame))
    parsed, arrays = contents(NeuronReport.from_pipeline(pipe, words, y, title="Tuned"))
    support = pipe[1].get_support()
    assert parsed["title"] == "Tuned" and parsed["neurons"] == names.tolist()
    np.testing.assert_allclose(arrays["weight"][:, support], pipe[-1].coef_, rtol=1e-6)
    assert np.isnan(arrays["weight"][:, ~support]).all()
    np.testing.assert_allclose(arrays["mean"], 0, atol=1e-6)
    with pytest.raises(ValueError, match="a pipeline with a ranker"):
        NeuronReport.from_pipeline(pipe[:1], words, y)


@pytest.mark.slow
def test_tables_are_shown_with_their_numbers(ranker, data, words):
    X, y, _ = data
    curve = ablation_curve(
        LogisticRegression(max_iter=1000), X, y, groups=words["text"], n_draws=2, random_state=0
    )
    layers = pd.DataFrame({"layer": ["hidden.0", None], "score": [0.5, np.nan], "n": [1, 2]})
    report = NeuronReport(ranker, X, y, words, ablation=curve, layer_profile=layers)
    tables = contents(report)[0]["tables"]
    assert tables["layer_profile"]["rows"] == [["hidden.0", 0.5, 1], ["", None, 2]]
    assert tables["layer_profile"]["numeric"] == [False, True, True]
    shown = pd.DataFrame(tables["ablation"]["rows"], columns=tables["ablation"]["columns"])
    top = curve[(curve["which"] == "random") & (curve["fraction"] == 0.1) & curve["retrained"]]
    row = shown[(shown["which"] == "random") & (shown["fraction"] == 0.1)].set_index("retrained")
    assert row.loc["yes", "score"] == pytest.approx(top["score"].mean())
    assert row.loc["yes", "spread"] == pytest.approx(top["score"].std())
    assert row.loc["yes", "n"] == 10


def test_the_callers_data_stay_as_they_are(ranker, data, words):
    X, y = data[0].copy(), data[1].copy()
    before = words.copy(deep=True)
    X.setflags(write=False)
    NeuronReport(ranker, X, y, words)
    np.testing.assert_array_equal(X, data[0])
    pd.testing.assert_frame_equal(words, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones((3, N_NEURONS))}, "inconsistent numbers of samples"),
        ({"X": np.ones((5, 3))}, "X has 3 columns, but the ranker was fitted on 12 neurons"),
        ({"y": ["a", None, "b"]}, "1 of 3 labels are missing, the first at row 1"),
        (
            {"y": [0.5, 1.5, 2.5]},
            "y is continuous, but the ProbelessRanker was fitted on the labels",
        ),
        (
            {"y": list("abc" * 100)},
            r"knows the labels \['A', 'B', 'C'\], but y contains none of these",
        ),
        ({"words": pd.DataFrame({"word": ["a"]})}, "has no column 'text'"),
        ({"input_features": ["n"] * N_NEURONS}, "Two neurons are named 'n'"),
        ({"probe": StandardScaler()}, "not fitted"),
        ({"probe": "scaler"}, "'probe' parameter of NeuronReport must be a fitted linear"),
        ({"probe": "narrow"}, "was fitted on 3 columns, but there are 12 neurons"),
        ({"n_contexts": -1}, "The 'n_contexts' parameter of NeuronReport must be an int"),
        (
            {"ablation": pd.DataFrame({"a": [1]})},
            "must be a frame returned by ablation_curve or ablation_table",
        ),
        ({"ablation": [1]}, "The 'ablation' parameter of NeuronReport must be"),
        ({"ranker": ProbelessRanker()}, "not fitted"),
        ({"ranker": "lca"}, "The 'ranker' parameter of NeuronReport must be"),
    ],
)
def test_wrong_input_is_named(data, words, change, message):
    X, y, _ = data
    change = dict(change)
    if change.get("probe") == "scaler":
        change["probe"] = StandardScaler().fit(X)
    elif change.get("probe") == "narrow":
        change["probe"] = LogisticRegression().fit(X[:, :3], y)
    ranker = ProbelessRanker().fit(X, y)
    given = {"ranker": ranker, "X": X, "y": y, "words": words} | change
    with pytest.raises((ValueError, TypeError), match=message):
        NeuronReport(**given)


def test_wrong_values_are_placed(ranker, data, words):
    X, y, names = data
    X = X.copy()
    X[5, 2] = np.nan
    with pytest.raises(ValueError, match=r"column 2, row 5"):
        NeuronReport(ranker, X, y, words)
    with pytest.raises(ValueError, match=r"The span of row 3 of the words .* \(1 such rows\)"):
        NeuronReport(
            ranker, data[0], y, words.assign(end=words["end"].where(words.index != 3, 999))
        )
    with pytest.raises(ValueError, match="The text of row 4 of the words is missing"):
        NeuronReport(ranker, data[0], y, words.assign(text=words["text"].where(words.index != 4)))


def test_a_large_report_is_announced(ranker, data, words, monkeypatch):
    monkeypatch.setattr(module, "_LARGE_BYTES", 1000)
    with pytest.warns(UserWarning, match="n_detailed=1000"):
        NeuronReport(ranker, *data[:2], words)


def test_the_page_forbids_all_but_its_own_script_and_style(report):
    page = report.to_html()
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none';")
    script = re.search("<script>(.*?)</script>", page, re.DOTALL)[1]
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)[1]
    for kind, text in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "innerHTML" not in script and "eval(" not in script


def test_hostile_strings_stay_inside_the_data():
    hostile = "</script><script>alert(1)</script><!--"
    words = words_frame([[hostile, "\u2028{{style}}"]] * 3)
    X = np.arange(6.0)[:, np.newaxis]
    y = [hostile, "b"] * 3
    ranker = ProbelessRanker().fit(pd.DataFrame(X, columns=[hostile]), y)
    report = NeuronReport(ranker, X, y, words, title=hostile, min_count=1)
    page = report.to_html()
    assert page.count("<script") == page.count("</script") == 2
    assert hostile in contents(report)[0]["words"]
    assert "\u2028{{style}}" in contents(report)[0]["words"]


def test_half_of_a_surrogate_pair_can_be_written(tmp_path):
    words = pd.DataFrame({"text": ["a\ud83d", "b"]}, dtype=object)
    X = np.array([[1.0], [2.0]])
    ranker = ProbelessRanker().fit(X, [0, 1])
    NeuronReport(ranker, X, [0, 1], words).write_html(tmp_path / "page.html")
    assert "a\\ud83d" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_notebook_gets_a_frame_that_may_run_only_its_script(report):
    shown = report._repr_html_()
    assert 'sandbox="allow-scripts"' in shown
    inner = re.fullmatch('<iframe [^>]* srcdoc="([^"]*)"></iframe>', shown, re.DOTALL)[1]
    assert html.unescape(inner) == report.to_html()


def test_a_file_is_written_whole_or_not_at_all(report, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        report.write_html(path)
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"] and path.read_text() == "old"
    monkeypatch.undo()
    report.write_html(str(path))
    assert path.read_text(encoding="utf-8") == report.to_html()


def test_an_unwritable_path_is_named(report, tmp_path, monkeypatch):
    with pytest.raises(IsADirectoryError, match="is a folder. Name a file in it"):
        report.write_html(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere"):
        report.write_html(tmp_path / "nowhere" / "page.html")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="you have no permission to write in"):
        report.write_html(tmp_path / "page.html")


def test_open_hands_a_file_to_the_browser(report, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    path = report.open()
    assert opened == [path.as_uri()]
    assert path.read_text(encoding="utf-8") == report.to_html()
    path.unlink()
    path.parent.rmdir()
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    with pytest.raises(RuntimeError, match="No browser was found. The report is in"):
        report.open()
