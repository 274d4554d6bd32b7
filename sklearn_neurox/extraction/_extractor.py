# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Iterable, Sequence, Sized
from itertools import islice
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._cache._activation_cache import ActivationCache
from sklearn_neurox.extraction._cache._cached_source import cached_source
from sklearn_neurox.extraction._cache._cached_texts import cached_texts
from sklearn_neurox.extraction._model._available_blocks import resolve_blocks
from sklearn_neurox.extraction._model._blocks import choose_blocks
from sklearn_neurox.extraction._model._live_model import LiveModelMixin
from sklearn_neurox.extraction._model._loading import DetachedModel
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.extraction._run._reading import read_texts
from sklearn_neurox.extraction._run._sources import neuron_names_of
from sklearn_neurox.extraction._set_output import OwnSetOutputMixin
from sklearn_neurox.extraction._text._alignment import align, find_first_tokens
from sklearn_neurox.extraction._text._checks import (
    check_lengths,
    report_dropped,
    report_special,
)
from sklearn_neurox.extraction._text._targets import read_rows_and_targets
from sklearn_neurox.extraction._text._windows import make_sequences
from sklearn_neurox.utils._validation import check_row_order

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Texts of an iterator that are planned together.
_PORTION = 4096


class ActivationExtractor(
    LiveModelMixin, OwnSetOutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
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

    max_batch_tokens : int, default=2048
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
        `ActivationCache` says more about what is kept and how. A `TorchModel` needs a
        ``fingerprint`` to be kept.

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
    TorchModel : For models that transformers does not know.
    sklearn_neurox.words.words_frame : Makes the rows.

    Notes
    -----
    The extractor is stateless: it may transform without having been fitted. Batches are planned
    from the distinct texts alone, so that the same set of texts gives the same bits in whatever
    order and number its rows come; other companions in a batch change the last bits only. Of the
    demo model, these and another number of threads change no value by more than 1e-6 of the
    layer's largest; a live copy in bfloat16 does by up to 2e-2 of it, one in float16 by 4e-3.

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
            DetachedModel,
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
        "max_batch_tokens": [Interval(Integral, 1, None, closed="left")],
        "device": [str, None],
        "trust_remote_code": ["boolean"],
        "allow_bin_weights": ["boolean"],
        "cache": [str, os.PathLike, ActivationCache, None],
        "n_jobs": [Integral, None],
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
        max_batch_tokens: int = 2048,
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
        self.max_batch_tokens = max_batch_tokens
        self.device = device
        self.trust_remote_code = trust_remote_code
        self.allow_bin_weights = allow_bin_weights
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

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
            Ignored; but a warning tells if its index has the labels of X in another order.

        Returns
        -------
        self : object
        """
        check_row_order(X, y)
        read_rows_and_targets(X, stack=self.stack, caller=type(self).__name__)
        if self._known_blocks() is None:
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
        rows, contexts = read_rows_and_targets(X, stack=self.stack, caller=type(self).__name__)
        texts = cached_texts(self, rows.texts, rows.pairs, contexts)
        reading, blocks = (None, None) if texts is None else texts.recall(self.layers)
        if reading is None:
            reading = read_texts(self, rows.texts, rows.pairs, contexts)
        encodings, limit = reading.encodings, reading.limit
        alignment = align(rows, encodings, special_tokens=self.special_tokens)
        report_dropped(rows, alignment, missing=self.missing)
        report_special(rows, encodings, alignment, split=self.split_special_tokens)
        check_lengths(rows, encodings, limit, overflow=self.overflow)
        sequences, placement, first_sequence = make_sequences(
            encodings, alignment, limit, causal=reading.causal
        )
        source = None if reading.source is None else reading.source(sequences, first_sequence)
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
        X : DataFrame, array-like of str of shape (n_samples,), or iterable of str
            As `transform` takes it; or an iterable of no known length, such as a generator that
            reads a file, which is taken in portions, so that a corpus need not fit into the memory.

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
        if not isinstance(X, Iterable) or isinstance(X, Sized):
            return self.transform(X)._source.fill()
        n_texts, texts = 0, iter(X)
        while portion := list(islice(texts, _PORTION)):
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
            return np.concatenate([block.neuron_names(block.n_units) for block in blocks])
        spec = self._spec()
        available, layers = self._blocks(spec)
        return neuron_names_of(spec, choose_blocks(available, layers, model=spec.name))

    def _known_blocks(self):
        """Choose the blocks by what the cache knows, None where the model must be asked."""
        texts = cached_texts(self, [])
        return None if texts is None else texts.known_blocks(self.layers)

    def _blocks(self, spec):
        return resolve_blocks(spec, component=self.component, stack=self.stack, layers=self.layers)
