# SPDX-License-Identifier: BSD-3-Clause
import copy
import os
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _clone_parametrized, _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sklearn_neurox.extraction import _families
from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._alignment import align, find_first_tokens
from sklearn_neurox.extraction._blocks import check_cacheable, choose_blocks
from sklearn_neurox.extraction._cache import ActivationCache
from sklearn_neurox.extraction._cached_source import CachedSource
from sklearn_neurox.extraction._loading import LostModel, ModelSpec, load_config, load_tokenizer
from sklearn_neurox.extraction._outline import request_blocks
from sklearn_neurox.extraction._output import OwnSetOutputMixin
from sklearn_neurox.extraction._policies import (
    check_lengths,
    check_vocabulary,
    limit_tokens,
    report_dropped,
    report_special,
)
from sklearn_neurox.extraction._sources import ModelSource, neuron_names_of
from sklearn_neurox.extraction._targets import make_contexts, read_requests, target_tokenizer
from sklearn_neurox.extraction._tokenization import encode
from sklearn_neurox.extraction._torch_model import TorchModel
from sklearn_neurox.extraction._windows import make_sequences

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class ActivationExtractor(
    OwnSetOutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Read words in their sentences, or whole texts, with a transformer language model.

    A sample is a word in its text: a row with the text the model reads and the characters of the
    word. `transform` checks the rows, tokenizes each distinct text once, finds the subwords of
    every row, and returns a plan; the model runs when `SubwordAggregator` asks for the matrix.

    Parameters
    ----------
    model : str, path, PreTrainedModel or TorchModel, default="bert-base-cased"
        Name of a model, or folder made by ``save_pretrained``; loaded on first use, once a
        process, in evaluation mode and float32. A live model is shared, never copied; it stays on
        its device, keeps its precision (the matrix is float32), and pickles leave it behind.
        `TorchModel` wraps a module that transformers does not know.

    layers : int, list of int or None, default=None
        The layers, in the order of the matrix. 0 is the output of the embedding; the last is what
        the model returns, after its final norm where it has one. Negative ones count from the
        last. None takes all. Layers above the highest asked for are not computed, except to fill a
        cache. With several components, those that have the layer; embeddings and modules are
        taken whole.

    component : str or list of str, default="hidden"
        What is read, all in one forward pass. Layer k of a component belongs to the block whose
        output is ``hidden.k``.

        - ``"hidden"``: the output of the block.
        - ``"mlp"``: the activation that enters the block's down projection, the "neurons" of much
          of the literature. Blocks that are mixtures of experts have none.
        - ``"attention"``: what the heads of the block's self-attention gather, before its output
          projection mixes them; the names tell the head (``"attention.3.h5.17"``).
        - ``"embedding"``: the token's own vector as it is looked up, the same wherever the token
          stands (``"embedding.0.17"``, of no layer); ``hidden.0`` is what the first block reads,
          with positions, norms and whatever else the model adds.
        - ``"module:<glob>"``: the output of the modules whose path matches, ``*`` standing for
          anything, as ``named_modules`` of the bare model names them; a tuple's first tensor. A
          module has to run once, with one state a token.

    stack : {"encoder", "decoder", "both"} or None, default=None
        What is read of an encoder-decoder model; None takes the encoder. The decoder is given
        what it should have said (teacher forcing): the text itself, or the column ``target``. The
        row has the states at which the decoder reads the row's tokens, so that the last subword
        has seen the whole word, and predicts what follows. Other models leave it None.

    tokenizer : str, path, PreTrainedTokenizerBase or None, default=None
        The tokenizer; None takes the one saved with the model.

    revision : str or None, default=None
        The revision of a model on the hub; None takes ``"main"``.

    weights : {"pretrained", "random"}, default="pretrained"
        ``"random"`` builds the model from its config alone, untrained, which is the baseline that
        shows what training added.

    random_state : int, default=0
        Seed of the random weights.

    special_tokens : bool, default=False
        Whether a whole text also owns the special tokens the tokenizer adds around it.

    split_special_tokens : bool, default=False
        Whether text that spells a special token, such as ``[MASK]``, is read as ordinary
        characters. Otherwise the model sees the special token, and a warning counts such rows.

    missing : {"zero", "nan", "error"}, default="zero"
        What becomes of a row whose characters the tokenizer drops altogether, such as a lone
        zero-width joiner. A warning counts them.

    overflow : {"window", "error"}, default="window"
        What becomes of a text longer than the model: overlapping windows, each word taken from the
        one that gives it most context, or an error.

    max_length : int or None, default=None
        The most tokens read at once, special ones included; None takes the model's own limit.

    batch_tokens : int, default=2048
        Tokens a batch may hold. Texts of similar length run together.

    device : str or None, default=None
        Where a model given by name runs: ``"cpu"``, ``"cuda"``, ``"mps"``; None or ``"auto"``
        takes CUDA where there is one.

    trust_remote_code : bool, default=False
        Whether code that comes with the model may run.

    allow_bin_weights : bool, default=False
        Whether weights may come from a ``.bin`` file, which is unpickled (restricted to tensors),
        besides safetensors.

    cache : str, path, ActivationCache or None, default=None
        A folder where the hidden states of every text are kept, all layers at once, so that the
        model reads each text once for all folds, layers, aggregations and processes.

    verbose : int, default=0
        1 shows a bar while the model runs.

    See Also
    --------
    SubwordAggregator : Makes a matrix of the activations.
    TorchModel : For models that transformers does not know.
    sklearn_neurox.words.words_frame : Makes the rows.

    Notes
    -----
    The extractor is stateless: it may transform without having been fitted. Batches are planned
    from the distinct texts alone, so that the same set of texts gives the same bits in whatever
    order and number its rows come; other companions in a batch change the last bits only.

    Columns go stack by stack, encoder first: the embedding, layer by layer the other components
    in the order asked, the modules.

    The encoder has read the whole text when the decoder reads it again: its states may know later
    words, through the cross-attention. A column ``target`` tells the two apart.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_neurox.datasets import make_tiny_model
    >>> from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
    >>> from sklearn_neurox.words import words_frame
    >>> words = words_frame([["The", "cat", "sleeps"], ["Dogs", "bark"]])
    >>> model = make_tiny_model("bert", n_layers=2, hidden_size=8)
    >>> features = make_pipeline(ActivationExtractor(model, layers=[1, 2]), SubwordAggregator())
    >>> features.fit_transform(words).shape
    (5, 16)
    >>> str(features.get_feature_names_out()[8])
    'hidden.2.0'
    """

    _parameter_constraints: dict = {
        "model": [
            str,
            os.PathLike,
            HasMethods(["get_input_embeddings"]),
            TorchModel,
            LostModel,
        ],
        "layers": [Integral, "array-like", None],
        "component": [str, "array-like"],
        "stack": [StrOptions({"encoder", "decoder", "both"}), None],
        "tokenizer": [str, os.PathLike, HasMethods(["convert_ids_to_tokens"]), None],
        "revision": [str, None],
        "weights": [StrOptions({"pretrained", "random"})],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
        "special_tokens": ["boolean"],
        "split_special_tokens": ["boolean"],
        "missing": [StrOptions({"zero", "nan", "error"})],
        "overflow": [StrOptions({"window", "error"})],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "batch_tokens": [Interval(Integral, 1, None, closed="left")],
        "device": [str, None],
        "trust_remote_code": ["boolean"],
        "allow_bin_weights": ["boolean"],
        "cache": [str, os.PathLike, ActivationCache, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: "str | os.PathLike | PreTrainedModel | TorchModel" = "bert-base-cased",
        *,
        layers: int | Sequence[int] | None = None,
        component: str | Sequence[str] = "hidden",
        stack: str | None = None,
        tokenizer: "str | os.PathLike | PreTrainedTokenizerBase | None" = None,
        revision: str | None = None,
        weights: str = "pretrained",
        random_state: int = 0,
        special_tokens: bool = False,
        split_special_tokens: bool = False,
        missing: str = "zero",
        overflow: str = "window",
        max_length: int | None = None,
        batch_tokens: int = 2048,
        device: str | None = None,
        trust_remote_code: bool = False,
        allow_bin_weights: bool = False,
        cache: str | os.PathLike | ActivationCache | None = None,
        verbose: int = 0,
    ):
        self.model = model
        self.layers = layers
        self.component = component
        self.stack = stack
        self.tokenizer = tokenizer
        self.revision = revision
        self.weights = weights
        self.random_state = random_state
        self.special_tokens = special_tokens
        self.split_special_tokens = split_special_tokens
        self.missing = missing
        self.overflow = overflow
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.device = device
        self.trust_remote_code = trust_remote_code
        self.allow_bin_weights = allow_bin_weights
        self.cache = cache
        self.verbose = verbose

    def __sklearn_clone__(self):
        # A live model is shared: copying its weights for every fold would be absurd.
        bare = copy.copy(self)
        bare.model = bare.tokenizer = None
        return _clone_parametrized(bare).set_params(model=self.model, tokenizer=self.tokenizer)

    def __getstate__(self):
        state = super().__getstate__()
        if isinstance(self.model, (str, os.PathLike, LostModel)):
            return state
        return {**state, "model": LostModel(type(self.model).__name__)}

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: pd.DataFrame | ArrayLike, y: None = None) -> "ActivationExtractor":
        """Check the parameters and the rows; nothing is learned.

        Parameters
        ----------
        X : DataFrame, or array-like of str, of shape (n_samples,)
            See `transform`.

        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        read_requests(X, stack=self.stack, caller=type(self).__name__)
        self._blocks(self._spec())
        return self

    def transform(self, X: pd.DataFrame | ArrayLike) -> Activations:
        """Tokenize the texts and find the subwords of every row.

        Parameters
        ----------
        X : DataFrame, or array-like of str, of shape (n_samples,)
            A frame of words with the columns ``text``, ``start`` and ``end``; a frame of whole
            texts with the column ``text``; or a list of texts. A column ``text_pair`` holds the
            second text that the model reads together with the first. ``word``, where present,
            must be what the span holds. With ``stack="decoder"``, a column ``target`` holds what
            the decoder reads while the encoder reads ``text``; the row is then a part of it, from
            ``target_start`` to ``target_end``, or all of it. Other columns are not looked at.

        Returns
        -------
        activations : Activations of shape (n_samples,)
            Not computed yet.

        Raises
        ------
        ValueError
            For malformed rows, for a text too long under ``overflow="error"``, for a dropped word
            under ``missing="error"``, and where the model cannot be loaded.
        """
        self._validate_params()
        rows, contexts = read_requests(X, stack=self.stack, caller=type(self).__name__)
        spec = self._spec()
        config, tokenizer = load_config(spec), load_tokenizer(spec)
        available, layers = self._blocks(spec)
        stacks = {block.stack for block in available}
        reader = tokenizer if contexts is None else target_tokenizer(tokenizer)
        split = self.split_special_tokens
        encodings = encode(reader, rows.texts, rows.pairs, split_special_tokens=split)
        alignment = align(rows, encodings, special_tokens=self.special_tokens)
        check_vocabulary(encodings, config, reader)
        limit = limit_tokens(config, tokenizer, stacks, self.max_length, model=spec.name)
        report_dropped(rows, alignment, missing=self.missing)
        report_special(rows, encodings, alignment, split=split)
        check_lengths(rows, encodings, limit, overflow=self.overflow)
        sequences, placement, first_sequence = make_sequences(
            encodings, alignment, limit, causal=_families.is_causal(config)
        )
        if contexts is not None:
            contexts = make_contexts(
                tokenizer,
                contexts,
                first_sequence,
                len(sequences),
                limit_tokens(config, tokenizer, ["encoder"], None, model=spec.name),
                split_special_tokens=split,
            )
        source = ModelSource(
            spec=spec,
            sequences=sequences,
            contexts=contexts,
            available=available,
            layers=layers,
            pad_id=_pad_id(tokenizer),
            start_id=_families.decoder_start(config, stacks, model=spec.name),
            batch_tokens=self.batch_tokens,
            verbose=int(self.verbose),
        )
        if self.cache is not None:
            check_cacheable(available, component=self.component, stack=self.stack)
            source = CachedSource(source, self._cache(), source.every_layer().layers)
        return Activations(
            source,
            placement.sequence,
            placement.position,
            alignment.ptr,
            first_token=find_first_tokens(rows, encodings, tokenizer, first_sequence),
            missing=self.missing,
            index=rows.index,
        )

    def get_feature_names_out(self, input_features: None = None) -> np.ndarray:
        """Name the neurons that the activations have, as the matrix orders them.

        Parameters
        ----------
        input_features : None
            Ignored: the names of the columns of words are not those of neurons.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_neurons,)
        """
        spec = self._spec()
        available, layers = self._blocks(spec)
        return neuron_names_of(spec, choose_blocks(available, layers, model=spec.name))

    def _spec(self):
        is_path = isinstance(self.model, (str, os.PathLike))
        tokenizer = self.tokenizer
        return ModelSpec(
            model=os.fspath(self.model) if is_path else self.model,
            tokenizer=os.fspath(tokenizer) if isinstance(tokenizer, os.PathLike) else tokenizer,
            revision=self.revision,
            weights=self.weights,
            seed=int(self.random_state),
            device=self.device,
            trust_remote_code=bool(self.trust_remote_code),
            allow_bin_weights=bool(self.allow_bin_weights),
        )

    def _cache(self):
        return (
            self.cache if isinstance(self.cache, ActivationCache) else ActivationCache(self.cache)
        )

    def _blocks(self, spec):
        return request_blocks(spec, component=self.component, stack=self.stack, layers=self.layers)


def _pad_id(tokenizer):
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
