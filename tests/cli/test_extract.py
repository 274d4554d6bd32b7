# SPDX-License-Identifier: BSD-3-Clause
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_neurox.cli import main
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, SubwordAggregator
from sklearn_neurox.io import read_neurox
from sklearn_neurox.words import words_frame

SENTENCES = [
    ["The", "cat", "sleeps", "."],
    ["Dogs", "bark", "loudly"],
    ["The", "cat", "sleeps", "."],
]


@pytest.fixture(scope="module")
def model():
    return make_tiny_model("bert", n_layers=2, hidden_size=16)


@pytest.fixture(scope="module")
def words():
    return words_frame(SENTENCES)


@pytest.fixture(scope="module", params=["txt", "conllu"])
def source(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / f"own.{request.param}"
    if request.param == "txt":
        content = "".join("  ".join(sentence) + "\r\n" for sentence in SENTENCES)
    else:
        rows = [
            "".join(f"{i}\t{word}" + "\t_" * 8 + "\n" for i, word in enumerate(sentence, start=1))
            for sentence in SENTENCES
        ]
        content = "\n".join([*rows, ""])
    path.write_bytes(content.encode())
    return str(path)


def extracted(model, rows, aggregation="last", **parameters):
    pipe = make_pipeline(ActivationExtractor(model, **parameters), SubwordAggregator(aggregation))
    return pipe.set_output(transform="pandas").fit_transform(rows)


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
def test_neuroxs_files_hold_what_python_gives(tmp_path, model, source, words, suffix, capsys):
    output = tmp_path / f"acts{suffix}"
    arguments = ["--layers=-1,0", "--aggregation", "mean"]
    assert main(["extract", model, source, str(output), *arguments]) == 0
    assert "11 words of 2 distinct texts, 32 neurons (hidden.2.0 to hidden.0.15)" in (
        capsys.readouterr().out
    )
    activations, _ = read_neurox(output, words, stored_layers=[2, 0])
    expected = extracted(model, words, "mean", layers=[2, 0])
    np.testing.assert_array_equal(activations.pool("last"), expected)


def test_one_file_a_layer(tmp_path, model, source, words):
    arguments = ["--decompose-layers", "--output-dtype", "float16", "--layers", "1,2"]
    assert main(["extract", model, source, str(tmp_path / "acts.hdf5"), *arguments]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["acts-layer1.hdf5", "acts-layer2.hdf5"]
    activations, _ = read_neurox(tmp_path / "acts.hdf5", words)
    expected = extracted(model, words, layers=[1, 2]).astype(np.float16)
    np.testing.assert_array_equal(activations.pool("last"), expected)


def test_a_matrix_comes_with_its_rows_and_columns(tmp_path, model, source, words):
    assert main(["extract", model, source, str(tmp_path / "acts.v1.npy")]) == 0
    expected = extracted(model, words)
    np.testing.assert_array_equal(np.load(tmp_path / "acts.v1.npy"), expected)
    names = (tmp_path / "acts.v1.neurons.txt").read_text().splitlines()
    assert names == expected.columns.tolist()
    rows = pd.read_csv(tmp_path / "acts.v1.words.csv", keep_default_na=False)
    assert rows["word"].tolist() == words["word"].tolist()


def test_whole_texts_have_a_row_each(tmp_path, model, source, words):
    texts = extracted(model, words["text"].drop_duplicates(keep="first").tolist(), "cls")
    arguments = ["--rows", "texts", "--aggregation", "cls"]
    assert main(["extract", model, source, str(tmp_path / "cls.npy"), *arguments]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "cls.npy"), texts.iloc[[0, 1, 0]])


@pytest.mark.parametrize("whole", [True, False])
def test_a_cache_serves_later_commands_without_the_model(
    tmp_path, model, source, words, monkeypatch, whole, capsys
):
    cache = str(tmp_path / "cache")
    if whole:
        assert main(["extract", model, source, cache]) == 0
        assert "run the same command again" in capsys.readouterr().out
    else:
        first = ["--cache", cache, "--layers", "0"]
        assert main(["extract", model, source, str(tmp_path / "first.npy"), *first]) == 0

    def forbidden(*_):
        raise AssertionError("the model ran again")

    monkeypatch.setattr("sklearn_neurox.extraction._model._forward.run_hidden", forbidden)
    rest = ["--cache", cache, "--layers", "2", "--aggregation", "first"]
    assert main(["extract", model, source, str(tmp_path / "acts.npy"), *rest]) == 0
    monkeypatch.undo()
    expected = extracted(model, words, "first", layers=[2])
    np.testing.assert_allclose(np.load(tmp_path / "acts.npy"), expected, atol=1e-6)


@pytest.mark.parametrize("rows", ["words", "texts"])
def test_a_text_file_larger_than_the_memory_goes_to_a_cache_in_portions(
    rows, model, tmp_path, monkeypatch, capsys
):
    lines = ["\ufeffThe  cat sleeps", "Dogs\u2028bark\x85loudly ", "The  cat sleeps", "A\tdog"]
    path, cache = tmp_path / "own.txt", tmp_path / "cache"
    path.write_bytes("\r\n".join(lines).encode())
    monkeypatch.setattr("sklearn_neurox.extraction._extractor._PORTION", 2)
    for name in ("_read_rows", "words_frame"):  # functions that would load everything
        monkeypatch.setattr(f"sklearn_neurox.cli._extract.{name}", None)
    assert main(["extract", model, str(path), str(cache), "--rows", rows]) == 0
    said = capsys.readouterr().out
    n_rows = {"words": "11 words", "texts": "4 texts"}[rows]
    assert f"cache: {n_rows} of 3 distinct texts" in said
    monkeypatch.undo()
    lines[0] = lines[0].removeprefix("\ufeff")
    whole = lines if rows == "texts" else words_frame([line.split() for line in lines])
    assert ActivationExtractor(model, cache=cache).fill_cache(whole) == 0


@pytest.mark.parametrize(
    ("output", "arguments", "message"),
    [
        ("acts.csv", [], "must end with .hdf5, .json or .npy"),
        ("no/acts.hdf5", [], "there is no folder .*no"),
        ("folder", ["--cache", "other"], "is itself a cache folder: omit --cache"),
        ("acts.json", ["--rows", "texts"], "NeuroX files store words"),
        ("acts.npy", ["--layers", "7"], "layer.* 7"),
        ("acts.npy", ["--component", "soul"], "'component' parameter of ActivationExtractor"),
        ("acts.npy", ["--aggregation", "cls"], r"SubwordAggregator\('cls'\) cannot be used"),
    ],
)
def test_wrong_requests_are_one_message(tmp_path, model, source, output, arguments, message, capfd):
    assert main(["extract", model, source, str(tmp_path / output), *arguments]) == 1
    errors = capfd.readouterr().err
    assert "Traceback" not in errors
    assert re.search(message, errors)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "output", "message"),
    [
        (b"", "acts.json", "own.txt: every line must contain a sentence"),
        (b"", "cache", "own.txt: every line must contain a sentence"),
        (b"a b\n\nc\n \n", "acts.json", r"own.txt:2 is blank \(2 blank lines\)"),
        (b"a b\n\nc\n \n", "cache", r"own.txt:2 is blank \(2 blank lines\)"),
        (b"a\nb\xff\n", "acts.json", "own.txt:2: this file is not utf-8"),
        (b"a\nb\xff\n", "cache", "own.txt:2: this file is not utf-8"),
        (b"1\t10 000" + b"\t_" * 8 + b"\n", "acts.json", "Row 0 has '10 000' as 'word'"),
    ],
)
def test_wrong_text_is_named_before_the_model_runs(
    tmp_path, model, content, output, message, capfd, monkeypatch
):
    path = tmp_path / ("own.conllu" if b"\t" in content else "own.txt")
    path.write_bytes(content)
    monkeypatch.setattr("sklearn_neurox.extraction._model._loading.load_model", None)
    assert main(["extract", model, str(path), str(tmp_path / output)]) == 1
    assert re.search(message, capfd.readouterr().err)
    assert not (tmp_path / output).exists()


def test_wrong_layers_are_a_usage_error(model, source, capsys):
    with pytest.raises(SystemExit):
        main(["extract", model, source, "acts.npy", "--layers", "one"])
    assert "'one' is not a comma-separated list of numbers" in capsys.readouterr().err


def test_an_interruption_is_no_traceback(tmp_path, model, source, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(SubwordAggregator, "transform", interrupt)
    assert main(["extract", model, source, str(tmp_path / "acts.npy")]) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
def test_an_interrupted_command_goes_on_where_it_was(tmp_path, model, whole, monkeypatch):
    from sklearn_neurox.extraction._model import _forward

    lines = [" ".join(["dog"] * (10 + 40 * i)) for i in range(3)]  # one batch each
    lines = [line + f" {i}" for i in range(12) for line in lines]
    path, cache = tmp_path / "own.txt", tmp_path / "cache"
    path.write_text("\n".join(lines), encoding="utf-8")
    output = [str(cache)] if whole else [str(tmp_path / "acts.npy"), "--cache", str(cache)]
    run_hidden, read, stop = _forward.run_hidden, [], [2]

    def interrupted(model, traits_by_stack, inputs, *rest):
        if len(read) == stop[0]:
            raise KeyboardInterrupt
        read.append(len(inputs["input_ids"]))
        return run_hidden(model, traits_by_stack, inputs, *rest)

    monkeypatch.setattr(_forward, "run_hidden", interrupted)
    assert main(["extract", model, str(path), *output]) == 130
    assert 0 < sum(read) < len(lines)
    visible = ActivationCache(cache).info()["sentences"].sum()
    assert visible >= read[0]
    read.clear()
    stop[0] = None
    assert main(["extract", model, str(path), *output]) == 0
    assert sum(read) == len(lines) - visible
    read.clear()
    assert main(["extract", model, str(path), *output]) == 0
    assert read == []


@pytest.mark.slow
def test_help_says_what_output_can_be():
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_neurox", "extract", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(word in done.stdout for word in (".hdf5", ".json", ".npy", "cache folder"))


@pytest.mark.slow
def test_a_decoder_is_read_where_it_is_asked_for(tmp_path, source):
    marian = str(make_tiny_model("marian", n_layers=2, hidden_size=8))
    output = tmp_path / "acts.npy"
    assert (
        main(["extract", marian, source, str(output), "--stack", "decoder", "--layers", "1"]) == 0
    )
    names = output.with_suffix(".neurons.txt").read_text().split()
    assert names[0] == "decoder.hidden.1.0" and np.load(output).shape[1] == len(names) == 8


@pytest.mark.slow
def test_processes_fill_a_cache(tmp_path, model, source, words):
    cache = str(tmp_path / "cache")
    assert main(["extract", model, source, cache, "--n-jobs", "2"]) == 0
    H = extracted(model, words, cache=cache)
    np.testing.assert_allclose(H, extracted(model, words), atol=1e-6)
    assert ActivationCache(cache).info()["sentences"].sum() == words["text"].nunique()


@pytest.mark.slow
def test_large_models_are_read_in_their_own_precision(tmp_path, source, words, capsys):
    """Each option does what the parameter of that name does; a value that cannot be is refused."""
    folder = make_tiny_model("llama", n_layers=2, hidden_size=16)
    for arguments, parameters in [
        (["--dtype", "bfloat16"], {"dtype": "bfloat16"}),
        (["--prefix", "the"], {"prefix": "the"}),
        (["--prefix", "bos", "--dtype", "auto"], {"prefix": "bos", "dtype": "auto"}),
        (["--dtype", "bfloat16", "--output-dtype", "float16"], {"dtype": "bfloat16"}),
    ]:
        output = tmp_path / "acts.npy"
        assert main(["extract", folder, source, str(output), *arguments]) == 0
        H, expected = np.load(output), extracted(folder, words, **parameters).to_numpy()
        assert H.dtype == ("float16" if "--output-dtype" in arguments else "float32")
        np.testing.assert_array_equal(H, expected.astype(H.dtype))
    plain = extracted(folder, words).to_numpy()
    assert not np.array_equal(plain, extracted(folder, words, dtype="bfloat16").to_numpy())
    for wrong in (["--dtype", "float64"], ["--dtype", "int8"]):
        with pytest.raises(SystemExit):
            main(["extract", folder, source, str(output), *wrong])
    capsys.readouterr()


def test_a_device_map_needs_accelerate(tmp_path, model, source, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    output = str(tmp_path / "acts.npy")
    assert main(["extract", model, source, output, "--device-map", "auto"]) == 1
    assert "accelerate" in capsys.readouterr().err
