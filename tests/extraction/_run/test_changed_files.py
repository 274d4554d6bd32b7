# SPDX-License-Identifier: BSD-3-Clause
"""Rows that were transformed with one model's files are never pooled with those of another."""

import os
import pickle
import shutil

import numpy as np
import pytest

from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor

TEXTS = ["The old dog barks .", "A light rain"]


def another(folder):
    """Replace a model by one with other weights and another tokenizer."""
    shutil.rmtree(folder)
    shutil.copytree(make_tiny_model("bert", corpus=["no dog", "rain"], random_state=1), folder)


def other_tokenizer(folder):
    other = make_tiny_model("bert", corpus=["no dog", "rain"], random_state=1)
    shutil.copy(f"{other}/tokenizer.json", folder / "tokenizer.json")


def other_weights(folder):
    other = make_tiny_model("bert", random_state=2)
    shutil.copy(f"{other}/model.safetensors", folder / "model.safetensors")


def removed(folder):
    shutil.rmtree(folder)


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(make_tiny_model("bert", random_state=0), tmp_path / "model")


@pytest.mark.parametrize("change", [another, other_tokenizer, other_weights, removed])
@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_folder_that_changes_before_pooling_is_an_error(folder, change, is_loaded):
    extractor = ActivationExtractor(folder)
    if is_loaded:
        extractor.transform(TEXTS).pool("mean")
    activations = extractor.transform(TEXTS)
    change(folder)
    with pytest.raises(ValueError, match="have changed, or are no longer at this path.*again"):
        activations.pool("mean")


def test_a_relative_path_means_the_folder_it_was_transformed_in(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    activations = ActivationExtractor("model").transform(TEXTS)
    os.makedirs("elsewhere/model")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="no longer at this path"):
        activations.pool("mean")


@pytest.mark.slow
def test_an_unchanged_folder_is_read_from_a_pickle_too(folder):
    activations = ActivationExtractor(folder).transform(TEXTS)
    pickled = pickle.dumps(activations)
    assert b"safetensors" not in pickled
    np.testing.assert_array_equal(pickle.loads(pickled).pool("mean"), activations.pool("mean"))
