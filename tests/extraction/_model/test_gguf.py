# SPDX-License-Identifier: BSD-3-Clause
"""Models in a GGUF file, and in folders that hold nothing else."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox.extraction import ActivationExtractor
from tests.extraction._model.gguf_files import write_gguf

TEXTS = ["Dogs bark", "She saw the light ."]


@pytest.fixture(scope="module")
def pair(tiny, tmp_path_factory):
    """Return a folder with a GGUF file only, and the same model and tokenizer as objects."""
    for package in ("gguf", "accelerate"):
        pytest.importorskip(package)
    model = AutoModelForCausalLM.from_pretrained(tiny("llama"))
    tokenizer = AutoTokenizer.from_pretrained(tiny("gpt2"))
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(folder / "tiny.gguf", model, tokenizer)
    return folder, model, tokenizer


@pytest.mark.slow
@pytest.mark.parametrize("as_file", [False, True])
def test_the_states_are_those_of_the_model_in_the_file(as_file, pair, capfd):
    folder, model, tokenizer = pair
    extractor = ActivationExtractor(
        folder / "tiny.gguf" if as_file else folder, component=["hidden", "mlp"]
    )
    found = extractor.transform(TEXTS)
    assert capfd.readouterr() == ("", "")  # no progress bar
    for text, row in zip(TEXTS, found.pool("last"), strict=True):
        with torch.inference_mode():
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            states = model(ids, output_hidden_states=True).hidden_states
        expected = np.concatenate([state[0, -1].numpy() for state in states])
        hidden = [name.startswith("hidden") for name in found.get_feature_names()]
        np.testing.assert_allclose(row[hidden], expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
def test_a_cache_finds_the_file_again_and_notices_another(pair, tmp_path):
    folder, model, tokenizer = pair
    own = tmp_path / "model"
    shutil.copytree(folder, own)
    extractor = ActivationExtractor(own, cache=tmp_path / "cache")
    assert extractor.fill_cache(TEXTS) == 2
    assert extractor.fill_cache(TEXTS) == 0
    same = ActivationExtractor(own / "tiny.gguf", cache=tmp_path / "cache")
    assert same.fill_cache(TEXTS) == 0
    with torch.no_grad():
        other = AutoModelForCausalLM.from_config(model.config)
    write_gguf(own / "tiny.gguf", other, tokenizer)
    assert extractor.fill_cache(TEXTS) == 2


@pytest.mark.slow
def test_untrained_weights_for_the_config_in_the_file(pair):
    folder, model, _ = pair
    extractor = ActivationExtractor(folder, weights="random", layers=[1])
    H = extractor.transform(TEXTS).pool("last")
    assert H.shape == (2, model.config.hidden_size)
    assert not np.allclose(H, ActivationExtractor(folder, layers=[1]).transform(TEXTS).pool("last"))


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(ImportError, match=r'pip install "sklearn-neurox\[gguf\]"'):
        ActivationExtractor(tmp_path).transform(TEXTS)


def test_several_files_are_not_guessed_among(tmp_path):
    for name in ("q4.gguf", "q8.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ValueError, match=r"2 GGUF files: \['q4.gguf', 'q8.gguf'\]. Pass the path"):
        ActivationExtractor(tmp_path).transform(TEXTS)


@pytest.mark.parametrize("content", [b"GG", b"<!doctype html>"])
def test_something_else_under_this_name(content, tmp_path):
    (tmp_path / "model.gguf").write_bytes(content)
    for given in (tmp_path, tmp_path / "model.gguf"):
        with pytest.raises(ValueError, match=r"model.gguf is not a GGUF file"):
            ActivationExtractor(given).transform(TEXTS)


def test_a_damaged_file(pair, tmp_path):
    content = (pair[0] / "tiny.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[: len(content) // 3])
    with pytest.raises(ValueError, match=r"'cut.gguf'.*If the file is damaged"):
        ActivationExtractor(tmp_path).transform(TEXTS)


def test_other_weights_come_first(tiny, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny("bert"), folder)
    (folder / "leftover.gguf").write_bytes(b"GGUF")
    H = ActivationExtractor(folder).transform(TEXTS).pool("last")
    expected = ActivationExtractor(tiny("bert")).transform(TEXTS).pool("last")
    np.testing.assert_array_equal(H, expected)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "bert"


@pytest.mark.slow
def test_a_file_that_lacks_weights(pair, tmp_path, monkeypatch):
    _, model, tokenizer = pair
    state = {name: tensor for name, tensor in model.state_dict().items() if "layers.1" not in name}
    monkeypatch.setattr(model, "state_dict", lambda: state)
    write_gguf(tmp_path / "half.gguf", model, tokenizer)
    with pytest.raises(ValueError, match=r"finds no weights for 'layers.1.*\(9 such parameters"):
        ActivationExtractor(tmp_path).transform(TEXTS).pool("last")
