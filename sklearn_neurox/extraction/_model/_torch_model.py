# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sklearn_neurox.utils._tqdm import tqdm_class

if TYPE_CHECKING:
    import torch


class TorchModel:
    """A torch module that transformers does not know, made readable for `ActivationExtractor`.

    Two functions make up for what transformers would know: how a text becomes tokens, each with
    the characters it stands for, and how the module is called. What is read is the output of
    modules, chosen by their paths: ``component="module:<glob>"``.

    Parameters
    ----------
    module : torch.nn.Module
        The model. It is shared, never copied, stays on its device, and runs in evaluation mode.

    encode : callable
        Called with one text; returns the token ids (list of int) and their character spans (list
        of (start, end)), of equal length. A token that stands for no characters, such as one that
        marks the beginning, has the span ``(0, 0)``.

    forward : callable or None, default=None
        Called with the module, the token ids and the mask (tensors of shape (n_texts, n_tokens),
        the latter 1 for tokens and 0 for padding behind them); what it returns is ignored. None
        calls ``module(token_ids)``.

    supports_padding : bool, default=False
        Whether texts may be padded to a common length: True needs a ``forward`` that keeps the
        padding from changing anything. Otherwise only texts of equal length run together.

    pad_token_id : int, default=0
        The token to pad with.

    max_length : int or None, default=None
        The most tokens the module reads at once, None where there is no limit.

    fingerprint : str or None, default=None
        A name of your own for what `encode` and `forward` do, which an `ActivationCache` needs:
        it digests the parameters of the module itself, but cannot look into functions. Give
        another whenever they change, such as a version or a digest of the vocabulary; with an old
        name, old activations come out of the cache. None keeps the model out of caches.

    See Also
    --------
    ActivationExtractor : Takes it as ``model``.

    Notes
    -----
    The watched modules must return a tensor with one state a token, (n_texts, n_tokens, n_units),
    or a tuple that begins with one.

    Examples
    --------
    >>> import torch
    >>> from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator, TorchModel
    >>> module = torch.nn.Sequential(torch.nn.Embedding(128, 4), torch.nn.Linear(4, 3))
    >>> def encode(text):  # a token a character
    ...     return [ord(c) % 128 for c in text], [(i, i + 1) for i in range(len(text))]
    >>> extractor = ActivationExtractor(TorchModel(module, encode), component="module:1")
    >>> H = SubwordAggregator("mean").fit_transform(extractor.transform(["a cat", "dogs"]))
    >>> H.shape
    (2, 3)
    """

    def __init__(
        self,
        module: "torch.nn.Module",
        encode: Callable[[str], tuple[Sequence[int], Sequence[tuple[int, int]]]],
        *,
        forward: Callable | None = None,
        supports_padding: bool = False,
        pad_token_id: int = 0,
        max_length: int | None = None,
        fingerprint: str | None = None,
    ):
        if not (fingerprint is None or (isinstance(fingerprint, str) and fingerprint)):
            raise ValueError(
                "The 'fingerprint' parameter of TorchModel must be a str that is not empty, or "
                f"None, got {fingerprint!r}."
            )
        self.module = module
        self.encode = encode
        self.forward = forward
        self.supports_padding = supports_padding
        self.pad_token_id = pad_token_id
        self.max_length = max_length
        self.fingerprint = fingerprint

    def __repr__(self):
        return f"TorchModel({type(self.module).__name__})"

    # What the extraction asks of a config and of a tokenizer.

    cls_token_id = None

    @property
    def model_max_length(self) -> float:
        """The most tokens read at once, infinity where there is no limit."""
        return float("inf") if self.max_length is None else self.max_length

    @property
    def config(self):
        """A config that says nothing but that the model is no encoder-decoder."""
        tqdm_class()
        from transformers import PreTrainedConfig

        return PreTrainedConfig(is_encoder_decoder=False)

    def encode_checked(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Encode one text and check what came.

        Parameters
        ----------
        text : str
            The text.

        Returns
        -------
        ids : ndarray of shape (n_tokens,)

        spans : ndarray of shape (n_tokens, 2)

        Raises
        ------
        ValueError
            If there is not one span a token, or a span lies outside the text.
        """
        ids, spans = self.encode(text)
        ids = np.asarray(ids, dtype=np.int64)
        spans = np.asarray(spans, dtype=np.int64).reshape(-1, 2)
        if ids.shape != (len(spans),):
            raise ValueError(
                f"The 'encode' of {self} returned token ids of shape {ids.shape} and {len(spans)} "
                f"spans for the text {text[:60]!r}; it must return a span for each token."
            )
        if ((spans < 0) | (spans > len(text))).any() or (spans[:, 0] > spans[:, 1]).any():
            raise ValueError(
                f"The 'encode' of {self} returned spans that do not lie in the text {text[:60]!r} "
                f"of {len(text)} characters."
            )
        return ids, spans
