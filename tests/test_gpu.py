# SPDX-License-Identifier: BSD-3-Clause
"""A GPU computes the same results as the CPU; skipped if there is no GPU.

``SKLEARN_NEUROX_GPU=cpu`` runs these tests on the CPU, which tests the tests themselves. Where time
is short, ``pytest --tb=line -q tests/test_gpu.py`` ends with one line per failure, after a line
with the card and the versions.
"""

import os
import pickle
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from sklearn_neurox import ActivationCache, ActivationExtractor, SubwordAggregator, pair_frame
from sklearn_neurox.ablation import ablate_model, causal_effect, steer_model
from sklearn_neurox.datasets import make_planted_neurons, make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import SparseAutoencoderEncoder
from sklearn_neurox.extraction._model._first_look import traits_of
from sklearn_neurox.extraction._model._loading import load_model
from sklearn_neurox.extraction._run._device_copies import DeviceCopies
from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
    LowRankProbeClassifier,
    StructuralProbe,
)
from sklearn_neurox.probes.solvers import _problem

GPU = os.environ.get("SKLEARN_NEUROX_GPU", "cuda" if torch.cuda.is_available() else None)
pytestmark = [
    pytest.mark.skipif(GPU is None, reason="there is no GPU"),
    # A machine with a GPU may have other versions of torch and transformers, whose deprecation
    # warnings must not fail these tests.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module", autouse=True)
def _print_versions(request):
    yield
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA"
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    reporter.write_line(f"\n{name}; {versions}")


@pytest.fixture(scope="module")
def planted():
    bunch = make_planted_neurons(3000, 64, random_state=0)
    return bunch.X.astype(np.float32), bunch.y


@pytest.fixture(scope="module")
def words():
    return make_tagged_words(60, random_state=0)


@pytest.fixture(scope="module", params=["bert", "gpt2", "marian"])
def model(request, words):
    if request.param == "marian":
        pytest.importorskip("sentencepiece")
    return make_tiny_model(request.param, corpus=words["text"].unique(), random_state=0)


def test_attention_weights_of_pairs(model, words):
    starts = np.flatnonzero(words["position"].to_numpy()[:200] > 0)
    pairs = pair_frame(words, rows=(starts, starts - 1), negatives="all").head(500)
    of_cpu, of_gpu = (
        make_pipeline(
            ActivationExtractor(model, component="attention_weights", device=device),
            SubwordAggregator(),
        ).fit_transform(pairs)
        for device in ("cpu", GPU)
    )
    np.testing.assert_allclose(of_gpu, of_cpu, atol=1e-5)


def both(probe, X, y, **params):
    """Fit the same probe on the CPU and on the GPU."""
    return [probe(device=device, random_state=0, **params).fit(X, y) for device in ("cpu", GPU)]


def check_within_gaps(one, other, X, y):
    """Check that neither objective exceeds the other by more than its duality gap."""
    difference = objective(one, X, y) - objective(other, X, y)
    assert -other.dual_gap_ - 1e-9 <= difference <= one.dual_gap_ + 1e-9


def objective(probe, X, y):
    scores = X.astype(np.float64) @ np.atleast_2d(probe.coef_).T + probe.intercept_
    if y.dtype.kind == "f":
        loss = ((scores[:, 0] - y) ** 2).mean() / 2
    else:
        if scores.shape[1] == 1:
            scores = np.hstack([np.zeros_like(scores), scores])
        codes = np.searchsorted(probe.classes_, y)
        loss = -torch.log_softmax(torch.from_numpy(scores), 1)[np.arange(len(y)), codes].mean()
    size = probe.l1_ratio * np.abs(probe.coef_).sum()
    size += (1 - probe.l1_ratio) / 2 * np.square(probe.coef_).sum()
    return float(loss) + probe.alpha * size


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["multinomial", "binary", "regression"])
def test_probes_agree_with_the_cpu_within_their_gaps(planted, kind, dtype):
    X, y = planted[0].astype(dtype), planted[1]
    probe = ElasticNetProbeClassifier
    if kind == "binary":
        y = y == y[0]
    elif kind == "regression":
        probe, y = ElasticNetProbeRegressor, X[:, 0].astype(np.float64) + (y == y[0])
    for alpha, l1_ratio in [(3e-3, 0.5), (3e-3, 1.0), (3e-3, 0.0)]:
        cpu, gpu = both(probe, X, y, alpha=alpha, l1_ratio=l1_ratio, tol=1e-5)
        assert gpu.dual_gap_ <= 1e-5 * objective(gpu, X, y) * 1.001
        check_within_gaps(cpu, gpu, X, y)
        assert isinstance(gpu.coef_, np.ndarray)


def test_a_matrix_that_does_not_fit_is_streamed_with_the_same_result(planted, monkeypatch):
    X, y = planted
    whole = ElasticNetProbeClassifier(device=GPU, tol=1e-6, random_state=0).fit(X, y)
    monkeypatch.setattr(_problem, "_DEVICE_SHARE", 0.0)
    streamed = ElasticNetProbeClassifier(device=GPU, tol=1e-6, random_state=0).fit(X, y)
    np.testing.assert_allclose(streamed.coef_, whole.coef_, atol=2e-3)
    check_within_gaps(whole, streamed, X, y)


def test_a_memory_map_is_streamed_with_the_same_result(planted, tmp_path):
    X, y = planted
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    whole, streamed = (
        ElasticNetProbeClassifier(device=GPU, tol=1e-6, random_state=0).fit(matrix, y)
        for matrix in (X, mapped)
    )
    check_within_gaps(whole, streamed, X, y)


def test_a_path_makes_the_same_choice_as_on_the_cpu(planted):
    X, y = planted
    cpu, gpu = both(ElasticNetProbeClassifierCV, X, y, cv=KFold(3), alphas=5, tol=1e-5)
    assert gpu.alpha_ == pytest.approx(cpu.alpha_)
    np.testing.assert_allclose(gpu.scores_, cpu.scores_, atol=5e-3)


def test_a_probe_fitted_on_a_gpu_predicts_without_one(planted, tmp_path):
    X, y = planted
    probe = ElasticNetProbeClassifier(device=GPU, random_state=0).fit(X, y)
    (tmp_path / "probe.pkl").write_bytes(pickle.dumps((probe, X[:50], probe.predict(X[:50]))))
    code = (
        "import pickle, sys, numpy as np\n"
        "probe, X, expected = pickle.loads(open(sys.argv[1], 'rb').read())\n"
        "assert (probe.predict(X) == expected).all()\n"
        "assert 'torch' not in sys.modules or not sys.modules['torch'].cuda.is_available()\n"
    )
    where = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code, tmp_path / "probe.pkl"], check=True, env=where)


def test_the_same_fit_gives_the_same_bits(planted):
    X, y = planted
    first, second = (
        ElasticNetProbeClassifier(device=GPU, random_state=0).fit(X, y) for _ in range(2)
    )
    np.testing.assert_array_equal(first.coef_, second.coef_)


def test_a_fit_does_not_depend_on_the_precision_that_the_user_sets(planted):
    X, y = planted
    full = ElasticNetProbeClassifier(device=GPU, tol=1e-5, random_state=0).fit(X, y)
    with products_in("high"):
        low = ElasticNetProbeClassifier(device=GPU, tol=1e-5, random_state=0).fit(X, y)
        assert torch.get_float32_matmul_precision() == "high"
    if GPU != "cpu":
        np.testing.assert_array_equal(low.coef_, full.coef_)
    assert low.dual_gap_ <= 1e-5 * objective(low, X, y) * 1.001
    check_within_gaps(full, low, X, y)


@pytest.mark.parametrize("name", ["structural", "partial_fit", "path"])
def test_no_other_fit_depends_on_it_either(planted, name):
    X, y = planted
    X, number = X[:2048, :48], X[:2048, 0] + (y[:2048] == y[0])

    def fit():
        if name == "structural":
            return StructuralProbe(4, device=GPU).fit(X, np.abs(number)).components_
        if name == "path":
            options = {"cv": KFold(2), "alphas": 4, "random_state": 0, "device": GPU}
            return ElasticNetProbeRegressorCV(**options).fit(X, number).scores_
        probe = ElasticNetProbeRegressor(1e-2, device=GPU, random_state=0)
        return probe.partial_fit(X, number).partial_fit(X, number).coef_

    full = fit()
    with products_in("high"):
        low = fit()
    if GPU == "cpu":
        np.testing.assert_allclose(low, full, atol=1e-2)
    else:
        np.testing.assert_array_equal(low, full)


def test_low_rank_and_structural_probes_agree_with_the_cpu(planted):
    X, y = planted
    cpu, gpu = (LowRankProbeClassifier(1e-2, device=one).fit(X, y) for one in ("cpu", GPU))
    assert cpu.rank_ == gpu.rank_
    np.testing.assert_allclose(gpu.coef_, cpu.coef_, atol=1e-2)
    distance = np.abs(X[:, 0]) + np.abs(X[:, 1])
    cpu, gpu = (StructuralProbe(4, device=one).fit(X, distance) for one in ("cpu", GPU))
    assert gpu.loss_ == pytest.approx(cpu.loss_, rel=1e-3)


@contextmanager
def products_in(precision):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def matrix_of(model, words, **options):
    activations = ActivationExtractor(model, **options).transform(words)
    return SubwordAggregator("mean").fit_transform(activations)


def check_close(found, expected, share):
    np.testing.assert_allclose(found, expected, rtol=share, atol=share * np.abs(expected).max())


def test_a_cache_keeps_apart_what_was_computed_with_tf32_and_without(words, tmp_path):
    model = make_tiny_model("bert", hidden_size=128, random_state=0)
    options = {"cache": tmp_path, "device": GPU}
    full = matrix_of(model, words, **options)
    with products_in("high"):
        low = matrix_of(model, words, **options)
        assert len(ActivationCache(tmp_path).info()) == 2
        np.testing.assert_array_equal(matrix_of(model, words, **options), low)
    np.testing.assert_array_equal(matrix_of(model, words, **options), full)
    check_close(low, full, 1e-2)
    if GPU != "cpu" and torch.cuda.get_device_capability() >= (8, 0):
        assert (low != full).any()


def test_what_a_model_is_does_not_depend_on_tf32():
    path = make_tiny_model("llama", n_layers=24, hidden_size=128, random_state=0)
    found = []
    for precision in ("highest", "high"):
        model = transformers.AutoModel.from_pretrained(path).to(GPU)
        with products_in(precision):
            found.append(traits_of(model))
    full, low = found
    assert full.supports_padding and not full.batch_dependent
    assert low == full


def live_model(words, family="gpt2"):
    path = make_tiny_model(family, corpus=words["text"].unique(), random_state=0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    return transformers.AutoModel.from_pretrained(path), tokenizer, path


@pytest.mark.filterwarnings("ignore:.*for the third time in this process")
def test_a_live_model_can_be_moved_to_the_gpu(words, tmp_path):
    live, tokenizer, _ = live_model(words)
    expected = matrix_of(live, words, tokenizer=tokenizer)
    live.to(GPU)
    check_close(matrix_of(live, words, tokenizer=tokenizer), expected, 1e-4)
    filled = matrix_of(live, words, tokenizer=tokenizer, cache=tmp_path)
    live.to("cpu")
    read = matrix_of(live, words, tokenizer=tokenizer, cache=tmp_path)
    np.testing.assert_array_equal(read, filled)


def test_a_bfloat16_model_on_the_gpu_matches_float32_roughly(words):
    live, tokenizer, _ = live_model(words)
    expected = matrix_of(live, words, tokenizer=tokenizer)
    low = matrix_of(live.to(GPU, torch.bfloat16), words, tokenizer=tokenizer)
    assert low.dtype == np.float32 and np.isfinite(low).all()
    check_close(low, expected, 5e-2)


def test_a_model_that_accelerate_places_is_read_where_it_is(words):
    pytest.importorskip("accelerate")
    live, tokenizer, path = live_model(words)
    expected = matrix_of(live, words, tokenizer=tokenizer)
    placed = transformers.AutoModel.from_pretrained(path, device_map="auto")
    assert GPU == "cpu" or next(placed.parameters()).is_cuda
    check_close(matrix_of(placed, words, tokenizer=tokenizer), expected, 1e-4)


@pytest.mark.parametrize("component", ["hidden", "mlp", "attention"])
def test_activations_match_those_of_the_cpu(model, words, component):
    cpu, gpu = (
        SubwordAggregator("mean").fit_transform(
            ActivationExtractor(model, component=component, device=device).transform(words)
        )
        for device in ("cpu", GPU)
    )
    np.testing.assert_allclose(gpu, cpu, rtol=1e-4, atol=1e-4 * np.abs(cpu).max())


def test_a_cache_filled_on_a_gpu_is_read_without_one(model, words, tmp_path):
    extract = ActivationExtractor(model, cache=tmp_path, device=GPU)
    filled = SubwordAggregator().fit_transform(extract.transform(words))
    read = ActivationExtractor(model, cache=tmp_path, device="cpu").transform(words)
    np.testing.assert_array_equal(SubwordAggregator().fit_transform(read), filled)


@pytest.mark.filterwarnings("ignore:.*for the third time in this process")
@pytest.mark.parametrize("name", ["hidden.1.3", "mlp.1.3", "attention.1.h0.3"])
def test_an_ablation_reaches_the_model_on_the_gpu(words, name):
    path = make_tiny_model("gpt2", corpus=words["text"].unique(), random_state=0)
    component = name.split(".")[0]
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    live = transformers.AutoModelForCausalLM.from_pretrained(path).to(GPU)
    extract = ActivationExtractor(live, tokenizer=tokenizer, component=component, device=GPU)

    def column():
        matrix = SubwordAggregator().set_output(transform="pandas")
        return matrix.fit_transform(extract.transform(words))[name].to_numpy()

    before = column()
    with ablate_model(live, [name]):
        assert not column().any()
    np.testing.assert_array_equal(column(), before)


@pytest.mark.filterwarnings("ignore:causal_effect cannot score")
def test_causal_effects_match_those_of_the_cpu(words):
    path = make_tiny_model("gpt2", corpus=words["text"].unique(), random_state=0)
    neurons = [f"hidden.1.{unit}" for unit in range(16)]
    some = words.iloc[:80]
    cpu, gpu = (
        causal_effect(
            path, some, some["upos"] == "NOUN", neurons, steps=[4], device=device, random_state=0
        )
        for device in ("cpu", GPU)
    )
    numbers = cpu.select_dtypes("number").columns
    np.testing.assert_allclose(gpu[numbers], cpu[numbers], rtol=1e-3, atol=1e-3)


def test_copies_to_the_host_arrive_whole():
    generator = torch.Generator(GPU).manual_seed(0)
    tensors, found = [], []
    with DeviceCopies() as copies:
        for n_rows in [2000, 1, 3000, 500] * 5:
            tensor = torch.rand(n_rows, 1024, generator=generator, device=GPU)
            # The copy starts behind work that is still queued.
            for _ in range(20):
                tensor = tensor.sin()
            copies.send(tensor.clone(), lambda host: found.append(host.clone()))
            tensors.append(tensor.cpu())
        copies.wait()
    assert all(map(torch.equal, found, tensors))


@pytest.mark.parametrize("strategy", ["first", "last", "mean", "max"])
def test_pooled_activations_arrive_in_their_rows(words, strategy):
    folder = make_tiny_model("gpt2", corpus=words["text"].unique(), random_state=0)
    pooled = [
        ActivationExtractor(folder, device=device, max_batch_tokens=64)
        .transform(words)
        .pool(strategy)
        for device in ("cpu", GPU)
    ]
    np.testing.assert_allclose(*pooled, rtol=1e-3, atol=1e-4)


def test_sparse_features_match_those_of_the_cpu(words):
    folder = make_tiny_model("gpt2", corpus=words["text"].unique(), random_state=0)
    rng = np.random.RandomState(0)
    sae = {
        "W_enc": rng.randn(32, 100).astype(np.float32),
        "W_dec": rng.randn(100, 32).astype(np.float32),
        "b_enc": np.zeros(100, np.float32),
        "b_dec": np.zeros(32, np.float32),
    }
    cpu, gpu = (
        make_pipeline(
            ActivationExtractor(folder, layers=[1], device=device),
            SparseAutoencoderEncoder(sae, device=device),
            SubwordAggregator(),
        ).fit_transform(words)
        for device in ("cpu", GPU)
    )
    np.testing.assert_allclose(gpu.toarray(), cpu.toarray(), rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore:.*for the third time in this process")
def test_a_direction_is_removed_and_added_on_the_gpu(words):
    path = make_tiny_model("gpt2", corpus=words["text"].unique(), random_state=0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    direction = np.random.RandomState(0).randn(32)
    direction /= np.linalg.norm(direction)
    frame = pd.DataFrame([direction], columns=[f"hidden.1.{unit}" for unit in range(32)])
    ids = tokenizer([words["text"][0]], return_tensors="pt")
    texts, matrices = [], []
    for device in ("cpu", GPU):
        live = transformers.AutoModelForCausalLM.from_pretrained(path).to(device)
        extract = ActivationExtractor(live, tokenizer=tokenizer, layers=[1])
        with products_in("high"), ablate_model(live, frame):
            removed = SubwordAggregator().fit_transform(extract.transform(words))
        assert np.abs(removed @ direction).max() < 1e-5
        with ablate_model(extract, ["hidden.1.*"], positions=words.head(9)):
            matrices.append(SubwordAggregator().fit_transform(extract.transform(words.head(9))))
        with torch.no_grad(), steer_model(live, frame, strength=3.0, positions="generated"):
            made = live.generate(**ids.to(device), max_new_tokens=5, do_sample=False)
        texts.append(made.cpu())
    np.testing.assert_allclose(*matrices, atol=1e-4)
    assert torch.equal(*texts)


@pytest.mark.filterwarnings("ignore:.*for the third time in this process")
def test_a_default_device_changes_nothing(planted, words):
    X, y = planted
    live, tokenizer, path = live_model(words)

    def compute():
        probe = ElasticNetProbeClassifier(device=GPU, random_state=0).fit(X, y)
        structural = StructuralProbe(2, device=GPU).fit(X[:500], np.abs(X[:500, 0]))
        made = matrix_of(path, words, device=GPU), matrix_of(live, words, tokenizer=tokenizer)
        return probe.coef_, structural.components_, *made

    expected = compute()
    torch.set_default_device(GPU)
    try:
        found = compute()
    finally:
        torch.set_default_device(None)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_every_name_of_a_gpu_means_the_same_loaded_model(words):
    path = make_tiny_model("gpt2", corpus=words["text"].unique(), random_state=0)
    names = [GPU] if GPU == "cpu" else [GPU, f"{GPU}:{torch.cuda.current_device()}", None]
    models = [load_model(ActivationExtractor(path, device=name)._spec()) for name in names]
    assert all(model is models[0] for model in models)
