# SPDX-License-Identifier: BSD-3-Clause
"""Codes of tokens are pooled into CSR as an oracle pools dense codes, wherever tokens come from."""

import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, issparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from sklearn_neurox.evaluation import layer_profile
from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    Activations,
    SparseAutoencoderEncoder,
    SubwordAggregator,
)
from sklearn_neurox.extraction._run._repeated_reads import forget_passes
from sklearn_neurox.extraction._sae import _encoder
from sklearn_neurox.probes import ElasticNetProbeClassifier
from tests.extraction.test_estimator_checks import DATA_FREE

REDUCE = {
    "first": lambda codes: codes[0],
    "last": lambda codes: codes[-1],
    "mean": lambda codes: codes.mean(axis=0),
    "max": lambda codes: codes.max(axis=0),
}


class Signed:
    """Codes that may be negative, such as those of an AbsTopK."""

    def __init__(self, W):
        self.W = W

    def encode(self, x):
        """Keep projections that are far from zero."""
        codes = x @ torch.from_numpy(self.W)
        return codes * (codes.abs() > 1)


def oracle(tokens, W, strategy):
    codes = tokens @ W
    return REDUCE[strategy](np.where(np.abs(codes) > 1, codes, 0))


@pytest.fixture
def signed():
    return np.random.RandomState(0).randn(16, 40).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 1000])
def test_every_source_and_strategy(block, tiny, words, signed, tmp_path, monkeypatch):
    """A live model, a cache, arrays; repeated rows, slices, words cut by windows."""
    monkeypatch.setattr(_encoder, "_BLOCK_NUMBERS", 40 * block)
    rows = np.array([3, 3, 0, 36, 12, 13, 5])
    plain = ActivationExtractor(tiny("bert"), layers=[1], max_length=8, overflow="window")
    cached = clone(plain).set_params(cache=ActivationCache(tmp_path))
    dense = plain.transform(words)[rows]
    arrays = np.split(_tokens(dense), dense._ptr[1:-1])
    assert max(map(len, arrays)) > 2
    stored = Activations.from_arrays(arrays, feature_names=dense.get_feature_names())
    encoder = SparseAutoencoderEncoder(Signed(signed))
    for strategy in REDUCE:
        forget_passes()
        expected = np.array([oracle(own, signed, strategy) for own in arrays])
        for plan in (plain.transform(words)[rows], cached.transform(words)[rows], stored):
            H = SubwordAggregator(strategy).fit_transform(encoder.fit_transform(plan))
            assert issparse(H) and H.format == "csr" and H.dtype == np.float32
            assert H.has_canonical_format and (H.data != 0).all()
            np.testing.assert_allclose(H.toarray(), expected, atol=2e-5)
            whole = SubwordAggregator(strategy, sparse_output=False)
            np.testing.assert_array_equal(whole.fit_transform(encoder.transform(plan)), H.toarray())


def _tokens(plan):
    """Pool each token on its own."""
    ptr = np.arange(len(plan._position) + 1)
    options = {"first_token": "none", "missing": "zero", "index": None}
    alone = Activations(plan._source, plan._sequence, plan._position, ptr, **options)
    return alone.pool("first")


def test_rows_without_subwords_are_empty(signed):
    arrays = [np.ones((0, 16)), np.ones((2, 16))]
    plan = SparseAutoencoderEncoder(Signed(signed)).fit_transform(Activations.from_arrays(arrays))
    for strategy in REDUCE:
        H = SubwordAggregator(strategy).fit_transform(plan)
        assert np.diff(H.indptr)[0] == 0 < np.diff(H.indptr)[1]
    plan._missing = "nan"
    with pytest.raises(ValueError, match=r"1 rows have no subwords \(the first is row 0\)"):
        SubwordAggregator().fit_transform(plan)
    H = SubwordAggregator(sparse_output=False).fit_transform(plan)
    assert np.isnan(H[0]).all() and np.isfinite(H[1]).all()


def test_sparse_output(signed, tmp_path):
    plan = Activations.from_arrays([np.ones((2, 16)), 2 * np.ones((1, 16))])
    codes = SparseAutoencoderEncoder(Signed(signed)).fit_transform(plan)
    assert isinstance(SubwordAggregator().fit_transform(plan), np.ndarray)
    assert issparse(SubwordAggregator(sparse_output=True).fit_transform(plan))
    with config_context(sparse_interface="sparray"):
        assert isinstance(SubwordAggregator().fit_transform(codes), csr_array)
    half = SubwordAggregator(dtype="float16", sparse_output=False, memmap=tmp_path / "H.npy")
    assert half.fit_transform(codes).dtype == np.float16
    frame = SubwordAggregator(sparse_output=False).set_output(transform="pandas")
    assert list(frame.fit_transform(codes).columns[:2]) == ["sae.0", "sae.1"]
    for aggregator, message in [
        (SubwordAggregator(dtype="float16"), "dtype='float16'.*sparse_output=False"),
        (SubwordAggregator(memmap=tmp_path / "H.npy"), "memmap=.*sparse_output=False"),
        (SubwordAggregator().set_output(transform="pandas"), "pandas.*sparse_output=False"),
    ]:
        with pytest.raises(ValueError, match=message):
            aggregator.fit_transform(codes)


def test_cls_and_names_and_pickles(tiny, words, signed):
    texts = words["text"].astype(object).unique().tolist()
    pipe = make_pipeline(
        ActivationExtractor(tiny("bert"), layers=[2]),
        SparseAutoencoderEncoder({"W_enc": signed, "b_enc": np.zeros(40)}),
        SubwordAggregator("cls"),
    )
    H = pipe.fit_transform(texts)
    assert H.shape == (len(texts), 40)
    assert pipe.get_feature_names_out()[7] == "sae.2.7"
    dense = make_pipeline(pipe[0], SubwordAggregator("cls")).fit_transform(texts)
    np.testing.assert_allclose(H.toarray(), np.maximum(dense @ signed, 0), atol=1e-5)
    forget_passes()
    again = pickle.loads(pickle.dumps(pipe)).transform(texts)
    np.testing.assert_array_equal(again.toarray(), H.toarray())
    assert clone(pipe)[1].sae is pipe[1].sae


@pytest.mark.slow
def test_the_whole_way_from_texts_to_scores(tiny, words, signed, tmp_path):
    """Folds slice the encoded plan; every layer profile and search reads CSR."""
    encoder = SparseAutoencoderEncoder({"W_enc": signed, "b_enc": np.zeros(40)})
    extractor = ActivationExtractor(tiny("bert"), layers=[1], cache=ActivationCache(tmp_path))
    probe = ElasticNetProbeClassifier(0.05, random_state=0)
    pipe = make_pipeline(extractor, encoder, SubwordAggregator("max"), probe)
    options = {"groups": words["text"], "cv": GroupKFold(3)}
    scores = cross_val_score(pipe, words, words["tag"], **options)
    plan = extractor.transform(words)
    sliced = cross_val_score(pipe[1:], plan, words["tag"], **options)
    np.testing.assert_allclose(sliced, scores)
    profile = layer_profile(probe, words, words["tag"], features=pipe[:-1], **options)
    assert profile["name"].tolist() == ["sae.1"]


@pytest.mark.slow
def test_codes_are_never_dense_as_a_whole():
    """4000 tokens x 8192 features would take 131 MB."""
    rng = np.random.RandomState(0)
    arrays = list(rng.randn(1000, 4, 8).astype(np.float32))
    sae = {"W_enc": rng.randn(8, 8192).astype(np.float32), "b_enc": np.zeros(8192), "k": 16}
    plan = SparseAutoencoderEncoder(sae, device="cpu").fit_transform(
        Activations.from_arrays(arrays)
    )
    for strategy in ("max", "mean"):
        tracemalloc.start()
        H = SubwordAggregator(strategy).fit_transform(plan)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        size = H.data.nbytes + H.indices.nbytes
        assert size < 0.6e6 and peak < 8e6


def test_wrong_saes(tmp_path, signed):
    plan = Activations.from_arrays(
        [np.ones((1, 16))], feature_names=[f"hidden.3.{i}" for i in range(16)]
    )
    both = Activations.from_arrays(
        [np.ones((1, 16))], feature_names=[f"hidden.{i // 8}.{i % 8}" for i in range(16)]
    )
    moved = Activations.from_arrays(
        [np.ones((1, 16))], feature_names=[f"hidden.3.{i}" for i in range(15, -1, -1)]
    )
    good = {"W_enc": signed, "b_enc": np.zeros(40)}
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    cases = [
        (tmp_path / "no", plan, FileNotFoundError, "which does not exist.*cfg.json"),
        (tmp_path / "file", plan, FileNotFoundError, "which is a file"),
        (tmp_path / "empty", plan, FileNotFoundError, r"has no cfg.json; it holds \[\]"),
        (3, plan, ValueError, "'sae' parameter of SparseAutoencoderEncoder must be"),
        (good, both, ValueError, "encodes one block, but X has 2.*layers="),
        (good, moved, ValueError, "'hidden.3.15' to 'hidden.3.0', are in another one"),
        (good, np.ones((2, 16)), TypeError, "encodes Activations, got ndarray"),
        ({"W_enc": signed.T, "b_enc": np.zeros(16)}, plan, ValueError, "reads 40 neurons.*has 16"),
        ({"W_enc": signed, "b_enc": np.zeros(3)}, plan, ValueError, r"'b_enc' of shape \(3,\)"),
        ({"W_enc": signed}, plan, ValueError, "lacks the weight 'b_enc'"),
        ({**good, "b": 1}, plan, ValueError, "unknown key 'b'"),
        ({**good, "k": 50}, plan, ValueError, "k = 50, but there are only 40"),
        ({**good, "architecture": "other"}, plan, ValueError, "'other', which.*does not know"),
        ({**good, "b_enc": np.full(40, np.nan)}, plan, ValueError, "finite numbers"),
        ({**good, "threshold": np.ones(40), "b_gate": np.ones(40)}, plan, ValueError, "'b_gate'"),
        (Signed(signed[:8]), plan, ValueError, "cannot encode a token of 16 neurons"),
        (_Flat(), plan, ValueError, "must encode a tensor of shape"),
    ]
    for sae, X, kind, message in cases:
        with pytest.raises(kind, match=message):
            SparseAutoencoderEncoder(sae).fit(X)
    encoder = SparseAutoencoderEncoder(good).fit(plan)
    with pytest.raises(ValueError, match="was fitted on 16 neurons"):
        encoder.transform(both)
    with pytest.raises(ValueError, match="encoded already"):
        encoder.fit(encoder.transform(plan))


@pytest.mark.parametrize("strategy", REDUCE)
def test_codes_that_are_not_finite_are_an_error(strategy, signed):
    """NaN in the weights of a file, or an overflow, became codes."""
    plan = Activations.from_arrays([np.ones((2, 16)), np.full((1, 16), 1e30)])
    damaged = signed.copy()
    damaged[0, 7] = np.nan
    for W, number in ((damaged, "nan"), (np.abs(signed) * np.float32(1e20), "inf")):
        encoder = SparseAutoencoderEncoder(_Plain(W)).fit(plan)
        with pytest.raises(ValueError, match=f"encodes a token by {number} in its feature"):
            SubwordAggregator(strategy).fit_transform(encoder.transform(plan))


class _Plain(Signed):
    def encode(self, x):
        """Keep everything."""
        return x @ torch.from_numpy(self.W)


class _Flat:
    def encode(self, x):
        """Return codes without a row per token."""
        return x.sum(dim=0)


# The block that is encoded, the place that the SAE was trained on, and the warning.
PLACES = [
    ("hidden.4", "blocks.3.hook_resid_post", None),
    ("hidden.3", "blocks.3.hook_resid_post", r"which is 'hidden\.4' here.*encodes 'hidden\.3'"),
    ("hidden.3", "blocks.3.hook_resid_pre", None),
    ("mlp.4", "blocks.3.mlp.hook_post", None),
    ("mlp.3", "blocks.3.mlp.hook_post", r"which is 'mlp\.4' here.*encodes 'mlp\.3'"),
    ("attention.4.h0", "blocks.3.attn.hook_z", None),
    # Before the final norm, the last hidden layer is the output of the last block.
    ("module:layers.3", "blocks.3.hook_resid_post", None),
    ("module:layers.2", "blocks.3.hook_resid_post", r"'hidden\.4' here.*'module:layers\.2'"),
    ("module:layers.3.mlp", "blocks.3.hook_mlp_out", None),
    ("module:layers.2.mlp", "blocks.3.hook_mlp_out", r"in block 3, but.*'module:layers\.2\.mlp'"),
    ("hidden.4", "blocks.3.hook_mlp_out", r"in block 3, but .* encodes 'hidden\.4'.*module:"),
    ("mlp.4", "blocks.3.ln2.hook_normalized", r"in block 3, but .* encodes 'mlp\.4'.*module:"),
    ("hidden.4", "model.layers.3", None),
    ("hidden.4", "hook_embed", None),
]


@pytest.mark.parametrize(("block", "hook_name", "message"), PLACES)
def test_a_sae_of_another_block_is_named(block, hook_name, message, signed):
    """Only four hooks were known, so a SAE of the MLP's output encoded hidden states in silence."""
    sae = {"W_enc": signed, "b_enc": np.zeros(40), "hook_name": hook_name}
    names = [f"{block}.{i}" for i in range(16)]
    plan = Activations.from_arrays([np.ones((1, 16))], feature_names=names)
    encoder = SparseAutoencoderEncoder(sae)
    if message is None:
        encoder.fit(plan)
        return
    with pytest.warns(UserWarning, match=message):
        encoder.fit(plan)


def test_checks_without_data(signed):
    for sae in ("sae/", {"W_enc": signed}, Signed(signed)):
        for check in DATA_FREE:
            estimator = SparseAutoencoderEncoder(sae)
            getattr(estimator_checks, check)("SparseAutoencoderEncoder", estimator)
    assert set(SparseAutoencoderEncoder._parameter_constraints) == set(estimator.get_params())
