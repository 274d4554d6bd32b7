# SPDX-License-Identifier: BSD-3-Clause
"""The tables of a shard: which texts it holds, and the characters of their tokens."""

import hashlib
from dataclasses import dataclass

import numpy as np

from sklearn_neurox.extraction._cache._shard import entry_keys
from sklearn_neurox.extraction._cache._shard_header import KEY_BYTES
from sklearn_neurox.extraction._text._tokenization import Encodings
from sklearn_neurox.utils._ragged import pointers, ranges

_TOKEN_TABLES = ("role", "start", "end", "flags")
_STORED_AS_THEY_ARE = ("key", "request", "window", "n_windows", "limit", "start", "end", "flags")
_SPECIAL_WORD, _SPACE, _CLS = 1, 2, 4


@dataclass(frozen=True)
class Entries:
    """One entry per model input: a text, or one window of a long text.

    The first window of a text holds the tokens of the whole text.
    """

    key: np.ndarray  # (n, KEY_BYTES), the digest of the text
    request: np.ndarray  # (n, KEY_BYTES), the digest of the plan in which it was computed
    window: np.ndarray
    n_windows: np.ndarray
    limit: np.ndarray  # the most tokens per window; 0 for a text that is in one piece
    length: np.ndarray  # tokens of the input, and rows of its states
    n_tokens: np.ndarray  # tokens of the text; 0 except for the first window
    role: np.ndarray
    start: np.ndarray
    end: np.ndarray
    flags: np.ndarray

    def __len__(self):
        return len(self.key)

    def tables(self):
        """Return the tables of a shard, by name."""
        return {
            "key": self.key,
            "request": self.request,
            "window": self.window.astype(np.int32),
            "n_windows": self.n_windows.astype(np.int32),
            "limit": self.limit.astype(np.int32),
            "ptr": pointers(self.length),
            "token_ptr": pointers(self.n_tokens),
            "role": (self.role + 1).astype(np.uint8),
            "start": self.start.astype(np.int32),
            "end": self.end.astype(np.int32),
            "flags": self.flags,
        }

    def keys(self):
        """Return the key of each entry, by which the index finds it."""
        return entry_keys(self.key, self.window, self.limit)

    def take(self, which):
        """Return the given entries, in the order given."""
        tokens, _ = ranges(pointers(self.n_tokens)[:-1][which], self.n_tokens[which])
        kept = {}
        for name, values in self.__dict__.items():
            kept[name] = values[tokens if name in _TOKEN_TABLES else which]
        return Entries(**kept)

    @staticmethod
    def empty():
        """Return no entries, to which others can be joined."""
        nothing = np.empty(0, dtype=np.int64)
        keys = np.empty((0, KEY_BYTES), dtype=np.uint8)
        fields = dict.fromkeys(Entries.__dataclass_fields__, nothing)
        return Entries(**fields | {"key": keys, "request": keys, "flags": keys[:, 0]})

    @staticmethod
    def join(parts):
        """Concatenate entries."""
        names = Entries.__dataclass_fields__
        return Entries(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})

    @classmethod
    def of_shard(cls, shard):
        """Read the entries of a shard."""
        tables = shard.tables
        return cls(
            **{name: tables[name] for name in _STORED_AS_THEY_ARE},
            length=np.diff(tables["ptr"]),
            n_tokens=np.diff(tables["token_ptr"]),
            role=tables["role"].astype(np.int64) - 1,
        )

    @classmethod
    def of_encodings(cls, encodings, keys, first_sequence, lengths, limit):
        """Make the entries of tokenized texts.

        Parameters
        ----------
        encodings : Encodings
            The tokens of all texts.

        keys : ndarray of shape (n_texts, KEY_BYTES)

        first_sequence : ndarray of shape (n_texts,)
            The first model input of each text.

        lengths : ndarray of shape (n_sequences,)
            The number of tokens per input.

        limit : int
            The most tokens per input; longer texts have several inputs.
        """
        n_windows = np.diff(np.append(first_sequence, len(lengths)))
        text = np.repeat(np.arange(len(keys)), n_windows)
        n_tokens = np.zeros(len(lengths), dtype=np.int64)
        n_tokens[first_sequence] = np.diff(encodings.ptr)
        flags = (
            _SPECIAL_WORD * encodings.is_special_word
            + _SPACE * encodings.has_space
            + _CLS * encodings.is_cls
        )
        return cls(
            key=keys[text],
            request=np.zeros((len(text), KEY_BYTES), dtype=np.uint8),
            window=np.arange(len(text)) - first_sequence[text],
            n_windows=n_windows[text],
            limit=np.where(n_windows > 1, limit, 0)[text],
            length=lengths,
            n_tokens=n_tokens,
            role=encodings.role,
            start=encodings.start,
            end=encodings.end,
            flags=flags.astype(np.uint8),
        )

    def to_encodings(self):
        """Restore what `encode` returned, except for the ids and token types."""
        return Encodings(
            ids=np.zeros(len(self.role), dtype=np.int64),
            types=None,
            role=self.role.astype(np.int64),
            start=self.start.astype(np.int64),
            end=self.end.astype(np.int64),
            ptr=pointers(self.n_tokens[self.window == 0]),
            is_special_word=(self.flags & _SPECIAL_WORD) > 0,
            has_space=(self.flags & _SPACE) > 0,
            is_cls=(self.flags & _CLS) > 0,
        )


def text_keys(texts, pairs=None, contexts=None):
    """Digest texts, each with its pair and context: uint8 of shape (n_texts, KEY_BYTES)."""
    raw = bytearray()
    for i, text in enumerate(texts):
        first = text.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(f"{len(first)}:".encode() + first, digest_size=KEY_BYTES)
        for mark, others in ((b"|", pairs), (b"<", contexts)):
            if others is not None:
                digest.update(mark + others[i].encode("utf-8", "surrogatepass"))
        raw += digest.digest()
    return np.frombuffer(bytes(raw), dtype=np.uint8).reshape(len(texts), KEY_BYTES)
