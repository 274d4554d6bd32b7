# SPDX-License-Identifier: BSD-3-Clause
"""The CoNLL-U format, line by line (https://universaldependencies.org/format.html)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import NamedTuple

FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

NO_HEAD = -1

_SENT_ID = re.compile(r"#\s*sent_id\s*=\s*(\S.*?)\s*$")
_RANGE = re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)")
_EMPTY_NODE = re.compile(r"(0|[1-9][0-9]*)\.([1-9][0-9]*)")
# How UDPipe writes white space in MISC (https://ufal.mff.cuni.cz/udpipe/1/users-manual).
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.?)", re.S)
_ESCAPES = {"s": " ", "t": "\t", "r": "\r", "n": "\n", "p": "|", "\\": "\\"}


class SurfaceToken(NamedTuple):
    """A token as written in the text."""

    before: str  # what precedes it, besides what follows the token before
    form: str
    after: str
    # The part of the form that belongs to each word. The words of a multi-word token divide it if
    # they spell it out exactly ("do" and "n't" in "don't"); otherwise each gets the whole form.
    pieces: list[tuple[int, int]]


@dataclass
class ConlluSentence:
    """A sentence built line by line; lines that the format does not allow raise an error."""

    source: str
    line: int
    sent_id: str | None = None
    words: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    # Multi-word tokens: first and last word (from 1), fields, line.
    tokens: list[tuple[int, int, list[str], int]] = field(default_factory=list)
    last_empty_node: tuple[int, int] = (0, 0)

    def error(self, message: str, line: int | None = None) -> ValueError:
        """Return an error that names the file and the line, by default the sentence's first."""
        return ValueError(f"{self.source}:{line or self.line}: {message}")

    def add_comment(self, text: str, line: int) -> None:
        """Add a comment line, of which only the sentence id is kept."""
        if self.words or self.tokens or self.last_empty_node != (0, 0):
            raise self.error(
                "a comment inside a sentence. Comments belong before the first word, and a blank "
                "line ends a sentence",
                line,
            )
        found = _SENT_ID.match(text)
        if not found:
            return
        if self.sent_id is not None:
            raise self.error(f"a second sent_id, after {self.sent_id!r}", line)
        self.sent_id = found[1]

    def add_line(self, text: str, line: int) -> None:
        """Add the line of a word, a multi-word token or an empty node."""
        fields = text.split("\t")
        if len(fields) != len(FIELDS):
            what = f"{len(fields)} tab-separated columns instead of {len(FIELDS)}: {text[:60]!r}"
            if line == 1:  # as in a CSV file or plain text
                what += (
                    ". This is not a CoNLL-U file. For a table with one row per word, use "
                    "words_frame(pd.read_csv(file))"
                )
            raise self.error(what, line)
        if "" in fields:
            raise self.error(
                f"the column {FIELDS[fields.index('')].upper()} is empty. Write '_' for no value",
                line,
            )
        if fields[0] == str(len(self.words) + 1):
            self.words.append(fields)
            self.lines.append(line)
        else:
            self._add_other(fields, line)

    def _add_other(self, fields, line):
        node = fields[0]
        here = len(self.words)
        if found := _RANGE.fullmatch(node):
            first, last = int(found[1]), int(found[2])
            inside_another = self.tokens and self.tokens[-1][1] > here
            if first != here + 1 or last < first or inside_another:
                raise self.error(
                    f"the range {node} of a multi-word token must come right before its first "
                    f"word, end after it and overlap no other range. The next word is {here + 1}",
                    line,
                )
            self.tokens.append((first, last, fields, line))
        elif found := _EMPTY_NODE.fullmatch(node):
            place = int(found[1]), int(found[2])
            minor = self.last_empty_node[1] + 1 if self.last_empty_node[0] == here else 1
            if place != (here, minor):
                raise self.error(f"empty node {node} where {here}.{minor} was expected", line)
            self.last_empty_node = place
        elif node.isascii() and node.isdigit():
            raise self.error(f"word {node} where word {here + 1} was expected", line)
        else:
            raise self.error(
                f"{node!r} is not an ID. Valid IDs are like 3 for a word, 3-4 for a multi-word "
                "token and 3.1 for an empty node",
                line,
            )

    def close(self) -> None:
        """Check the sentence as a whole, once it has ended."""
        if not self.words:
            raise self.error("a sentence without words")
        if self.tokens and self.tokens[-1][1] > len(self.words):
            _, last, fields, line = self.tokens[-1]
            raise self.error(
                f"the range {fields[0]} of a multi-word token ends at word {last}, but the "
                f"sentence has {len(self.words)}",
                line,
            )

    def heads(self) -> list[int]:
        """Return the head of each word: its number, 0 for the root, or `NO_HEAD`."""
        heads = []
        for row, line in zip(self.words, self.lines, strict=True):
            text = row[6]
            is_number = text.isascii() and text.isdigit()
            if not is_number and text != "_":
                raise self.error(f"the HEAD {text!r} is not a number or '_'", line)
            head = int(text) if is_number else NO_HEAD
            if head > len(self.words):
                raise self.error(
                    f"the HEAD {text} is not a word of this sentence, which has {len(self.words)}",
                    line,
                )
            heads.append(head)
        return heads

    def surface(self) -> Iterator[SurfaceToken]:
        """Yield the tokens of the natural text."""
        ranges = {first: (last, fields, line) for first, last, fields, line in self.tokens}
        position = 1
        while position <= len(self.words):
            own = position, self.words[position - 1], self.lines[position - 1]
            last, token, line = ranges.get(position, own)
            before, after, form = self._spacing(token, line)
            parts = [word[1] for word in self.words[position - 1 : last]]
            yield SurfaceToken(before, form, after, _pieces(form, parts))
            position = last + 1

    def _spacing(self, token, line):
        """Return what precedes and follows a token, and its form with the spaces inside it."""
        if "Space" not in token[9]:
            return "", " ", token[1]
        found = dict(pair.split("=", 1) for pair in token[9].split("|") if "=" in pair)
        after = "" if found.get("SpaceAfter") == "No" else " "
        # "SpacesAfter=No" is a common slip for "SpaceAfter=No".
        if found.get("SpacesAfter", "No") != "No":
            after = self._unescaped(found["SpacesAfter"], line)
        elif "SpacesAfter" in found:
            after = ""
        form = self._unescaped(found.get("SpacesInToken", ""), line) or token[1]
        return self._unescaped(found.get("SpacesBefore", ""), line), after, form

    def _unescaped(self, value, line):
        def character(match):
            code = match[1]
            if len(code) == 5:
                return chr(int(code[1:], 16))
            if code not in _ESCAPES:
                raise self.error(
                    f"the escape {match[0]!r} in {value!r} is unknown. Write white space in MISC "
                    "as \\s, \\t, \\n or \\r, and '|' as \\p",
                    line,
                )
            return _ESCAPES[code]

        return _ESCAPE.sub(character, value)


def _pieces(form, parts):
    if len(parts) == 1 or "".join(parts) != form:
        return [(0, len(form))] * len(parts)
    ends = list(accumulate(map(len, parts)))
    return list(zip([0, *ends[:-1]], ends, strict=True))


def parse_conllu(lines: Iterable[str], source: str) -> Iterator[ConlluSentence]:
    """Parse the lines of a file into sentences; errors name ``source`` and the line."""
    current = None
    # A blank line ends a sentence, and the last one may lack it.
    for number, text in enumerate(chain(lines, [""]), start=1):
        if not text or text.isspace():
            if current is not None:
                current.close()
                yield current
            current = None
            continue
        if current is None:
            current = ConlluSentence(source, number)
        if text.startswith("#"):
            current.add_comment(text, number)
        else:
            current.add_line(text, number)


def parse_features(text: str) -> dict[str, str]:
    """Parse a FEATS field, such as ``Number=Sing|Tense=Past``."""
    features: dict[str, str] = {}
    if text == "_":
        return features
    for pair in text.split("|"):
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise ValueError(f"{pair!r} in FEATS is not of the form Name=Value")
        if name in features:
            raise ValueError(f"the feature {name!r} occurs twice in FEATS")
        features[name] = value
    return features
