# SPDX-License-Identifier: BSD-3-Clause
"""A tokenizer that changes between `transform` and pooling never puts wrong rows into a cache."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import normalizers, pre_tokenizers
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, SubwordAggregator

TEXTS = ["She saw the light .", "Dogs bark", "The old dog saw the man in the house ."]


def add_token(tokenizer):
    tokenizer.add_tokens(["light"])


def replace_letters(tokenizer):
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("o", "a")


def split_letters(tokenizer):
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Split("o", "isolated")]
    )


def shorten(tokenizer):
    tokenizer.model_max_length = 6


def edit_file(folder):
    """Change the rules of a tokenizer where it is stored."""
    file = Path(folder, "tokenizer.json")
    rules = json.loads(file.read_text())
    rules["normalizer"] = {"type": "Replace", "pattern": {"String": "o"}, "content": "a"}
    file.write_text(json.dumps(rules))


def means(model, tokenizer):
    """Pool the tokens of each text, in one pass of transformers per text."""
    rows = []
    for text in TEXTS:
        inputs = tokenizer(text, return_tensors="pt")
        special = tokenizer.get_special_tokens_mask(
            inputs["input_ids"][0].tolist(), already_has_special_tokens=True
        )
        with torch.inference_mode():
            states = model(**inputs, output_hidden_states=True).hidden_states
        keep = torch.tensor(special) == 0
        rows.append(torch.cat([state[0][keep].mean(0) for state in states]).numpy())
    return np.stack(rows)


def pooled(activations):
    return SubwordAggregator("mean").fit_transform(activations)


def check(extractor, change, expected):
    """Change a tokenizer after rows were transformed with it."""
    before, other = extractor.transform(TEXTS), extractor.transform(TEXTS)
    change()
    for act in (lambda: pooled(before), lambda: pooled(other[:2])):
        with pytest.raises(ValueError, match=r"have changed|has changed since the rows were"):
            act()
    if expected is not None:
        now = expected()
        for _ in range(2):
            np.testing.assert_allclose(pooled(extractor.transform(TEXTS)), now, atol=1e-4)
        # The cache holds the texts by now, but not with the places of these rows.
        with pytest.raises(ValueError, match=r"has changed since the rows were"):
            pooled(before)


@pytest.mark.slow
@pytest.mark.parametrize("stored", [None, "mean"])
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_loaded_tokenizer_that_changes_after_transform(family, stored, live, tmp_path):
    for number, change in enumerate([add_token, replace_letters, split_letters, shorten]):
        model, tokenizer = live(family)
        if change is add_token:
            model.resize_token_embeddings(len(tokenizer) + 1, mean_resizing=False)
        cache = ActivationCache(tmp_path / f"{family}{stored}{number}", pooled=stored)
        check(
            ActivationExtractor(model, tokenizer=tokenizer, cache=cache),
            lambda change=change, tokenizer=tokenizer: change(tokenizer),
            # With fewer tokens at once, texts are read in windows, unlike here.
            None if change is shorten else lambda m=model, t=tokenizer: means(m, t),
        )


@pytest.mark.slow
@pytest.mark.parametrize("stored", [None, "mean"])
@pytest.mark.parametrize("where", ["model", "tokenizer", "named by a loaded model"])
def test_a_stored_tokenizer_that_changes_after_transform(where, stored, tiny, tmp_path):
    folder = shutil.copytree(tiny("gpt2"), tmp_path / "folder")
    model = AutoModel.from_pretrained(folder).eval()
    cache = ActivationCache(tmp_path / "cache", pooled=stored)
    chosen = {
        "model": {"model": folder},
        "tokenizer": {"model": tiny("gpt2"), "tokenizer": folder},
        "named by a loaded model": {"model": model},
    }[where]
    check(
        ActivationExtractor(**chosen, cache=cache),
        lambda: edit_file(folder),
        lambda: means(model, AutoTokenizer.from_pretrained(folder)),
    )


def test_settings_that_do_not_tokenize_may_change_after_transform(live, tmp_path):
    model, tokenizer = live("gpt2")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=tmp_path)
    expected, rows = means(model, tokenizer), extractor.transform(TEXTS)
    tokenizer.padding_side, tokenizer.chat_template = "left", "{{ messages }}"
    tokenizer.backend_tokenizer.enable_truncation(3)
    np.testing.assert_allclose(pooled(rows), expected, atol=1e-4)
