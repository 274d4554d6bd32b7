# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
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
from sklearn_neurox.extraction._cache import ActivationCache
from sklearn_neurox.extraction._cached_source import (
    CachedTexts,
    cached_blocks,
    cached_source,
)
from sklearn_neurox.extraction._fingerprint import leave_behind
from sklearn_neurox.extraction._loading import LostModel, ModelSpec, load_config
from sklearn_neurox.extraction._output import OwnSetOutputMixin
from sklearn_neurox.extraction._policies import (
    check_lengths,
    report_dropped,
    report_special,
)
from sklearn_neurox.extraction._reading import read_texts
from sklearn_neurox.extraction._rows import read_rows
from sklearn_neurox.extraction._windows import make_sequences
from sklearn_neurox.utils._names import neuron_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Texts of an iterator that are planned together.
_PORTION = 4096


class ActivationExtractor(
    OwnSetOutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Read words in their sentences, or whole texts, with a transformer language model.

    A sample is a word in its text: a row with the text the model reads and the characters of the
    word. `transform` checks the rows, tokenizes each distinct text once, finds the subwords of
    every row, and returns a plan; the model runs when `SubwordAggregator` asks for the matrix.

    Parameters
    ----------
    model : str, path or PreTrainedModel, default="bert-base-cased"
        Name of a model, or folder made by ``save_pretrained``; loaded on first use, once a
        process, in evaluation mode and float32. A live model is shared, never copied; it stays on
        its device, and pickles leave it behind.

    layers : int, list of int or None, default=None
        The layers, in the order of the matrix. 0 is the output of the embedding; the last is what
        the model returns, after its final norm where it has one. Negative ones count from the
        last. None takes all. Layers above the highest asked for are not computed, except to fill a
        cache.

    component : {"hidden"}, default="hidden"
        What is read of each layer: ``"hidden"`` is the output of the block.

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
        A folder where the activations of every text are kept, all layers at once, so that the
        model reads each text once for all folds, layers, aggregations and processes. An
        `ActivationCache` says more about what is kept and how.

    n_jobs : int or None, default=None
        How many processes share the texts that the cache lacks; without a cache, and for a live
        model, which stays where it is, it says nothing. None means one, unless in a
        `joblib.parallel_config` context, such as one that names a cluster; -1 means all
        processors. Where there are several GPUs, each process takes one.

    verbose : int, default=0
        1 shows a bar while the model runs.

    See Also
    --------
    SubwordAggregator : Makes a matrix of the activations.
    sklearn_neurox.words.words_frame : Makes the rows.

    Notes
    -----
    The extractor is stateless: it may transform without having been fitted. Batches are planned
    from the distinct texts alone, so that the same set of texts gives the same bits in whatever
    order and number its rows come; other companions in a batch change the last bits only.

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
        "model": [str, os.PathLike, HasMethods(["get_input_embeddings"]), LostModel],
        "layers": [Integral, "array-like", None],
        "component": [StrOptions({"hidden"})],
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
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: "str | os.PathLike | PreTrainedModel" = "bert-base-cased",
        *,
        layers: int | Sequence[int] | None = None,
        component: str = "hidden",
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
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.model = model
        self.layers = layers
        self.component = component
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
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_clone__(self):
        # A live model is shared: copying its weights for every fold would be absurd.
        bare = self._shallow_copy()
        bare.model = bare.tokenizer = None
        return _clone_parametrized(bare).set_params(model=self.model, tokenizer=self.tokenizer)

    def _shallow_copy(self):
        # copy.copy would go through __getstate__, which leaves a live model behind.
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __getstate__(self):
        state = super().__getstate__()
        if isinstance(self.model, (str, os.PathLike, LostModel)):
            return state
        return {**state, "model": leave_behind(self._spec(), with_digests=self.cache is not None)}

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
        read_rows(X, caller=type(self).__name__)
        if self._known_blocks() is None:
            self._layers(load_config(self._spec()))
        return self

    def transform(self, X: pd.DataFrame | ArrayLike) -> Activations:
        """Tokenize the texts and find the subwords of every row.

        Parameters
        ----------
        X : DataFrame, or array-like of str, of shape (n_samples,)
            A frame of words with the columns ``text``, ``start`` and ``end``; a frame of whole
            texts with the column ``text``; or a list of texts. A column ``text_pair`` holds the
            second text that the model reads together with the first. ``word``, where present,
            must be what the span holds; other columns are not looked at.

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
        rows = read_rows(X, caller=type(self).__name__)
        texts = self._cached_texts(rows.texts, rows.pairs)
        reading, blocks = (None, None) if texts is None else texts.recall(self.layers)
        if reading is None:
            reading = read_texts(self, rows.texts, rows.pairs)
        encodings, limit = reading.encodings, reading.limit
        alignment = align(rows, encodings, special_tokens=self.special_tokens)
        report_dropped(rows, alignment, missing=self.missing)
        report_special(rows, encodings, alignment, split=self.split_special_tokens)
        check_lengths(rows, encodings, limit, overflow=self.overflow)
        sequences, placement, first_sequence = make_sequences(
            encodings, alignment, limit, causal=reading.causal
        )
        source = None if reading.source is None else reading.source(sequences)
        if texts is not None:
            source = cached_source(texts, reading, blocks, source, first_sequence, len(sequences))
        return Activations(
            source,
            placement.sequence,
            placement.position,
            alignment.ptr,
            first_token=find_first_tokens(rows, reading, first_sequence),
            missing=self.missing,
            index=rows.index,
        )

    def fill_cache(self, X: pd.DataFrame | ArrayLike | Iterable[str]) -> int:
        """Compute the activations of all texts and keep them, and return nothing of them.

        What the cache has already is not computed again. With ``n_jobs`` the rest is shared out
        among processes, or among the workers of a cluster, each of which writes to the folder.

        Parameters
        ----------
        X : DataFrame, array-like of str of shape (n_samples,), or iterator of str
            As `transform` takes it; or an iterator of texts, such as a generator that reads a
            file, which is taken in portions, so that a corpus need not fit into the memory.

        Returns
        -------
        n_texts : int
            How many texts the model read.

        Raises
        ------
        ValueError
            Without a cache, and as `transform`.

        OSError
            If the cache cannot be written, or the activations would not fit on the disk.
        """
        self._validate_params()
        if self.cache is None:
            raise ValueError("ActivationExtractor.fill_cache needs a folder: give it with cache=.")
        if not isinstance(X, Iterator):
            return self.transform(X)._source.fill()
        n_texts = 0
        while portion := list(islice(X, _PORTION)):
            n_texts += self.transform(portion)._source.fill()
        return n_texts

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
        blocks = self._known_blocks()
        if blocks is not None:
            return np.array([n for block in blocks for n in block.feature_names()], dtype=object)
        config = load_config(self._spec())
        return neuron_names(
            self._layers(config), _families.n_units(config), stack=_families.stack_of(config)
        )

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

    def _cached_texts(self, texts, pairs):
        if self.cache is None:
            return None
        cache = self.cache
        cache = cache if isinstance(cache, ActivationCache) else ActivationCache(cache)
        return CachedTexts(self._shallow_copy(), cache, texts, pairs)

    def _known_blocks(self):
        """Choose the layers by what the cache knows, None where the model must be asked."""
        texts = self._cached_texts([], None)
        return None if texts is None else cached_blocks(texts, self.layers)

    def _storage_options(self):
        """Tell what, besides model and tokenizer, changes what a cache keeps."""
        return {
            "component": self.component,
            "split_special_tokens": bool(self.split_special_tokens),
            "max_length": None if self.max_length is None else int(self.max_length),
        }

    def _layers(self, config):
        return _families.choose_layers(config, self.layers, model=self._spec().name)
