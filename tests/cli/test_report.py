# SPDX-License-Identifier: BSD-3-Clause
import re

import pytest

from sklearn_neurox.cli import main
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model


@pytest.fixture(scope="module")
def conllu(tmp_path_factory):
    words = make_tagged_words(30, random_state=2)
    path = tmp_path_factory.mktemp("data") / "own.conllu"
    sentences = [
        "".join(
            f"{i}\t{row.word}\t_\t{row.upos}" + "\t_" * 6 + "\n"
            for i, row in enumerate(sentence.itertuples(), start=1)
        )
        for _, sentence in words.groupby("sentence_id", sort=False)
    ]
    path.write_text("\n".join([*sentences, ""]), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def model():
    return make_tiny_model("bert", n_layers=1, hidden_size=16)


@pytest.mark.slow
def test_one_command_makes_the_page(conllu, model, tmp_path, capsys):
    output = tmp_path / "page.html"
    options = ["--label", "upos", "--model", model, "--layers", "1", "--aggregation", "mean"]
    assert main(["report", conllu, *options, str(output), "--cache", str(tmp_path / "c")]) == 0
    printed = capsys.readouterr().out
    page = output.read_text(encoding="utf-8")
    assert f"{output}: {output.stat().st_size / 1e6:.1f} MB" in printed
    assert re.search(r"== Ablation.*filled +retrained\n.*\ntop .*\nrandom .* ± ", printed, re.S)
    assert "== Ablation" in printed and '"ablation":' in page and '"layer_profile":' in page
    assert re.search(r'"baselines":.*\["majority",.*\["probe",', page)
    # The page draws the layers only with these columns.
    assert re.search(r'"layer_profile":.*?"columns":\[[^\]]*"layer",[^\]]*"score"', page)
    assert "\nSummary\n" in printed and printed.rstrip().endswith("it needs no network)")
    assert '"hidden.1.15"' in page and '"hidden.0.15"' not in page
    assert '"label":"upos"' in page and "<title>Neurons for upos</title>" in page
    assert list((tmp_path / "c").iterdir())


@pytest.mark.slow
def test_without_a_model_it_takes_the_demo_model(conllu, tmp_path, capsys):
    output = tmp_path / "page.html"
    assert main(["report", conllu, str(output), "--no-ablation", "--n-detailed", "3"]) == 0
    assert "2,688 neurons" in capsys.readouterr().out
    assert '"hidden.6.383"' in output.read_text(encoding="utf-8")


@pytest.mark.slow
def test_ablation_can_be_left_out(conllu, model, tmp_path, capsys):
    output = tmp_path / "page.html"
    options = ["--model", model, "--no-ablation", "--n-detailed", "3"]
    assert main(["report", conllu, str(output), *options]) == 0
    assert "== Ablation" not in capsys.readouterr().out
    page = output.read_text(encoding="utf-8")
    assert '"ablation":' not in page
    assert len(re.search(r'"detailed":\[([\d,]+)\]', page)[1].split(",")) == 3


@pytest.mark.parametrize(
    ("output", "options", "message"),
    [
        ("page.txt", [], "OUT.html .*page.txt must end with .html"),
        ("nowhere/page.html", [], "there is no folder .*nowhere. Create it first"),
        ("folder.html", [], "folder.html is a folder"),
        ("page.html", ["--alpha", "-1"], "'alpha' parameter of ElasticNetProbeClassifier"),
        ("page.html", ["--component", "soul"], "'component' parameter of ActivationExtractor"),
        ("page.html", ["--label", "Mood"], "--label Mood: .* has no such column or feature"),
    ],
)
def test_wrong_requests_are_one_message(conllu, model, tmp_path, output, options, message, capfd):
    (tmp_path / "folder.html").mkdir()
    arguments = ["report", conllu, str(tmp_path / output), "--model", model, *options]
    assert main([*arguments, "--no-ablation"]) == 1
    errors = capfd.readouterr().err
    assert "Traceback" not in errors
    assert re.search(message, errors)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_a_path_that_cannot_be_written_is_found_before_the_work(conllu, tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_neurox.cli._probing.read_labeled_words", None)
    assert main(["report", conllu, str(tmp_path / "no" / "page.html")]) == 1


@pytest.mark.slow
def test_the_page_of_the_demo_is_replaced_and_announced(conllu, model, tmp_path, capsys):
    page = tmp_path / "own.html"
    page.write_text("old")
    options = ["--data", conllu, "--model", model, "--report", str(page)]
    assert main(["demo", *options]) == 0
    assert f"{page}: " in capsys.readouterr().out
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
