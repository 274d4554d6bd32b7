# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from sklearn_neurox.utils._tqdm import tqdm_class

if TYPE_CHECKING:
    import torch

_CONSTRAINTS: dict = {
    "module": [callable],
    "encode": [callable],
    "forward": [callable, None],
    "supports_padding": ["boolean"],
    "pad_token_id": [Interval(Integral, 0, None, closed="left")],
    "max_length": [Interval(Integral, 1, None, closed="left"), None],
}


class TorchModel:
    """A torch module that is not a transformers model, wrapped for `ActivationExtractor`.

    Two functions replace what transformers would know: how a text is split into tokens, each with
    the characters it covers, and how the module is called. The extractor reads the outputs of
    modules, selected by path: ``component="module:<glob>"``.

    Parameters
    ----------
    module : torch.nn.Module
        The model. It is shared, not copied, stays on its device, and runs in evaluation mode.

    encode : callable
        Called with one text; returns the token ids (list of int) and their character spans (list of
        (start, end)), of equal length. A token that covers no characters, such as a start token,
        has the span ``(0, 0)``.

    forward : callable or None, default=None
        Called with the module, the token ids and the mask (tensors of shape (n_texts, n_tokens),
        the mask being 1 for tokens and 0 for the padding after them); its return value is ignored.
        None calls ``module(token_ids)``.

    supports_padding : bool, default=False
        Whether texts may be padded to a common length, so that they run together. True is right
        only if the padding after a text does not change its states, which is not checked: if
        ``forward`` gives the mask to the module, or if the module reads each token by itself or
        from left to right. If False, only texts of equal length run together.

    pad_token_id : int, default=0
        The token to pad with.

    max_length : int or None, default=None
        The maximum number of tokens that the module reads at once; None means no limit.

    fingerprint : str or None, default=None
        Your own name for what `encode` and `forward` do, such as a version or a digest of the
        vocabulary. An `ActivationCache` needs it, because it digests the parameters of the module
        but cannot inspect functions. Change it whenever they change; under an old name, the cache
        returns old activations. None keeps the model out of caches.

    See Also
    --------
    ActivationExtractor : Accepts it as ``model``.

    Notes
    -----
    The modules that are read must return a tensor with one state per token, of shape (n_texts,
    n_tokens, n_units), or a tuple that starts with one.

    Examples
    --------
    >>> import torch
    >>> from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator, TorchModel
    >>> module = torch.nn.Sequential(torch.nn.Embedding(128, 4), torch.nn.Linear(4, 3))
    >>> def encode(text):  # one token per character
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
        given = {name: value for name, value in locals().items() if name in _CONSTRAINTS}
        validate_parameter_constraints(_CONSTRAINTS, given, caller_name="TorchModel")
        if not (fingerprint is None or (isinstance(fingerprint, str) and fingerprint)):
            raise ValueError(
                "The 'fingerprint' parameter of TorchModel must be a non-empty str or None, got "
                f"{fingerprint!r}."
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

    # The attributes of configs and tokenizers that extraction uses.

    cls_token_id = None

    @property
    def model_max_length(self) -> float:
        """The maximum number of tokens read at once; infinity if there is no limit."""
        return float("inf") if self.max_length is None else self.max_length

    @property
    def config(self):
        """A config that states only that the model is not an encoder-decoder."""
        tqdm_class()
        from transformers import PreTrainedConfig

        return PreTrainedConfig(is_encoder_decoder=False)

    def encode_checked(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Encode one text and check the result.

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
            If there is not one span per token, a span lies outside the text, or an id or a span
            is not a whole number.
        """
        encoded = self.encode(text)
        if not isinstance(encoded, tuple | list) or len(encoded) != 2:
            raise ValueError(
                f"The 'encode' of {self} returned {encoded!r:.60} for the text {text[:60]!r}. It "
                "must return a tuple of the token ids and their spans."
            )
        ids = self._whole_numbers(encoded[0], text, "token ids")
        spans = self._whole_numbers(encoded[1], text, "spans")
        spans = spans.reshape(0, 2) if spans.size == 0 else spans
        if spans.ndim != 2 or spans.shape[1] != 2:
            raise ValueError(
                f"The 'encode' of {self} returned spans of shape {spans.shape} for the text "
                f"{text[:60]!r}. It must return a start and an end per token."
            )
        if ids.shape != (len(spans),):
            raise ValueError(
                f"The 'encode' of {self} returned token ids of shape {ids.shape} and {len(spans)} "
                f"spans for the text {text[:60]!r}. It must return one span per token."
            )
        if ((spans < 0) | (spans > len(text))).any() or (spans[:, 0] > spans[:, 1]).any():
            raise ValueError(
                f"The 'encode' of {self} returned spans outside the text {text[:60]!r}, which has "
                f"{len(text)} characters."
            )
        return ids, spans

    def _whole_numbers(self, values, text, what):
        """Return ids or spans as integers; other numbers would lose their fractions."""
        try:
            numbers = np.asarray(values, dtype=np.float64)
            if np.array_equal(numbers, np.floor(numbers)) and np.isfinite(numbers).all():
                return np.asarray(values).astype(np.int64)
        except (TypeError, ValueError):
            pass
        raise ValueError(
            f"The 'encode' of {self} returned the {what} {values!r:.60} for the text "
            f"{text[:60]!r}. They must be whole numbers."
        )
