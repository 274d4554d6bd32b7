# SPDX-License-Identifier: BSD-3-Clause
import copy
import os
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _clone_parametrized, _fit_context
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._sae._encoded_source import EncodedSource
from sklearn_neurox.extraction._sae._given_sae import open_sae
from sklearn_neurox.extraction._set_output import OwnSetOutputMixin
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._names import block_neuron_names, parse_neuron_names
from sklearn_neurox.utils._warn_user import warn_user


class SparseAutoencoderEncoder(DocLinkMixin, OwnSetOutputMixin, TransformerMixin, BaseEstimator):
    """Encode every token of one block with a sparse autoencoder (SAE).

    It stands between an `ActivationExtractor` and a `SubwordAggregator`: tokens are encoded before
    they are pooled, because the code of a mean is not the mean of codes. Nothing is computed until
    the aggregator pools the features, which it returns as a CSR matrix.

    Parameters
    ----------
    sae : str, path, dict or torch.nn.Module
        The sparse autoencoder:

        - a folder that SAELens wrote, with ``cfg.json`` and ``sae_weights.safetensors``, for
          inference or for training, of the architectures ``standard``, ``gated``, ``jumprelu``,
          ``topk``, ``abstopk``, ``batchtopk``, ``matryoshka_batchtopk``, ``matching_pursuit``,
          ``transcoder``, ``skip_transcoder``, ``jumprelu_transcoder`` and
          ``jumprelu_skip_transcoder``; its settings (such as ``normalize_activations``,
          ``apply_b_dec_to_input`` and ``dtype``) apply;
        - a dict with the arrays ``W_enc`` (d_in, d_sae) and ``b_enc`` (d_sae,), and, where the SAE
          has them, ``b_dec`` (d_in,), which is then subtracted from the input, ``threshold``
          (d_sae,) of a JumpReLU, or ``b_gate``, ``b_mag`` and ``r_mag``; further keys are settings
          of ``cfg.json``, such as ``k``;
        - a torch module, or another object, whose method ``encode`` maps a tensor of shape
          (n_tokens, d_in) to one of shape (n_tokens, d_sae).

    device : str, default="auto"
        The device to encode on: "cpu", "cuda", "cuda:<index>" or "mps"; "auto" uses CUDA if
        available. A torch module stays where it is.

    Attributes
    ----------
    feature_names_ : ndarray of str of shape (n_features_out_,)
        Names of the features, such as ``"sae.12.4071"`` for layer 12; ``"sae.4071"`` if the
        neurons that are encoded have no layer.

    n_features_out_ : int
        The number of features.

    See Also
    --------
    ActivationExtractor : Extracts the activations to encode.
    SubwordAggregator : Pools the features of each row into a CSR matrix.

    Notes
    -----
    The layers of this package are counted from the embeddings: ``blocks.12.hook_resid_pre`` in
    TransformerLens is ``hidden.12``, and ``blocks.12.hook_resid_post`` is ``hidden.13``. A warning
    says so if a SAE names another block than the one that it encodes. The last hidden layer is
    taken after the final norm of the model, on which no SAE of the residual stream was trained;
    ``component="module:layers.29"`` is the output of the last block before it.

    With ``strategy="max"``, the zero of a feature that is off in a token counts. A SAE of the
    architecture ``batchtopk`` in training uses the threshold that it has learned, as SAELens does
    when it saves the SAE for inference.

    References
    ----------
    .. [1] T. Bricken et al., "Towards Monosemanticity: Decomposing Language Models With Dictionary
       Learning", Transformer Circuits Thread, 2023.

    .. [2] J. Bloom, C. Tigges, A. Duong, D. Chanin, "SAELens", 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.extraction import (
    ...     Activations, SparseAutoencoderEncoder, SubwordAggregator
    ... )
    >>> tokens = Activations.from_arrays(
    ...     [[[1.0, 0.0], [0.0, 2.0]], [[-1.0, 3.0]]], feature_names=["hidden.4.0", "hidden.4.1"]
    ... )
    >>> sae = {"W_enc": np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]), "b_enc": np.zeros(3)}
    >>> encoder = SparseAutoencoderEncoder(sae).fit(tokens)
    >>> encoder.get_feature_names_out()
    array(['sae.4.0', 'sae.4.1', 'sae.4.2'], dtype=object)
    >>> SubwordAggregator("max").fit_transform(encoder.transform(tokens)).toarray()
    array([[1., 0., 2.],
           [0., 1., 3.]], dtype=float32)
    """

    _parameter_constraints: dict = {
        "sae": [str, os.PathLike, Mapping, HasMethods(["encode"])],
        "device": [str],
    }

    def __init__(self, sae: object, *, device: str = "auto"):
        self.sae = sae
        self.device = device

    def __sklearn_clone__(self):
        # Not a deep copy: clones share the weights, as the extractors of a live model do.
        bare = copy.copy(self)
        bare.sae = ""
        return _clone_parametrized(bare).set_params(sae=self.sae)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Activations, y: None = None) -> "SparseAutoencoderEncoder":
        """Check the SAE and name its features; nothing is encoded.

        Parameters
        ----------
        X : Activations of shape (n_samples,)
            Of one block, returned by ``ActivationExtractor(..., layers=[12]).transform``.

        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X has several blocks, or its neurons are not in the order of the model; or if the
            SAE reads another number of neurons, its files are damaged, or its architecture is
            unknown.

        FileNotFoundError
            If the folder or one of its files does not exist.

        Warns
        -----
        UserWarning
            If the SAE was trained on another block, as far as its config says.
        """
        names = _checked(X).get_feature_names()
        block = _block_of(names)
        settings = open_sae(self.sae).check(len(names))
        _compare_blocks(settings.hook_name, block)
        prefix = "sae"
        if block is not None:
            stack = "" if block["stack"] is None else f"{block['stack']}."
            prefix = f"{stack}sae.{block['layer']}"
        self.feature_names_ = block_neuron_names(prefix, settings.d_sae)
        self.n_features_out_ = len(self.feature_names_)
        self._input_names = names
        return self

    def transform(self, X: Activations) -> Activations:
        """Encode the tokens of each row.

        Parameters
        ----------
        X : Activations of shape (n_samples,)
            Of the block seen in `fit`.

        Returns
        -------
        features : Activations of shape (n_samples,)
            Not computed yet.

        Raises
        ------
        ValueError
            If the neurons differ from those in `fit`.
        """
        check_is_fitted(self)
        names = _checked(X).get_feature_names()
        if not np.array_equal(names, self._input_names):
            raise ValueError(
                f"SparseAutoencoderEncoder was fitted on {len(self._input_names)} neurons "
                f"({self._input_names[0]!r} to {self._input_names[-1]!r}), but X has "
                f"{len(names)} ({names[0]!r} to {names[-1]!r}). Fit it again."
            )
        source = EncodedSource(X._source, open_sae(self.sae), self.device, self.feature_names_)
        return X._with_source(source)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the features.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            If given, must equal the names of the neurons seen in `fit`.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_features_out_,)
        """
        check_is_fitted(self)
        if input_features is not None and not np.array_equal(
            np.asarray(input_features, dtype=object), self._input_names
        ):
            raise ValueError("input_features is not equal to the names of the neurons seen in fit")
        return self.feature_names_.copy()


def _checked(X):
    if not isinstance(X, Activations):
        raise TypeError(
            f"SparseAutoencoderEncoder encodes Activations, got {type(X).__name__}. Put an "
            "ActivationExtractor before it, or wrap stored arrays with Activations.from_arrays."
        )
    if hasattr(X._source, "strategies"):
        raise ValueError(
            "SparseAutoencoderEncoder encodes every token, but the cache of the "
            "ActivationExtractor keeps only pooled rows. Take an ActivationCache without pooled=."
        )
    if X.is_sparse:
        raise ValueError("X is encoded already. Use one SparseAutoencoderEncoder in a pipeline.")
    return X


def _block_of(names):
    """Return stack, component and layer of the only block; None if the names have no layers."""
    parts = parse_neuron_names(names)
    if parts["layer"].isna().all():
        return None
    blocks = parts[["stack", "component", "layer"]].drop_duplicates()
    if len(blocks) > 1 or parts["layer"].isna().any():
        first, last = names[0], names[-1]
        raise ValueError(
            f"SparseAutoencoderEncoder encodes one block, but X has {len(blocks)} (from {first!r} "
            f"to {last!r}). Extract one: ActivationExtractor(..., layers=[12]). For several SAEs, "
            "join pipelines, each with its own layer, by a FeatureUnion."
        )
    places = parts[["head", "unit"]].fillna(0).astype(int)
    if not pd.MultiIndex.from_frame(places).is_monotonic_increasing:
        raise ValueError(
            "SparseAutoencoderEncoder reads neurons in the order of the model, but those of X, "
            f"from {names[0]!r} to {names[-1]!r}, are in another one. Pass all columns of the "
            "layer as ActivationExtractor returns them."
        )
    block = blocks.iloc[0]
    stack = block["stack"] if isinstance(block["stack"], str) else None
    return {"stack": stack, "component": block["component"], "layer": int(block["layer"])}


# The names of TransformerLens and the components here that hold the same values. Layer k belongs
# to the block whose output is hidden.k, and blocks are counted from 0 there.
_HOOKS = {
    "hook_resid_pre": ("hidden", 0),
    "hook_resid_post": ("hidden", 1),
    "mlp.hook_post": ("mlp", 1),
    "attn.hook_z": ("attention", 1),
}


def _compare_blocks(hook_name, block):
    """Warn if a SAE says that it was trained on another block."""
    found = re.fullmatch(r"blocks\.(\d+)\.(.+)", hook_name or "")
    if block is None or found is None:
        return
    kind, offset = _HOOKS.get(found[2], ("module", 1))
    layer = int(found[1]) + offset
    is_module = block["component"].startswith("module:")
    if layer == block["layer"] and (is_module or block["component"] == kind):
        return
    where, advice = f"which is '{kind}.{layer}' here", f"component={kind!r}, layers=[{layer}]"
    if kind == "module":
        where = f"in block {found[1]}"
        advice = "the module with this output, component='module:<path>',"
    encoded = block["component"] if is_module else f"{block['component']}.{block['layer']}"
    warn_user(
        f"The SAE was trained on {hook_name!r}, {where}, but SparseAutoencoderEncoder encodes "
        f"{encoded!r}. Extract {advice} if this is not intended."
    )
