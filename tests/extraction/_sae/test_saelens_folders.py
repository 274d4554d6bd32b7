# SPDX-License-Identifier: BSD-3-Clause
"""Folders that SAELens wrote are encoded as SAELens encodes them; see ``write_saelens.py``."""

import json
import shutil
from pathlib import Path

import joblib
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sklearn_neurox.extraction import Activations, SparseAutoencoderEncoder, SubwordAggregator

FOLDERS = sorted((Path(__file__).parent / "saelens").iterdir())


def encode(sae, tokens):
    """Encode each token as a row of its own."""
    names = [f"hidden.2.{i}" for i in range(tokens.shape[1])]
    plan = Activations.from_arrays([token[None] for token in tokens], feature_names=names)
    encoder = SparseAutoencoderEncoder(sae, device="cpu")
    return SubwordAggregator("last").fit_transform(encoder.fit_transform(plan)).toarray()


@pytest.mark.slow
def test_codes_are_those_of_saelens():
    assert len(FOLDERS) == 24
    for folder in FOLDERS:
        expected = load_file(folder / "expected.safetensors")
        codes = encode(folder, expected["tokens"])
        largest = np.abs(expected["codes"]).max()
        assert largest > 0
        np.testing.assert_allclose(
            codes, expected["codes"], atol=1e-5 * largest, err_msg=folder.name
        )
        np.testing.assert_array_equal(codes != 0, expected["codes"] != 0, err_msg=folder.name)


def _change(config, **settings):
    return {**config, **settings}


WRONG_CONFIGS = [
    (lambda c: [c], "holds a list, not an object"),
    (lambda c: _change(c, architecture="other"), "'other', which .* does not know"),
    (lambda c: _change(c, architecture="temporal"), "depends on the tokens before it"),
    (lambda c: _change(c, d_in=None), "lacks 'd_in'"),
    (lambda c: _change(c, d_sae="16"), "d_sae = '16', of the wrong type"),
    (lambda c: _change(c, d_sae=0), "d_sae = 0, which must be positive"),
    (lambda c: _change(c, d_sae=10**9), "'W_enc' of shape"),
    (lambda c: _change(c, d_in=7), "reads 7 neurons, but the block in X has 6"),
    (lambda c: _change(c, dtype="int8"), "dtype = 'int8'"),
    (lambda c: _change(c, normalize_activations="batch"), "'batch', which"),
    (lambda c: _change(c, architecture="gated"), "lacks the weight 'b_gate'"),
    (lambda c: _change(c, architecture="topk"), "lacks 'k'"),
]


@pytest.fixture
def copy(tmp_path):
    """Copy the folder of a standard SAE, to be damaged."""
    folder = next(folder for folder in FOLDERS if folder.name == "standard")
    return Path(shutil.copytree(folder, tmp_path / "sae"))


def test_wrong_configs(copy):
    tokens = load_file(copy / "expected.safetensors")["tokens"]
    config = json.loads((copy / "cfg.json").read_text())
    for change, message in WRONG_CONFIGS:
        (copy / "cfg.json").write_text(json.dumps(change(config)))
        with pytest.raises(ValueError, match=message):
            encode(copy, tokens)
    (copy / "cfg.json").write_text("{")
    with pytest.raises(ValueError, match="cfg.json is not JSON"):
        encode(copy, tokens)


def test_a_single_feature_per_token(tmp_path):
    source = next(folder for folder in FOLDERS if folder.name == "topk")
    folder = Path(shutil.copytree(source, tmp_path / "sae"))
    expected = load_file(folder / "expected.safetensors")
    config = json.loads((folder / "cfg.json").read_text())
    assert config["k"] == 3
    (folder / "cfg.json").write_text(json.dumps(_change(config, k=1)))
    largest = expected["codes"].max(axis=1, keepdims=True)
    top = np.where(expected["codes"] == largest, expected["codes"], 0)
    np.testing.assert_allclose(encode(folder, expected["tokens"]), top, atol=1e-5 * largest.max())


def test_damaged_weights(copy):
    tokens = load_file(copy / "expected.safetensors")["tokens"]
    file = copy / "sae_weights.safetensors"
    content = file.read_bytes()
    for damaged in (content[:-40], b"\xff" * 100, content[:5]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="not a complete safetensors file.*Save the SAE again"):
            encode(copy, tokens)
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        encode(copy, tokens)
    file.unlink()
    with pytest.raises(FileNotFoundError, match="has no sae_weights.safetensors; it holds"):
        encode(copy, tokens)


def test_new_weights_in_the_same_folder_are_read(copy):
    expected = load_file(copy / "expected.safetensors")
    before = encode(copy, expected["tokens"])
    names = [f"hidden.2.{i}" for i in range(6)]
    plan = Activations.from_arrays([expected["tokens"]], feature_names=names)
    plan = SparseAutoencoderEncoder(copy).fit_transform(plan)
    hash_before = joblib.hash(plan)
    assert joblib.hash(plan) == hash_before
    weights = load_file(copy / "sae_weights.safetensors")
    save_file(weights | {"b_enc": weights["b_enc"] + 5}, copy / "sae_weights.safetensors")
    assert (encode(copy, expected["tokens"]) != before).any()
    # Otherwise, joblib.Memory would return what it keeps of the old weights.
    assert joblib.hash(plan) != hash_before


def test_configs_from_before_version_6(copy):
    expected = load_file(copy / "expected.safetensors")
    config = json.loads((copy / "cfg.json").read_text())
    old = {key: config[key] for key in ("d_in", "d_sae", "dtype")}
    old |= {"hook_point": "blocks.1.hook_resid_post", "activation_fn_str": "relu"}
    (copy / "cfg.json").write_text(json.dumps(old))
    np.testing.assert_allclose(encode(copy, expected["tokens"]), expected["codes"], atol=1e-5)
    # Nothing is scaled, as in SAELens, but not in silence.
    old |= {"activation_fn_str": "relu", "normalize_activations": True}
    (copy / "cfg.json").write_text(json.dumps(old))
    with pytest.warns(UserWarning, match="'expected_average_only_in', which was to be folded"):
        codes = encode(copy, expected["tokens"])
    np.testing.assert_allclose(codes, expected["codes"], atol=1e-5)


# The settings of SAELens 3 to 5 that choose the activation function, and the k that SAELens takes
# from them. The last ones state a k where no version of SAELens reads it.
OLD_TOPK = [
    ({"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}}, 2),
    ({"activation_fn": "topk", "activation_fn_kwargs": {"k": 2}}, 2),
    ({"architecture": "standard", "activation_fn": "topk", "activation_fn_kwargs": {"k": 2}}, 2),
    ({"architecture": "topk", "activation_fn": "topk", "activation_fn_kwargs": {"k": 2}}, 2),
    ({"architecture": "topk", "activation_fn_kwargs": {"k": 2}}, 2),
    ({"architecture": "topk", "k": 3}, 3),
    ({"architecture": "topk", "activation_fn": "topk", "k": 3}, 3),
    ({"architecture": "topk", "activation_fn_kwargs": {"k": 2}, "k": 3}, 2),
    ({"activation_fn": "topk", "activation_fn_kwargs": {"k": 2}, "k": 3}, 2),
    ({"activation_fn": "topk"}, None),
    ({"activation_fn": "topk", "k": 3}, None),
    ({"activation_fn": "topk", "activation_fn_kwargs": None, "k": 3}, None),
]


@pytest.mark.parametrize(("settings", "k"), OLD_TOPK)
def test_topk_before_version_6(settings, k, copy):
    """A k beside the options of the activation function was preferred to theirs."""
    expected = load_file(copy / "expected.safetensors")
    config = json.loads((copy / "cfg.json").read_text())
    old = {key: config[key] for key in ("d_in", "d_sae", "dtype")} | settings
    (copy / "cfg.json").write_text(json.dumps(old))
    if k is None:
        with pytest.raises(ValueError, match="lacks 'k'"):
            encode(copy, expected["tokens"])
        return
    codes = expected["codes"]
    largest = np.where(codes >= np.sort(codes, axis=1)[:, [-k]], codes, 0)
    np.testing.assert_allclose(encode(copy, expected["tokens"]), largest, atol=1e-5)


@pytest.mark.parametrize("architecture", ["gated", "jumprelu"])
def test_no_encoder_both_gates_and_takes_the_topk(architecture, tmp_path):
    """A JumpReLU of SAELens 5 with the activation function top-k lost its threshold."""
    source = next(folder for folder in FOLDERS if folder.name == architecture)
    folder = Path(shutil.copytree(source, tmp_path / "sae"))
    config = json.loads((folder / "cfg.json").read_text())
    del config["metadata"]
    changed = _change(config, activation_fn="topk", activation_fn_kwargs={"k": 2})
    (folder / "cfg.json").write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=f"'topk' for the architecture '{architecture}'"):
        encode(folder, np.ones((1, 6), dtype=np.float32))


def test_activation_functions_are_not_read_since_version_6(copy):
    """SAELens 6 ignores them, as the architecture says it all."""
    expected = load_file(copy / "expected.safetensors")
    config = json.loads((copy / "cfg.json").read_text())
    assert config["metadata"]["sae_lens_version"].startswith("6.")
    for settings in ({"activation_fn": "topk", "k": 2}, {"activation_fn_str": "tanh-relu"}):
        (copy / "cfg.json").write_text(json.dumps(_change(config, **settings)))
        np.testing.assert_allclose(encode(copy, expected["tokens"]), expected["codes"], atol=1e-5)
    del config["metadata"]
    for version, is_old in (("5.10.1", True), ("6.0.0-rc.0", False), ("10.2.0", False)):
        changed = _change(config, activation_fn="tanh-relu", sae_lens_version=version)
        (copy / "cfg.json").write_text(json.dumps(changed))
        if is_old:
            with pytest.raises(ValueError, match="activation function 'tanh-relu'"):
                encode(copy, expected["tokens"])
        else:
            encode(copy, expected["tokens"])


@pytest.mark.parametrize("name", ["threshold", "topk_threshold", "log_threshold", "b_gate"])
def test_weights_of_another_architecture(name, copy):
    """A JumpReLU whose config says that it is standard was encoded without its threshold."""
    tokens = load_file(copy / "expected.safetensors")["tokens"]
    weights = load_file(copy / "sae_weights.safetensors")
    weights[name] = np.ones(() if name == "topk_threshold" else 16, dtype=np.float32)
    save_file(weights, copy / "sae_weights.safetensors")
    shown = name.removeprefix("log_")
    with pytest.raises(ValueError, match=f"weight '{shown}', which the architecture 'standard'"):
        encode(copy, tokens)


def test_k_of_an_encoder_without_topk_is_ignored(copy):
    expected = load_file(copy / "expected.safetensors")
    config = json.loads((copy / "cfg.json").read_text())
    (copy / "cfg.json").write_text(json.dumps(_change(config, k=1000)))
    np.testing.assert_allclose(encode(copy, expected["tokens"]), expected["codes"], atol=1e-5)
