# SPDX-License-Identifier: BSD-3-Clause
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB

from sklearn_neurox import __version__
from sklearn_neurox.cli import main
from sklearn_neurox.cli._probing import layer_table, read_labeled_words, split_sentences
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model


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
        "most frequent label of the word",
        "Where to go next",
    ):
        assert line in printed
    for kept in ("all", "top", "random", "bottom", "retrained", "filled"):
        assert kept in printed
    assert [path.name for path in tmp_path.iterdir()] == ["sklearn-neurox-demo.html"]
    assert "sklearn-neurox-demo.html: " in printed


def test_layers_are_scored_by_layer_profile(capsys):
    words = read_labeled_words(None, "upos").iloc[:600]
    train, test = split_sentences(words, "upos")
    rng = np.random.default_rng(0)
    codes = pd.get_dummies(words["label"]).to_numpy(float)
    noise = rng.normal(size=codes.shape)
    names = [f"hidden.{layer}.{unit}" for layer in (0, 1) for unit in range(codes.shape[1])]
    H = pd.DataFrame(np.hstack([codes + 0.5 * noise, codes + 2 * noise]), columns=names)
    probe = GaussianNB()
    table = layer_table(probe, H, words, train, test)
    y = words["label"].to_numpy()
    for row, layer in enumerate(("hidden.0", "hidden.1")):
        Z = H.filter(like=f"{layer}.").to_numpy()
        accuracy = probe.fit(Z[train], y[train]).score(Z[test], y[test])
        name, score, low, high = table.iloc[row]
        assert (name, score) == (layer, round(accuracy, 3)) and low < score < high
    name, baseline, *interval = table.iloc[2]
    assert name == "most frequent label of the word" and 0.3 < baseline < 1
    assert np.isnan(interval).all()


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
    assert "--label number: at least two different labels" in capfd.readouterr().err


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
