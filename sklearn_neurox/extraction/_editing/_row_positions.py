# SPDX-License-Identifier: BSD-3-Clause
"""Change a model only at the tokens of given rows, recognized by what the model reads."""

from dataclasses import replace

import numpy as np
import torch

from sklearn_neurox.extraction._editing._positions import Positions
from sklearn_neurox.extraction._text._alignment import align, own_tokens, shown_spans
from sklearn_neurox.extraction._text._checks import check_lengths
from sklearn_neurox.extraction._text._targets import read_rows_and_targets, tokenize_contexts
from sklearn_neurox.extraction._text._tokenized_texts import tokenize_texts
from sklearn_neurox.extraction._text._windows import make_sequences
from sklearn_neurox.utils._warn_user import warn_user


class TokensOfRows:
    """The tokens of rows, as one stack of a model reads them.

    Parameters
    ----------
    request : ExtractionRequest
        Determines how texts are read.

    X : DataFrame or array-like of str
        The rows, see `ActivationExtractor.transform`.

    stack : {"encoder", "decoder"} or None

    caller : str
        The public function, for messages.

    Attributes
    ----------
    rows : Rows

    ptr : ndarray of shape (n_rows + 1,)
        The tokens of row i are ``ptr[i]:ptr[i + 1]``; their numbers are the slots of positions.
    """

    def __init__(self, request, X, *, stack, caller):
        request = replace(request, stack=stack)
        rows, contexts = read_rows_and_targets(X, stack=stack, caller=caller)
        tokenized = tokenize_texts(request, rows.texts, rows.pairs, contexts)
        encodings = tokenized.encodings
        own = align(rows, encodings, special_tokens=False)
        lost = np.flatnonzero(own.counts == 0)
        if len(lost):
            raise ValueError(
                f"The model does not read {rows.name(int(lost[0]))} of the rows given to {caller} "
                f"({rows.spelled_by(int(lost[0]))!r}), because the tokenizer drops all its "
                f"characters ({len(lost)} such rows). Leave them out."
            )
        check_lengths(rows, encodings, tokenized.limit, overflow=request.overflow)
        self.stack, self.rows, self.ptr = stack, rows, own.ptr
        self._encodings, self._tokens = encodings, own.tokens
        # Read as the indices of their tokens, the inputs show which token is where.
        numbered = replace(encodings, ids=np.arange(len(encodings.ids)))
        self._inputs, _, self._first = make_sequences(
            numbered, own, tokenized.limit, causal=tokenized.causal
        )
        self._start = tokenized.start_id
        self._contexts = contexts
        if contexts is not None:
            self._contexts = tokenize_contexts(request, contexts, self._first, len(self._inputs))

    def inputs(self, numbers):
        """List the inputs of the model as keys, with the number of each token and of the text.

        Parameters
        ----------
        numbers : int or ndarray of int
            The slots of the tokens of the rows. A token of several rows has that of the first.

        Yields
        ------
        key : bytes
            The tokens.

        context : bytes or None
            The tokens that the encoder reads meanwhile, if the rows have targets.

        slots : ndarray of int64, of shape (n_tokens,)

        text : int
        """
        slots = np.full(len(self._encodings.ids), -1)
        slots[self._tokens[::-1]] = np.broadcast_to(numbers, self._tokens.shape)[::-1]
        ids = self._encodings.ids.astype(np.int64)
        for i, (low, high) in enumerate(zip(self._inputs.ptr, self._inputs.ptr[1:], strict=False)):
            tokens = self._inputs.ids[low:high]
            text = int(np.searchsorted(self._first, i, side="right") - 1)
            if self.stack != "decoder":
                yield as_key(ids[tokens]), None, slots[tokens], text
                continue
            context = None if self._contexts is None else as_key(self._contexts.take([i]).ids)
            start = ids[tokens[-1]] if self._start is None else self._start
            shifted, own = np.append(start, ids[tokens]), np.append(-1, slots[tokens])
            yield as_key(shifted), context, own, text
            # A decoder in training does not read the last token of its target.
            yield as_key(shifted[:-1]), context, own[:-1], text

    def numbers(self, *, caller):
        """Return a number for each token of the rows.

        Raises a ValueError if two rows share a token.
        """
        _, first, count = np.unique(self._tokens, return_index=True, return_counts=True)
        if (count > 1).any():
            token = self._tokens[first[count > 1][0]]
            places = np.flatnonzero(self._tokens == token)[:2]
            rows = np.searchsorted(self.ptr, places, side="right") - 1
            one, other = (self.rows.name(int(row)) for row in rows)
            raise ValueError(
                f"{one.capitalize()} and {other} of the positions given to {caller} share a "
                "token, which cannot become two states at once. Leave out one of them."
            )
        return np.arange(len(self._tokens))

    def distinct(self):
        """Return which of the distinct tokens of the rows each token is."""
        return np.unique(self._tokens, return_inverse=True)[1]

    def as_token_rows(self, X):
        """Return a frame with one row per token of the rows, for an extractor to read."""
        lengths = np.array([len(text) for text in self.rows.texts], dtype=np.int64)
        text = np.searchsorted(self._encodings.ptr, self._tokens, side="right") - 1
        start, end = shown_spans(self._encodings, self._tokens, lengths[text])
        own = own_tokens(self._encodings)
        first = np.searchsorted(own, self._encodings.ptr[text])
        row = np.repeat(np.arange(len(self.rows)), np.diff(self.ptr))
        columns = {"start": start, "end": end}
        columns["token_index"] = np.searchsorted(own, self._tokens) - first
        if "target" in X.columns and self.stack == "decoder":
            columns = {f"target_{name}": columns[name] for name in ("start", "end")} | {
                "token_index": columns["token_index"]
            }
        kept = [name for name in ("text", "text_pair", "target") if name in X.columns]
        return X[kept].iloc[row].reset_index(drop=True).assign(**columns)


def as_key(ids):
    """Return token ids as bytes, which can be looked up."""
    return np.asarray(ids, dtype=np.int64).tobytes()


class RowPositions(Positions):
    """The tokens of rows, wherever the model reads their texts.

    An input of the model is recognized by its tokens: it has to be a text of the rows, tokenized
    as the extractor does, without anything before or after it but padding. A target is recognized
    together with the text that the encoder reads.

    Parameters
    ----------
    tokens : list of TokensOfRows
        One for each stack that is changed.

    numbers : ndarray of int or None, default=None
        The slots of the tokens of the rows, for changes that differ between them; of one stack.
        None gives all the slot 0.

    caller : str
        The public function, for messages.

    unclear : tuple of (str, str) or None, default=None
        What is wrong with two inputs that have the same tokens, and what to do, for the message.

    Raises
    ------
    ValueError
        If two inputs have the same tokens, but rows have others of each, or other numbers there.
    """

    def __init__(self, tokens, *, numbers=None, caller, unclear=None):
        problem, remedy = unclear or (
            f"the positions given to {caller} are other tokens of each",
            "Pass the positions of one text at a time.",
        )
        self.caller = caller
        self._slots, self._text_of, self._unread = {}, {}, {}
        for of_stack in tokens:
            table = {}
            for key, context, slots, text in of_stack.inputs(0 if numbers is None else numbers):
                known = table.setdefault(key, {}).get(context)
                if known is not None and (known[0] != slots).any():
                    raise ValueError(
                        f"Two inputs of the model, texts or windows of one, have the same tokens, "
                        f"but {problem}, and no input tells which is which. One is "
                        f"{of_stack.rows.texts[text][:60]!r}. {remedy}"
                    )
                table[key][context] = slots, {*(known[1] if known else ()), text}
            self._slots[of_stack.stack] = table
            self._unread[of_stack.stack] = set(range(len(of_stack.rows.texts)))
        self._texts = {of_stack.stack: of_stack.rows.texts for of_stack in tokens}

    def slots(self, reading):
        """Return the numbers of the tokens that are rows'."""
        slots = torch.full(reading.shape, -1, device="cpu")
        width = reading.shape[1]
        if reading.generation is not None and reading.stack != "encoder":
            width = reading.generation.prompt_width(reading)
            if reading.past is None or reading.past >= width:
                return slots.to(reading.device)  # only generated tokens
        if reading.past or reading.ids is None:
            raise ValueError(
                f"{self.caller} recognizes the texts of its positions by their tokens, but the "
                "model is given "
                + ("the rest of a text after a cache" if reading.past else "embeddings")
                + ". Let it read whole texts, or use positions='all'."
            )
        ids = reading.ids[:, :width].cpu().numpy().astype(np.int64)
        is_own = reading.own_mask()[:, :width].cpu().numpy()
        table = self._slots[reading.stack]
        for text, (own, line) in enumerate(zip(is_own, ids, strict=True)):
            by_context = table.get(as_key(line[own]))
            if by_context is None and reading.mask is None:
                own = own & _before_padding(line, reading.padding_id)
                by_context = table.get(as_key(line[own]))
            if by_context is None:
                continue
            context = None if None in by_context else self._context(reading, text)
            found, texts = by_context.get(context, (None, ()))
            if found is not None:
                slots[text, np.flatnonzero(own)] = torch.from_numpy(found)
                self._unread[reading.stack].difference_update(texts)
        return slots.to(reading.device)

    def _context(self, reading, text):
        """Return the key of what the encoder reads for a text of the decoder."""
        encoded = reading.encoded
        if encoded is None or encoded.ids is None:
            raise ValueError(
                f"{self.caller} recognizes a target in its positions together with the text that "
                "the encoder reads, but the encoder was not given the tokens of that text in this "
                "pass. Pass the model both, or use positions='all'."
            )
        n_beams = reading.shape[0] // encoded.shape[0]
        own = encoded.own_mask()[text // n_beams]
        return as_key(encoded.ids[text // n_beams][own].cpu().numpy())

    def finish(self, *, has_run):
        """Raise an error if the model read none of the texts, and warn if it read only some."""
        for stack, unread in self._unread.items():
            texts = self._texts[stack]
            if not has_run or not unread:
                continue
            first = texts[min(unread)]
            if len(unread) < len(texts):
                warn_user(
                    f"The model read {len(texts) - len(unread)} of the {len(texts)} texts in the "
                    f"positions given to {self.caller}; the others, such as {first[:60]!r}, were "
                    "not changed."
                )
                continue
            raise ValueError(
                f"The model ran, but read none of the {len(texts)} texts in the positions given to "
                f"{self.caller}, such as {first[:60]!r}, so nothing was changed. An input is "
                "recognized if it has the same tokens as the extractor's, special tokens included: "
                "tokenize texts as the extractor does, or pass the extractor itself as the model."
            )


def _before_padding(ids, padding_id):
    """Return which tokens are not padding at the end.

    Models that make a decoder's input from ``labels`` pad it without a mask.
    """
    own = ids != padding_id
    return np.arange(len(ids)) <= np.flatnonzero(own).max(initial=0)
