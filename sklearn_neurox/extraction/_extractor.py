# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Iterable, Sequence, Sized
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._cache._activation_cache import ActivationCache, store_of
from sklearn_neurox.extraction._cache._cached_texts import CachedTexts
from sklearn_neurox.extraction._model._block_widths import join_neuron_names, widths_of
from sklearn_neurox.extraction._model._blocks import CROSS, WEIGHT_PARTS, check_components
from sklearn_neurox.extraction._model._live_model import LiveModelMixin
from sklearn_neurox.extraction._model._loading import DetachedModel
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.extraction._plan_activations import plan_activations
from sklearn_neurox.extraction._run._extraction_request import ExtractionRequest
from sklearn_neurox.extraction._set_output import OwnSetOutputMixin
from sklearn_neurox.extraction._text._corpora import portions_of, unrepeated
from sklearn_neurox.extraction._text._lost_context import (
    report_lost_context,
    report_single_words,
    report_texts_for_words,
)
from sklearn_neurox.extraction._text._targets import read_cross_pairs, read_rows_and_targets
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._validation import check_row_order

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# The number of texts taken from an iterator at a time.
_PORTION = 4096


class ActivationExtractor(
    DocLinkMixin, LiveModelMixin, OwnSetOutputMixin, TransformerMixin, BaseEstimator
):
    """Extract the activations of a transformer language model for words or whole texts.

    Each row is a word in its text: the text that the model reads, and where the word starts and
    ends in it. `transform` checks the rows, tokenizes each distinct text once and finds the subword
    tokens of every row. The model itself runs later, when `SubwordAggregator` builds the matrix.

    Parameters
    ----------
    model : str, path, PreTrainedModel or TorchModel, default="bert-base-cased"
        The name of a model, a folder written by ``save_pretrained``, or a GGUF file or a folder
        that holds only one, which transformers converts (``pip install "sklearn-neurox[gguf]"``).
        It is loaded on first use, once per process, in evaluation mode and float32, unless
        ``dtype`` says otherwise. A model that is already loaded is shared,
        never copied: it keeps its device and its precision (the matrix is float32), and it is left
        out of pickles. `TorchModel` wraps a module that transformers does not know.

    layers : int, list of int or None, default=None
        The layers to extract, in the order of the matrix's columns. Layer 0 is the output of the
        embedding; the last layer is the output of the model, after the final norm if there is one.
        Negative numbers count from the last layer; None takes all layers. The layers above the
        highest one requested are not computed, except to fill a cache. With several components,
        each contributes the requested layers that it has. Embeddings and modules have no layers
        and are always taken whole.

    component : str or list of str, default="hidden"
        The activations to extract; several are read in the same forward pass. Layer k of a
        component belongs to the block whose output is ``hidden.k``.

        - ``"hidden"``: the output of the block.
        - ``"mlp"``: the input of the block's down projection, which much of the literature calls
          "neurons". Mixture-of-experts blocks have none.
        - ``"attention"``: the outputs of the block's self-attention heads, before the output
          projection mixes them. The names include the head (``"attention.3.h5.17"``).
        - ``"attention_weights"``: for rows that are pairs, how much the first span attends to the
          other (``"attention_weights.3.h5.to"``), and the other to the first (``".from"``), in each
          head. The weights to a word are summed over its subwords, and those from a word averaged
          over them [1]_. Read alone; see Notes.
        - ``"cross_attention_weights"``: how much the decoder, with ``stack="decoder"``, attends
          from the first span to the other one in the encoder's text
          (``"decoder.cross_attention_weights.3.h5.to"``).
        - ``"attention_summary"``: for words, three numbers per head, averaged over the subwords:
          the ``entropy`` of the weights (in nats), the weight on the ``first`` token of the input,
          special tokens included, and the word's weight on itself (``self``).
        - ``"embedding"``: the token's vector in the embedding table, which is the same in every
          context (``"embedding.0.17"``; it has no layers). ``hidden.0``, in contrast, is the input
          of the first block, with positions, norms and whatever else the model adds.
        - ``"module:<glob>"``: the output of every module whose path matches, where ``*`` matches
          anything and paths are those of ``named_modules`` of the model without a head. If the
          output is a tuple, its first tensor is taken. A module must run once per forward pass and
          return one state per token.

    stack : {"encoder", "decoder", "both"} or None, default=None
        The part of an encoder-decoder model to read; None reads the encoder. The decoder reads
        the target text (teacher forcing): the column ``target`` if there is one, else the text
        itself. A row gets the states at the positions where the decoder reads the row's tokens:
        the last subword has seen the whole word and predicts what follows. For all other models,
        leave this as None.

    tokenizer : str, path, PreTrainedTokenizerBase or None, default=None
        The tokenizer; None takes the one saved with the model.

    revision : str or None, default=None
        The revision of a model on the hub; None takes ``"main"``.

    weights : {"pretrained", "random"}, default="pretrained"
        ``"random"`` builds an untrained model from the config alone: the baseline that shows what
        training added.

    random_state : int, default=0
        Seed of the random weights.

    add_special_tokens : bool or "auto", default="auto"
        Whether the tokenizer adds its special tokens, such as BOS or ``[CLS]``, around each text.
        ``"auto"`` adds them unless the text already begins with them, as the output of a chat
        template does: such a text is read as it stands, and its own first tokens count as the added
        ones. True adds them to every text, False to none. A text with a ``text_pair`` gets them
        with ``"auto"``, too.

    prefix : "bos", str or None, default=None
        A token or text in front of every input, and of every window of a long text, that belongs to
        no row. ``"bos"`` is the tokenizer's BOS token, where an input does not begin with it
        anyway. Any other text is tokenized on its own and follows the special tokens that are added
        at the beginning. The spans of the rows do not move. Most decoders give the first token of
        an input a state many times longer than all others (an attention sink); with a prefix, no
        word is that token.

    special_tokens : bool, default=False
        Whether the special tokens that the tokenizer adds around a text count as its subwords, in
        rows that are whole texts.

    split_special_tokens : bool, default=False
        Whether to tokenize text that spells a special token, such as ``[MASK]``, as ordinary
        characters. Otherwise the model reads the special token, and a warning counts such rows.

    missing : {"zero", "nan", "error"}, default="zero"
        What to do with a row that has no subwords (or, for attention weights, whose spans are in no
        window together), because the tokenizer drops all its characters,
        such as a lone zero-width joiner, or because the tokens of its text cannot be matched with
        its words, which may happen with tokenizers written in Python: fill it with zeros or NaN,
        both with a warning that counts such rows, or raise an error.

    overflow : {"window", "error"}, default="window"
        What to do with a text longer than the model can read: split it into overlapping windows,
        and take each word from the window with the most context, or raise an error.

    max_length : int or None, default=None
        The maximum number of tokens read at once, including special tokens; None takes the number
        that the model's config and tokenizer state. A larger number is allowed for models that
        compute their positions, such as rotary or relative ones, but not for models that look them
        up in a table.

    max_batch_tokens : int, default=2048
        The maximum number of tokens per batch. Texts of similar length share a batch.

    device : str or None, default=None
        The device of a model given by name: ``"cpu"``, ``"cuda"`` or ``"mps"``. None or ``"auto"``
        takes CUDA if available.

    dtype : {"auto", "float32", "bfloat16", "float16"}, default="float32"
        The dtype in which a model given by name is loaded and computes; the matrix is float32.
        ``"auto"`` takes the one that the model was saved in. bfloat16 and float16 take half the
        memory of float32 and round every step of the computation, see Notes.

    device_map : str, int, dict or None, default=None
        Where the parts of a model given by name are put, as in ``from_pretrained``: ``"auto"``
        spreads a model over all GPUs, then the memory of the CPU, then the disk. It needs
        accelerate (``pip install "sklearn-neurox[accelerate]"``) and replaces ``device``.

    trust_remote_code : bool, default=False
        Whether to run code that comes with the model.

    allow_bin_weights : bool, default=False
        Whether to load weights from a ``.bin`` file if there are no safetensors. Loading such a
        file unpickles it, with only tensors allowed.

    cache : str, path, ActivationCache or None, default=None
        A folder that stores the activations of every text, for all layers, so that the model reads
        each text only once for all folds, layers, aggregations and processes. What a read-only
        folder lacks is computed without being stored, with a warning. `ActivationCache` has
        options for what is stored, such as pooled rows in place of all subwords. A `TorchModel`
        needs a ``fingerprint`` to be cached.

    fingerprint : str or None, default=None
        Your own name for what a loaded model computes, by which the cache finds its activations.
        None derives it from the model as it is now: its weights, buffers, settings, the types and
        attributes of its modules, and their code. That reads all weights at every call, at several
        gigabytes per second. Change the name whenever the model changes; under an old name, the
        cache returns old activations. A model given by name does not take this parameter: it is
        identified by its files. A cache of such a model does not notice if the classes of
        transformers are patched in this process; if they are, pass a loaded model. No cache notices
        changes of what the code of a model reads from outside, such as environment variables,
        context variables and random generators.

    n_jobs : int or None, default=None
        The number of processes that compute the texts missing from the cache. Ignored without a
        cache and for a model that is already loaded. None means 1, unless in a
        `joblib.parallel_config` context, such as one that names a cluster; -1 means all
        processors. With several GPUs, each process takes one of them.

    verbose : int, default=0
        1 shows a progress bar while the model runs.

    See Also
    --------
    SubwordAggregator : Pools the activations into a matrix.
    TorchModel : Wraps models that transformers does not know.
    sklearn_neurox.words.words_frame : Builds the rows.

    Notes
    -----
    `transform` works without `fit`, which learns only whether the rows are words. Batches are
    planned from the set of distinct texts, so the same set gives bit-identical activations
    regardless of the order and number of its rows. With a different set, a text may end up in a
    different batch, which changes only the last bits: for the demo model, neither this nor a
    different number of threads changes any value by more than 1e-6 of the layer's largest value.
    In bfloat16, the change is up to 2e-2 (0.11 for a decoder of 30 layers); in float16, up to
    4e-3.

    Columns are ordered by stack, encoder first; within a stack come the embedding, then layer by
    layer the other components in the order given, then the modules.

    Use ``cache`` rather than ``Pipeline(memory=...)``, which keeps results per split of the data.
    ``memory`` works with a model given by name, also when its files change; with a loaded model it
    is an error, because it stores pickles, which leave the model out.

    When the decoder reads a text that the encoder has also read, its states may carry information
    about later words, through cross-attention. Give the decoder a text of its own with the column
    ``target``.

    Attention weights need the model to compute its attention step by step ("eager"), which it is
    asked to while they are read, and no longer; other threads that read the same model meanwhile
    get the same states but for the last bits. They are reduced layer by layer: in memory are the
    weights of one layer of one batch (and what the model itself needs to compute them), which are
    ``n_heads * n_tokens * longest_text`` numbers for a batch of ``n_tokens``, and at most 32 MB
    beside. Some older architectures, such as DeBERTa, keep all layers until the batch is done. A
    cache does not hold them. The spans of a pair in a long text are read in the window that gives
    both together the most context; if no window has both, the row is treated as ``missing``.

    References
    ----------
    .. [1] K. Clark, U. Khandelwal, O. Levy and C. D. Manning, "What Does BERT Look At? An Analysis
       of BERT's Attention", BlackboxNLP 2019, section 4.1.

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
        "add_special_tokens": [StrOptions({"auto"}), "boolean"],
        "prefix": [str, None],
        "special_tokens": ["boolean"],
        "split_special_tokens": ["boolean"],
        "missing": [StrOptions({"zero", "nan", "error"})],
        "overflow": [StrOptions({"window", "error"})],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "max_batch_tokens": [Interval(Integral, 1, None, closed="left")],
        "device": [str, None],
        "dtype": [StrOptions({"auto", "float32", "bfloat16", "float16"})],
        "device_map": [str, Integral, dict, None],
        "trust_remote_code": ["boolean"],
        "allow_bin_weights": ["boolean"],
        "cache": [str, os.PathLike, ActivationCache, None],
        "fingerprint": [str, None],
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
        add_special_tokens: bool | str = "auto",
        prefix: str | None = None,
        special_tokens: bool = False,
        split_special_tokens: bool = False,
        missing: str = "zero",
        overflow: str = "window",
        max_length: int | None = None,
        max_batch_tokens: int = 2048,
        device: str | None = None,
        dtype: str = "float32",
        device_map: str | int | dict | None = None,
        trust_remote_code: bool = False,
        allow_bin_weights: bool = False,
        cache: str | os.PathLike | ActivationCache | None = None,
        fingerprint: str | None = None,
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
        self.add_special_tokens = add_special_tokens
        self.prefix = prefix
        self.special_tokens = special_tokens
        self.split_special_tokens = split_special_tokens
        self.missing = missing
        self.overflow = overflow
        self.max_length = max_length
        self.max_batch_tokens = max_batch_tokens
        self.device = device
        self.dtype = dtype
        self.device_map = device_map
        self.trust_remote_code = trust_remote_code
        self.allow_bin_weights = allow_bin_weights
        self.cache = cache
        self.fingerprint = fingerprint
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
            Ignored, except for two warnings: if its index has the labels of X in another order,
            and if equal whole texts have different labels.

        Returns
        -------
        self : object
        """
        check_row_order(X=X, y=y)
        rows, *_ = self._read(X)
        self._check_fitted_rows(rows, X, y)
        self._blocks(self._request())
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: pd.DataFrame | ArrayLike, y: None = None) -> Activations:
        """Check and transform the rows, which are read only once.

        Parameters
        ----------
        X : DataFrame, or array-like of str, of shape (n_samples,)
            See `transform`.

        y : None
            Ignored, except for the warnings of `fit`.

        Returns
        -------
        activations : Activations of shape (n_samples,)
            See `transform`.
        """
        check_row_order(X=X, y=y)
        return self._plan(X, lambda rows: self._check_fitted_rows(rows, X, y))

    def transform(self, X: pd.DataFrame | ArrayLike) -> Activations:
        """Tokenize the texts and find the subwords of every row.

        Parameters
        ----------
        X : DataFrame, or array-like of str, of shape (n_samples,)
            A frame of words with the columns ``text``, ``start`` and ``end``; a frame of pairs,
            which also has ``other_start`` and ``other_end``, as `~sklearn_neurox.words.pair_frame`
            makes it; a frame of whole texts with the column ``text``; or a list of texts. A frame
            may also be a table of another library, see `sklearn_neurox.words.words_frame`.

            Optional columns: ``word`` must equal the characters from ``start`` to ``end``;
            ``token_index`` names the token that the row is, by its number in the text (from 0,
            without the special tokens that the tokenizer adds), as in `token_frame`: it tells
            apart tokens that share their characters, and the row must have exactly these;
            ``text_pair`` is a second text that the model reads together with the first. With
            ``stack="decoder"``, ``target`` is the text that the decoder reads while the encoder
            reads ``text``; each row is then the part of the target from ``target_start`` to
            ``target_end``, or all of it without these columns. Of a pair, the other span has the
            same columns, with the prefix ``other_`` (``other_word``, ``other_target_start``). Other
            columns are ignored.

        Returns
        -------
        activations : Activations of shape (n_samples,)
            Not computed yet.

        Raises
        ------
        ValueError
            If rows are malformed, if a text is too long under ``overflow="error"``, if the
            tokenizer drops a word under ``missing="error"``, if the model cannot be loaded, or if
            its config does not state how many layers it has. Pooling the activations raises one if
            they are NaN or infinite, or if the tokenizer or a file of the model has changed since
            `transform`.

        Warns
        -----
        UserWarning
            If rows are read as whole texts although they look like words without their sentences
            (nearly all are single words), or although the extractor was fitted on words.
        """
        return self._plan(X, lambda rows: self._check_new_rows(rows, X))

    def _check_fitted_rows(self, rows, X, y):
        self._fitted_on_words = not rows.whole
        report_lost_context(rows, X, y)

    def _check_new_rows(self, rows, X):
        if rows.whole and getattr(self, "_fitted_on_words", False):
            report_texts_for_words(rows)
        else:
            report_single_words(rows, X)

    def _plan(self, X, check_rows=None):
        """Return the activations of `transform`, after a further check of the rows."""
        self._validate_params()
        rows, others, contexts = self._read(X)
        if check_rows is not None:
            check_rows(rows)
        return plan_activations(self._request(), rows, others, contexts)

    def fill_cache(
        self, X: pd.DataFrame | ArrayLike | Iterable[str], *, dry_run: bool = False
    ) -> int | pd.Series:
        """Compute the activations of all texts that the cache lacks, and store them.

        With ``n_jobs``, several processes or the workers of a cluster share the texts, and each
        writes to the folder.

        Parameters
        ----------
        X : DataFrame, array-like of str of shape (n_samples,), or iterable of str
            See `transform`. An iterable without a length, such as a generator that reads a file,
            is processed in portions, so that a corpus need not fit into memory.

        dry_run : bool, default=False
            Whether to only count what would be read and stored. The texts are tokenized, but the
            model does not run, nor is it loaded (except to measure modules, which have no width
            before they run).

        Returns
        -------
        n_texts : int
            The number of texts that the model read.

        size : Series of int
            Instead, with ``dry_run``: the number of ``texts`` and of ``tokens`` that the model
            would read, special tokens included, and of ``bytes`` that their activations would take
            on the disk. The files need about 10 bytes per token more.

        Raises
        ------
        ValueError
            If no cache is set, or for the reasons listed in `transform`.

        OSError
            If the cache cannot be written, or if the disk has no room for the activations.

        RuntimeError
            If the model changes meanwhile; what it read before is stored.
        """
        self._validate_params()
        if self.cache is None:
            raise ValueError("ActivationExtractor.fill_cache needs a folder: set it with cache=.")
        if self._component() in WEIGHT_PARTS:
            raise ValueError(
                f"A cache holds no component={self._component()!r}: it would take the square "
                "of the number of tokens of each text. Keep the matrix that SubwordAggregator "
                "returns."
            )
        portions = [X]
        if isinstance(X, Iterable) and not isinstance(X, Sized):
            # A filled cache knows the texts of the portions before; a dry run does not fill it.
            portions = portions_of(unrepeated(X) if dry_run else X, _PORTION)
        if not dry_run:
            return sum(self._plan(portion)._source_of().fill() for portion in portions)
        sizes = [self._plan(portion)._source_of().measure() for portion in portions]
        total = np.array(sizes, dtype=np.int64).reshape(-1, 3).sum(axis=0)
        return pd.Series(total, index=["texts", "tokens", "bytes"])

    def get_feature_names_out(self, input_features: None = None) -> np.ndarray:
        """Return the names of the neurons, in the order of the matrix's columns.

        Parameters
        ----------
        input_features : None
            Ignored: the columns of the input are not neurons.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_neurons,)
        """
        request = self._request()
        blocks = self._blocks(request)
        return join_neuron_names(blocks, widths_of(request.spec, blocks))

    def _blocks(self, request):
        """Return the requested blocks, as the cache knows them or else the model."""
        known = None if request.store is None else CachedTexts(request, []).known_blocks()
        return request.blocks[1] if known is None else known

    def _read(self, X):
        """Return the rows, the other spans if another text has them, and the encoder's texts."""
        if self._component() == CROSS:
            return read_cross_pairs(X, type(self).__name__)
        name = type(self).__name__
        rows, contexts = read_rows_and_targets(X, stack=self.stack, caller=name, takes_pairs=True)
        return rows, None, contexts

    def _component(self):
        """Return the only component, None if there are several."""
        asked = check_components(self.component)
        return asked[0] if len(asked) == 1 else None

    def _request(self):
        """Freeze the parameters, so that lower layers never see the extractor itself."""
        store = None if self._component() in WEIGHT_PARTS else store_of(self.cache)
        return ExtractionRequest(
            spec=self._spec(),
            component=check_components(self.component),
            stack=self.stack,
            layers=self.layers,
            add_special_tokens=(
                "auto" if self.add_special_tokens == "auto" else bool(self.add_special_tokens)
            ),
            prefix=None if self.prefix is None else str(self.prefix),
            special_tokens=bool(self.special_tokens),
            split_special_tokens=bool(self.split_special_tokens),
            missing=self.missing,
            overflow=self.overflow,
            max_length=None if self.max_length is None else int(self.max_length),
            max_batch_tokens=self.max_batch_tokens,
            n_jobs=self.n_jobs,
            verbose=int(self.verbose),
            store=store,
        )
