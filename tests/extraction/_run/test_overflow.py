# SPDX-License-Identifier: BSD-3-Clause
"""Pooled values of finite states are finite and correct, or an error names the neuron."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline

from sklearn_neurox.extraction import (
    ActivationExtractor,
    Activations,
    SparseAutoencoderEncoder,
    SubwordAggregator,
    TorchModel,
)
from sklearn_neurox.words import pair_frame, words_frame

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

# The states of the characters "a" to "e"; the largest float32 is 3.4e38.
STATES = {"a": 3e38, "b": -3e38, "c": 1e30, "d": 2.0, "e": -1e-30}
MEANS = {"aa": 3e38, "aab": 1e38, "aaaaa": 3e38, "bbd": -2e38, "ca": 1.5e38, "dd": 2.0, "e": -1e-30}


@pytest.fixture(scope="module")
def extractor():
    embedding = torch.nn.Embedding(128, 1)
    with torch.no_grad():
        for character, state in STATES.items():
            embedding.weight[ord(character)] = state

    def encode(text):
        return [ord(c) for c in text], [(i, i + 1) for i in range(len(text))]

    model = TorchModel(torch.nn.Sequential(embedding), encode, max_length=4)
    return ActivationExtractor(model, component="module:0")


@pytest.mark.parametrize("batch_tokens", [1, 1000])
def test_means_of_large_states(extractor, batch_tokens):
    """The sums overflow; "aaaaa" is read in two windows."""
    extractor.set_params(max_batch_tokens=batch_tokens)
    H = make_pipeline(extractor, SubwordAggregator("mean")).fit_transform(list(MEANS))
    np.testing.assert_allclose(H[:, 0].astype(float), list(MEANS.values()), rtol=1e-6)
    stored = Activations.from_arrays([[[STATES[c]] for c in word] for word in MEANS])
    np.testing.assert_array_equal(stored.pool("mean"), H)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("sparse", [False, True])
def test_pairs_beyond_float32(extractor, dtype, sparse):
    if sparse and dtype == "float16":
        return
    for words, pair, expected in [
        (["d", "d"], "product", 4.0),
        (["e", "c"], "product", -1.0),
        (["d", "d"], "difference", 0.0),
        (["c", "c"], "product", None),
        (["a", "b"], "difference", None),
        (["b", "a"], ["difference", "product"], None),
    ]:
        pairs = pair_frame(words_frame([["d", "d"], words]), rows=([0, 2], [1, 3]))
        activations = extractor.transform(pairs)
        if expected is not None:
            H = activations.pool("last", pair=pair, dtype=dtype, sparse=sparse)
            H = H.toarray() if sparse else H
            assert H[1, 0] == pytest.approx(expected)
            continue
        kind = pair if isinstance(pair, str) else pair[0]
        with pytest.raises(OverflowError, match=f"neuron {kind}.module:0.0 in row 1 is too large"):
            activations.pool("last", pair=pair, dtype=dtype, sparse=sparse)


def test_sums_of_sparse_codes():
    sae = {"W_enc": np.array([[0.0, 1e18]], dtype=np.float32), "b_enc": np.zeros(2, np.float32)}
    rows = [[[1.0]], [[3e20], [3e20]]]
    tokens = Activations.from_arrays(rows, feature_names=["hidden.1.0"])
    codes = SparseAutoencoderEncoder(sae).fit(tokens).transform(tokens)
    assert SubwordAggregator("max").fit_transform(codes)[1, 1] == np.float32(3e38)
    with pytest.raises(OverflowError, match="codes of feature 1 in row 1 are so large"):
        SubwordAggregator("mean").fit_transform(codes)
    first, other = tokens[[0, 1]], np.array([[0, 1], [1, 1]])
    encoded = SparseAutoencoderEncoder(sae).fit(first).transform(first)
    encoded._pairs = other
    with pytest.raises(OverflowError, match=r"neuron product.sae.1.1 in row 0 is too large"):
        encoded.pool("max", pair="product", sparse=True)
