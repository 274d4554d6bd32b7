# SPDX-License-Identifier: BSD-3-Clause
import argparse
import re
import subprocess
import sys

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox import __version__
from sklearn_neurox.cli import main
from sklearn_neurox.cli._probing import extract_and_score, fit_and_rank
from sklearn_neurox.cli._summary import print_summary
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor


@pytest.fixture(scope="module")
def conllu(tmp_path_factory):
    """Write generated sentences to a file, as an example of a user's own data."""
    words = make_tagged_words(60, random_state=1)
    path = tmp_path_factory.mktemp("data") / "own.conllu"
    lines = []
    for _, sentence in words.groupby("sentence_id", sort=False):
        for i, (word, upos, number) in enumerate(
            sentence[["word", "upos", "number"]].itertuples(index=False), start=1
        ):
            feats = f"Number={number}" if isinstance(number, str) else "_"
            lines.append(f"{i}\t{word}\t_\t{upos}\t_\t{feats}\t_\t_\t_\t_")
        lines.append("")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def model():
    return make_tiny_model("bert", n_layers=1, hidden_size=16)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["upos", "Number"])
def test_demo_on_own_data_and_model(conllu, model, label, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--data", conllu, "--label", label, "--model", model]) == 0
    printed = capsys.readouterr().out
    for line in (
        "accuracy",
        " low",
        " high",
        "hidden.0",
        "hidden.1",
        "always the most frequent label",
        "characters",
    ):
        assert line in printed
    assert printed.index("\nSummary\n") < printed.index("Where to go next")
    for kept in ("all", "top", "random", "bottom", "retrained", "filled"):
        assert kept in printed
    assert [path.name for path in tmp_path.iterdir()] == ["sklearn-neurox-demo.html"]
    assert "sklearn-neurox-demo.html: " in printed


@pytest.mark.slow
def test_scores_are_those_of_plain_computations(conllu, model, capsys):
    arguments = argparse.Namespace(data=conllu, label="upos")
    probe = LogisticRegression(max_iter=1000)
    scored = extract_and_score(arguments, ActivationExtractor(model), "last", probe)
    printed = capsys.readouterr().out
    words, train, test = scored.words, scored.train, scored.test
    assert not set(words["text"].iloc[train]) & set(words["text"].iloc[test])
    y = words["label"].to_numpy()
    for row, layer in enumerate(("hidden.0", "hidden.1")):
        Z = scored.H.filter(like=f"{layer}.").to_numpy()
        accuracy = probe.fit(Z[train], y[train]).score(Z[test], y[test])
        found = scored.profile.iloc[row]
        assert (found["name"], found["score"]) == (layer, pytest.approx(accuracy))
        assert found["low"] < accuracy < found["high"]
        assert re.search(rf"{layer} +{accuracy:.3f}", printed)
    frequent = words.iloc[train].groupby("word")["label"].agg(lambda labels: labels.mode()[0])
    common = words["label"].iloc[train].mode()[0]
    guessed = words["word"].iloc[test].map(frequent).fillna(common)
    scores = scored.baselines.set_index("name")["score"]
    assert scores["majority"] == pytest.approx((y[test] == common).mean())
    # Labels of equal frequency may be broken differently.
    assert scores["word type"] == pytest.approx((guessed == y[test]).mean(), abs=0.02)
    assert list(scores.index) == ["majority", "word type", "characters"]

    _, best, baselines = fit_and_rank(scored, probe)
    Z = scored.H.to_numpy()
    accuracy = probe.fit(Z[train], y[train]).score(Z[test], y[test])
    name, score = baselines[["name", "score"]].iloc[-1]
    assert (name, score) == ("probe", pytest.approx(accuracy))
    assert best["neuron"].iloc[0] in capsys.readouterr().out


def test_the_summary_repeats_the_results(capsys):
    print_summary(
        n_test=1234,
        baselines=pd.DataFrame(
            {"name": ["majority", "word type", "probe"], "score": [0.2, 0.8, 0.95]}
        ),
        profile=pd.DataFrame(
            {"name": ["hidden.0", "hidden.1"], "score": [0.8, 0.9]}
            | {"low": [0.7, 0.85], "high": [0.82, 0.95]}
        ),
        best=pd.DataFrame(
            {"neuron": ["hidden.1.7"], "direction": ["low"], "label": ["NOUN"], "auc": [0.25]}
            | {"words": ["of (ADP)"]}
        ),
        curve=pd.DataFrame(
            {"which": ["all", *["top", "random", "random"] * 2, "top"]}
            | {"fraction": [1, *[0.1] * 6, 0.2], "retrained": [False, *[True, False] * 3, True]}
            | {"score": [0.95, 0.7, 0.4, 0.6, 0.3, 0.5, 0.2, 0.9]}
        ),
        report="out.html",
    )
    assert capsys.readouterr().out.splitlines() == [
        "Summary",
        "  probe        accuracy 0.950 on 1,234 held-out words",
        "  baselines    word type 0.800, majority 0.200",
        "  best layer   hidden.1, 0.900 (95% interval 0.850 to 0.950)",
        "  best neuron  hidden.1.7, low for NOUN (AUC 0.25): of (ADP)",
        "  ablation     the same probe on the best 10% of the neurons: 0.300; on random 10%: 0.300",
        "               a new probe on the best 10% of the neurons: 0.700; on random 10%: 0.550",
        "  report       out.html (open it in a browser; it needs no network)",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.conllu"], "nowhere.conllu"),
        (["--label", "mood"], "--label mood: generated sentences have only upos, number and tense"),
        (["--l1-ratio", "3"], "'l1_ratio' parameter of ElasticNetProbeClassifier must be"),
        (["--model", "no/such-model"], "'no/such-model'.*could not be loaded"),
        (["--report", "no/page.html"], "--report: .* no/page.html: there is no folder no"),
    ],
)
def test_wrong_input_is_one_message(arguments, message, capfd):
    assert main(["demo", *arguments]) == 1
    errors = capfd.readouterr().err
    assert "Traceback" not in errors
    assert re.search(message, errors)


def test_a_feature_the_file_lacks_is_one_message(conllu, capfd):
    assert main(["demo", "--data", conllu, "--label", "number"]) == 1
    assert "no such column or feature. Did you mean Number? The " in capfd.readouterr().err


@pytest.mark.slow
def test_module_and_version():
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_neurox", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == __version__


@pytest.mark.slow
def test_demo_as_newcomers_run_it(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    assert "hidden.6" in capsys.readouterr().out
