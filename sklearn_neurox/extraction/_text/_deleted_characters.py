# SPDX-License-Identifier: BSD-3-Clause
"""Offsets of texts with characters that the normalizer deletes, read without these characters.

The library `tokenizers` loses a deletion in front of a text, and assigns a character that stands
before a deleted one to the deleted one if it was expanded (both with the normalizer of
SentencePiece models). The text without the deleted characters has the same tokens, and nothing in
it is deleted.
"""

import unicodedata

import numpy as np

from sklearn_neurox.extraction._text._roles import TEXT


class DeletedCharacters:
    """Finds the characters that the normalizer of a fast tokenizer deletes.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    """

    def __init__(self, tokenizer):
        self.normalizer = tokenizer.backend_tokenizer.normalizer
        self._is_deleted = {}
        self._around = self._normalize("qq")

    def in_texts(self, texts):
        """Return the deleted characters among those of the texts, as a set."""
        if self.normalizer is None:
            return set()
        found = set()
        for char in set().union(*texts):
            # Letters around it that compose with nothing, as some normalizers strip both ends.
            if char not in self._is_deleted:
                self._is_deleted[char] = self._normalize(f"q{char}q") == self._around
            if self._is_deleted[char]:
                found.add(char)
        return found

    def _normalize(self, text):
        try:
            return text if self.normalizer is None else self.normalizer.normalize_str(text)
        except UnicodeEncodeError:  # a surrogate, of which the tokenizer will complain
            return text


def correct_deletions(texts, parts, deleted, encode_texts):
    """Correct, in place, the spans of texts that contain deleted characters.

    Parameters
    ----------
    texts : list of str

    parts : dict of list
        The arrays of each text, by their names in `Encodings`.

    deleted : set of str
        The characters that the normalizer deletes.

    encode_texts : callable
        Returns what ``parts`` holds, for other texts.
    """
    marks = {char for char in deleted if unicodedata.category(char)[0] == "M"}
    pending = [i for i, text in enumerate(texts) if not deleted.isdisjoint(text)]
    # Some marks are deleted only where they do not compose with a letter.
    for removed in (deleted, deleted - marks):
        kept = [[k for k, char in enumerate(texts[i]) if char not in removed] for i in pending]
        if not removed or not pending:
            return
        clean = encode_texts(
            ["".join(texts[i][k] for k in own) for i, own in zip(pending, kept, strict=True)]
        )
        failed = []
        for n, (i, own) in enumerate(zip(pending, kept, strict=True)):
            if not _copy_spans(parts, i, clean, n, np.array(own, dtype=np.int64)):
                failed.append(i)
        pending = failed


def _copy_spans(parts, i, clean, n, kept):
    """Copy the spans of a clean text to its original; return whether the tokens are the same."""
    own = np.flatnonzero(np.asarray(parts["role"][i]) == TEXT)
    other = np.flatnonzero(np.asarray(clean["role"][n]) == TEXT)
    ids, clean_ids = np.asarray(parts["ids"][i]), np.asarray(clean["ids"][n])
    if not np.array_equal(ids[own], clean_ids[other]):
        return False
    start, end = clean["start"][n][other], clean["end"][n][other]
    filled = end > start
    # Tokens without characters keep their place between the others.
    edges = np.append(kept, kept[-1] + 1 if len(kept) else 0)
    parts["start"][i][own] = edges[start]
    parts["end"][i][own] = np.where(filled, edges[end - 1] + 1, edges[start])
    return True
