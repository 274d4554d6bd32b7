# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.datasets._tiny_configs import FAMILIES

_SLOW = {"byt5": "ByT5Tokenizer", "canine": "CanineTokenizer", "marian": "MarianTokenizer"}
_TEXT = "The cook saw that light ."


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Create and load each family once; read-only."""
    made = {}

    def get(family):
        if family not in made:
            if family == "marian":
                pytest.importorskip("sentencepiece")
                pytest.importorskip("sacremoses")
            path = make_tiny_model(family, path=tmp_path_factory.mktemp(family))
            made[family] = (path, AutoTokenizer.from_pretrained(path), _load(path))
        return made[family]

    return get


def _load(path):
    model, report = AutoModel.from_pretrained(path, output_loading_info=True)
    assert not any(report.values()), report
    return model.eval()


def _hidden(model, encoded):
    decoder = {"decoder_input_ids": encoded["input_ids"]} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        output = model(**encoded, **decoder, output_hidden_states=True)
    states = output.encoder_hidden_states if decoder else output.hidden_states
    return [state[0].numpy() for state in states]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_loads_and_runs(loaded, family):
    _, tokenizer, model = loaded(family)
    assert tokenizer.is_fast == (family not in _SLOW)
    assert type(tokenizer).__name__ == _SLOW.get(family, type(tokenizer).__name__)
    assert tokenizer.model_max_length == 128
    states = _hidden(model, tokenizer(_TEXT, return_tensors="pt"))
    assert len(states) >= 3 and all(state.shape[1] == 32 for state in states)
    assert all(np.isfinite(state).all() and state.std(axis=0).min() > 0.01 for state in states)
    for lower, upper in zip(states[:-1], states[1:], strict=True):
        assert lower.shape != upper.shape or np.abs(lower - upper).mean() > 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_give_the_text_back(loaded, family):
    _, tokenizer, _ = loaded(family)
    ids = tokenizer(_TEXT)["input_ids"]
    text = _TEXT.lower() if family == "bert-uncased" else _TEXT
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    # BERT's decoder removes the space before the period as an artifact of tokenization.
    assert text.replace(" ", "") in decoded.replace(" ", "")
    assert tokenizer.unk_token_id is None or tokenizer.unk_token_id not in ids


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(_SLOW)))
def test_offsets_cover_every_character_but_spaces(loaded, family):
    _, tokenizer, _ = loaded(family)
    encoded = tokenizer(_TEXT, return_offsets_mapping=True, add_special_tokens=False)
    covered = {i for start, end in encoded["offset_mapping"] for i in range(start, end)}
    assert {i for i, c in enumerate(_TEXT) if c != " "} <= covered


@pytest.mark.parametrize(
    ("family", "tokens"),
    [
        ("bert", ["[CLS]", "The", "[UNK]", "[SEP]"]),
        ("bert-uncased", ["[CLS]", "the", "[UNK]", "[SEP]"]),
        ("canine", ["\ue000", "T", "h", "e", " ", "漢", "\ue001"]),
        ("distilbert", ["[CLS]", "The", "[UNK]", "[SEP]"]),
        ("gpt2", ["The", "Ġ", "æ", "¼", "¢"]),
        ("llama", ["<s>", "▁The", "▁", "<0xE6>", "<0xBC>", "<0xA2>"]),
        ("marian", ["▁The", "▁", "<unk>", "</s>"]),
        ("modernbert", ["[CLS]", "The", "Ġ", "æ", "¼", "¢", "[SEP]"]),
        ("roberta", ["<s>", "The", "Ġ", "æ", "¼", "¢", "</s>"]),
        ("xlm-roberta", ["<s>", "▁The", "▁", "<unk>", "</s>"]),
    ],
)
def test_tokens_have_the_form_of_the_family(loaded, family, tokens):
    _, tokenizer, _ = loaded(family)
    assert tokenizer.convert_ids_to_tokens(tokenizer("The 漢")["input_ids"]) == tokens


def test_bytes_are_tokens_of_byt5(loaded):
    _, tokenizer, _ = loaded("byt5")
    ids = tokenizer("é")["input_ids"]
    assert ids == [*(byte + 3 for byte in "é".encode()), tokenizer.eos_token_id]


def test_special_tokens_are_those_of_the_family(loaded):
    assert loaded("gpt2")[1].pad_token is None and loaded("llama")[1].pad_token is None
    assert loaded("llama")[1].padding_side == "left"
    assert loaded("roberta")[1]("x")["input_ids"][0] == 0
    assert loaded("bert")[1].tokenize("É é") != loaded("bert-uncased")[1].tokenize("É é")


def test_modernbert_composes_characters_after_loading(loaded):
    _, tokenizer, _ = loaded("modernbert")
    assert tokenizer("cafe\u0301")["input_ids"] == tokenizer("caf\u00e9")["input_ids"]


def test_long_texts_fill_every_position(loaded):
    for family in ("bert", "roberta", "xlm-roberta", "gpt2", "canine", "marian"):
        _, tokenizer, model = loaded(family)
        encoded = tokenizer(_TEXT * 40, truncation=True, return_tensors="pt")
        assert encoded["input_ids"].shape[1] == 128
        assert len(_hidden(model, encoded)[0]) == 128


def _files(path):
    return {file.name: file.read_bytes() for file in Path(path).iterdir()}


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"canine"}))
def test_same_seed_same_files(loaded, tmp_path, family):
    path, _, _ = loaded(family)
    assert _files(make_tiny_model(family, path=tmp_path, random_state=0)) == _files(path)


@pytest.mark.slow
def test_same_seed_same_files_in_another_process(loaded, tmp_path, run_fresh):
    code = (
        "import sys; from sklearn_neurox.datasets import make_tiny_model as make\n"
        "for family in sys.argv[2:]: make(family, path=f'{sys.argv[1]}/{family}')"
    )
    run_fresh(code, str(tmp_path), *FAMILIES)
    for family in FAMILIES:
        assert _files(tmp_path / family) == _files(loaded(family)[0]), family


def test_seed_sets_the_weights_and_no_global_state(tmp_path):
    state, np_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    logging.disable_progress_bar()
    try:
        one, two = (make_tiny_model("bert", path=tmp_path / str(s), random_state=s) for s in (1, 2))
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()
    weights = [load_file(f"{path}/model.safetensors") for path in (one, two)]
    assert all(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(np_state, np.random.get_state()[1])


def test_size_corpus_and_temporary_folder():
    path = make_tiny_model(
        "bert", n_layers=3, hidden_size=24, n_heads=2, max_length=16, corpus=["zip zap zip"] * 3
    )
    with open(f"{path}/config.json", encoding="utf-8") as stream:
        config = json.load(stream)
    assert (config["num_hidden_layers"], config["hidden_size"]) == (3, 24)
    assert (config["num_attention_heads"], config["max_position_embeddings"]) == (2, 16)
    tokenizer = AutoTokenizer.from_pretrained(path)
    assert tokenizer.tokenize("zip cook") == ["zip", "[UNK]"]


def test_marian_without_sentencepiece_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ImportError, match="needs the package 'sentencepiece'"):
        make_tiny_model("marian", path=tmp_path / "marian")
    assert not (tmp_path / "marian").exists()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"family": "berd"}, "has no family 'berd'. Choose one of: bert,"),
        ({"n_heads": 5}, "n_heads=5 must divide"),
        ({"vocab_size": 10}, "vocab_size"),
        ({"path": __file__}, "is a file"),
        ({"corpus": "one text"}, "'corpus' parameter"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        make_tiny_model(**params)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that inherits the folder")
def test_a_forked_process_leaves_the_folder_to_its_parent(tmp_path, run_fresh):
    code = (
        "import os, sys, tempfile\n"
        "tempfile.tempdir = sys.argv[1]\n"
        "from sklearn_neurox.datasets import make_tiny_model\n"
        "folder = make_tiny_model('bert', hidden_size=8, n_heads=1)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    sys.exit()\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "print(os.path.isfile(os.path.join(folder, 'config.json')), folder)"
    )
    kept, folder = run_fresh(code, str(tmp_path)).split()
    assert kept == "True"
    assert folder.startswith(str(tmp_path))
    assert not os.path.exists(folder)  # the parent removes it
