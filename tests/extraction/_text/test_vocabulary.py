# SPDX-License-Identifier: BSD-3-Clause
"""A tokenizer that is missing, or that cannot be the model's, is refused; unknown words warn."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoTokenizer

from sklearn_neurox.ablation import causal_effect
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.extraction._text._vocabulary import check_vocabulary_size
from sklearn_neurox.words import words_frame

SENTENCES = [["the", "big", "dog", "barks", "at", "a", "cat"], ["she", "saw", "the", "light"]]
WEIGHTS = ("config.json", "model.safetensors")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    families = ("bert", "gpt2", "roberta", "llama", "modernbert", "xlm-roberta", "byt5", "canine")
    return {family: make_tiny_model(family, path=root / family) for family in families}


def _bare(folder, path, *files):
    path.mkdir()
    for name in (*WEIGHTS, *files):
        shutil.copy(Path(folder) / name, path / name)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "lacking"),
    [
        ("bert", "vocab.txt"),
        ("gpt2", "merges.txt"),
        ("roberta", "merges.txt"),
        ("llama", "tokenizer.json"),
        ("modernbert", "tokenizer.json"),
        ("xlm-roberta", "sentencepiece.bpe.model"),
    ],
)
@pytest.mark.parametrize("files", [(), ("tokenizer_config.json",)])
def test_a_folder_without_a_tokenizer_is_refused(folders, tmp_path, family, lacking, files):
    folder = _bare(folders[family], tmp_path / "bare", *files)
    words = words_frame(SENTENCES)
    for extractor in (
        ActivationExtractor(folder),
        ActivationExtractor(AutoModel.from_pretrained(folder)),
        ActivationExtractor(folders[family], tokenizer=folder),
    ):
        with pytest.raises(ValueError, match=lacking) as error:
            extractor.transform(words)
        assert "bare" in str(error.value)
        assert "tokenizer.save_pretrained" in str(error.value)
    # The tokenizer by its name, as the message says.
    tokenizer = AutoTokenizer.from_pretrained(folders[family])
    given = ActivationExtractor(folder, tokenizer=tokenizer).transform(words)
    whole = ActivationExtractor(folders[family]).transform(words)
    pool = SubwordAggregator()
    np.testing.assert_array_equal(pool.fit_transform(given), pool.fit_transform(whole))


@pytest.mark.slow
def test_merges_without_a_vocabulary_and_the_reverse(folders, tmp_path):
    """Without its merges, a byte-level tokenizer would split words into bytes."""
    tokenizer = json.loads((Path(folders["gpt2"]) / "tokenizer.json").read_text())
    folder = _bare(folders["gpt2"], tmp_path / "half")
    (tmp_path / "half" / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"]))
    with pytest.raises(ValueError, match="tokenizer could not be loaded.*merges"):
        ActivationExtractor(folder).transform(words_frame(SENTENCES))
    merges = ["#version: 0.2", *(" ".join(pair) for pair in tokenizer["model"]["merges"])]
    (tmp_path / "half" / "merges.txt").write_text("\n".join(merges), encoding="utf-8")
    ActivationExtractor(folder).transform(words_frame(SENTENCES))


@pytest.mark.slow
def test_other_ways_to_keep_a_vocabulary_are_read(folders, tmp_path):
    words = words_frame(SENTENCES)
    vocabulary = AutoTokenizer.from_pretrained(folders["bert"]).get_vocab()
    folder = _bare(folders["bert"], tmp_path / "old")
    lines = sorted(vocabulary, key=vocabulary.get)
    (tmp_path / "old" / "vocab.txt").write_text("\n".join(lines), encoding="utf-8")
    assert len(ActivationExtractor(folder).transform(words)) == 11
    # Bytes and characters need no file.
    for family in ("byt5", "canine"):
        bare = _bare(folders[family], tmp_path / family)
        rows = [
            SubwordAggregator().fit_transform(ActivationExtractor(path).transform(words))
            for path in (bare, folders[family])
        ]
        np.testing.assert_array_equal(*rows)


class _Tokenizer:
    def __init__(self, ordinary, added=0):
        self.vocab_size, self._all = ordinary, ordinary + added

    def __len__(self):
        return self._all


@pytest.mark.parametrize(
    ("of_tokenizer", "added", "of_model", "outcome"),
    [
        # Pairs as published.
        (30522, 0, 30522, None), (50254, 23, 50304, None), (50257, 38, 51200, None),
        (32000, 1, 32000, None),  # a padding token that the model does not have
        (100015, 0, 102400, None), (32100, 0, 32128, None), (250002, 0, 250002, None),
        (256, 125, 384, None), (12, 4, 64, None), (256, 0, 512, None), (33, 0, 64, None),
        # Pairs that do not belong together.
        (50257, 0, 30522, ValueError), (601, 0, 600, ValueError), (250002, 3, 50265, ValueError),
        (0 + 5, 0, 30522, ValueError), (0, 5, 30522, None), (5, 0, 600, ValueError),
        (30522, 0, 250002, ValueError), (30522, 0, 50257, UserWarning),
    ],
)  # fmt: skip
def test_sizes_of_vocabularies(of_tokenizer, added, of_model, outcome):
    from transformers import BertConfig

    config, tokenizer = BertConfig(vocab_size=of_model), _Tokenizer(of_tokenizer, added)
    if outcome is None:
        check_vocabulary_size(config, tokenizer)
    elif outcome is UserWarning:
        with pytest.warns(UserWarning, match=f"{of_tokenizer} tokens, and the model {of_model}"):
            check_vocabulary_size(config, tokenizer)
    else:
        with pytest.raises(ValueError, match=f"cannot be the model's.*{of_model}"):
            check_vocabulary_size(config, tokenizer)


@pytest.mark.slow
def test_a_larger_vocabulary_is_refused_even_if_these_ids_are_small(folders, tmp_path):
    """The words may all have small ids, so that nothing else would fail."""
    large = make_tiny_model("bert", path=tmp_path / "large", vocab_size=800)
    tokenizer = AutoTokenizer.from_pretrained(large)
    ids = tokenizer([" ".join(sentence) for sentence in SENTENCES])["input_ids"]
    assert len(tokenizer) > 600
    assert min(map(min, ids)) < 600
    with pytest.raises(ValueError, match="cannot be the model's"):
        ActivationExtractor(folders["bert"], tokenizer=large).transform(words_frame(SENTENCES))
    rows = words_frame(SENTENCES), np.arange(11) < 3, ["hidden.1.0"]
    for options, message in (
        (
            {"tokenizer": _bare(folders["bert"], tmp_path / "bare")},
            "'tokenizer' .* lacks the files",
        ),
        ({"tokenizer": large}, "cannot be the model's"),
    ):
        with pytest.raises(ValueError, match=message):
            causal_effect(AutoModelForMaskedLM.from_pretrained(folders["bert"]), *rows, **options)


def test_unknown_words_are_counted(folders):
    model = folders["bert"]
    tokenizer = AutoTokenizer.from_pretrained(model)
    foreign = [["犬", "猫", "光", "木", "水", "火"], ["the", "dog", "barks"]]
    unknown = [
        word for sentence in foreign for word in sentence
        if tokenizer.tokenize(word) == [tokenizer.unk_token]
    ]  # fmt: skip
    assert len(unknown) == 6
    extractor = ActivationExtractor(model)
    with pytest.warns(UserWarning, match=r"6 of 9 rows consist of unknown tokens.*'犬'"):
        extractor.transform(words_frame(foreign))
    with pytest.warns(UserWarning, match=r"5 of 5 rows consist of unknown tokens"):
        extractor.transform(["犬 猫"] * 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extractor.transform(words_frame([*SENTENCES, foreign[0]]))  # 6 of 17
        extractor.transform(words_frame([["犬", "猫"]]))  # too few to say
        # Bytes know every character.
        ActivationExtractor(folders["gpt2"]).transform(words_frame(foreign))
        ActivationExtractor(folders["byt5"]).transform(words_frame(foreign))
    assert AutoConfig.from_pretrained(model).vocab_size == len(tokenizer)
