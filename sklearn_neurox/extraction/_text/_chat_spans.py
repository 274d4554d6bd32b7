# SPDX-License-Identifier: BSD-3-Clause
"""Find what a chat template writes for the content of each message.

The template is a program that may do anything with a content. So nothing is searched for in the
rendered text: marks are put into the contents, and the template is run again. A mark is believed
only if the text without all marks is the text as rendered before.
"""

import re
from itertools import accumulate, product
from typing import NamedTuple

# Digits, which no filter of a template trims, escapes or puts in another case. The first one occurs
# nowhere else among them, so that no mark can overlap another or the content around it.
_MARK = "7135902468"
_WIDTH = 6


class NotFoundError(ValueError):
    """The characters of a message cannot be found in its rendered chat."""


class Found(NamedTuple):
    """The characters of a rendered chat that are the content of a message."""

    start: int
    end: int
    is_part: bool = False  # the template leaves out the beginning of the content


def content_of(message):
    """Return the text of a message, joined if there are several parts; "" if there is none.

    Raises a TypeError if the content is of another kind.
    """
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list | tuple) or not all(isinstance(p, dict) for p in content):
        raise TypeError(f"its 'content' is {type(content).__name__}, not str")
    return "".join([part["text"] for part in content if isinstance(part.get("text"), str)])


def find_contents(render, chat, text, turns):
    """Find the contents of messages in their rendered chat.

    Parameters
    ----------
    render : callable
        Returns a list of messages as the template writes it.

    chat : list of dict
        The messages.

    text : str
        The rendered chat.

    turns : list of int
        The messages to find.

    Returns
    -------
    found : dict of int to Found
        By turn, without messages for which the template writes nothing but white space.

    Raises
    ------
    NotFoundError
        If the template writes a content several times, not at all, or depending on what it says.
    """
    marker = _Marker(render, chat, text)
    contents = {turn: content_of(chat[turn]) for turn in turns}
    filled = [turn for turn in turns if contents[turn].strip()]
    for trimmed in (False, True):
        edges = [_edges(contents[turn])[trimmed] for turn in filled]
        marks = [(turn, place) for turn, pair in zip(filled, edges, strict=True) for place in pair]
        places = marker.locate(marks)
        if places is None:
            continue
        found = {
            turn: Found(*places[2 * n : 2 * n + 2])
            for n, turn in enumerate(filled)
            if text[slice(*places[2 * n : 2 * n + 2])] == contents[turn][slice(*edges[n])]
        }
        if len(found) == len(filled):
            break
    else:
        found = {turn: _find_one(marker, turn, contents[turn]) for turn in filled}
    for turn in turns:
        blank = contents[turn] and turn not in found
        if blank and (places := marker.locate([(turn, 0), (turn, len(contents[turn]))])):
            found[turn] = Found(*places)
    return found


def _edges(content):
    """Return where a content begins and ends, as it stands and without white space around it."""
    lead = len(content) - len(content.lstrip())
    return (0, len(content)), (lead, len(content.rstrip()))


def _find_one(marker, turn, content):
    whole, bare = _edges(content)
    ends = dict.fromkeys([whole[1], bare[1]])
    for start, end in dict.fromkeys([whole, bare, *product([whole[0], bare[0]], ends)]):
        if places := marker.locate([(turn, start), (turn, end)]):
            return Found(*places)
    for end in ends:
        places = marker.locate([(turn, end)])
        found = places and _suffix(marker, turn, content, end, places[0])
        if found:
            return found
    raise NotFoundError(marker.why_not(turn, bare[1]))


def _suffix(marker, turn, content, end, stop):
    """Find the part of a content that a template writes last, after what it leaves out."""
    first = end
    while first and content[first - 1] == marker.text[stop - end + first - 1 : stop - end + first]:
        first -= 1
    for start in range(first, end):
        places = marker.locate([(turn, start), (turn, end)])
        if places and marker.text[slice(*places)] == content[start:end]:
            return Found(*places, is_part=True)
    return None


class _Marker:
    """Renders a chat with marks in its contents, and finds them in the text."""

    def __init__(self, render, chat, text):
        self.render, self.chat, self.text = render, chat, text
        self.base = _MARK
        while self.base in text or any(self.base in str(message) for message in chat):
            self.base += "0"
        self.pattern = re.compile(f"{self.base}([0-9]{{{_WIDTH}}})")

    def locate(self, marks):
        """Return the places in the text of marks given as (turn, place in its content), in order.

        None if the template writes any of them not exactly once, or anything else differently.
        """
        rendered = self._render(marks)
        if rendered is None:
            return None
        pieces = self.pattern.split(rendered)
        numbers = [int(number) for number in pieces[1::2]]
        if sorted(numbers) != list(range(len(marks))) or "".join(pieces[::2]) != self.text:
            return None
        ends = accumulate(len(piece) for piece in pieces[::2])
        # A template may write messages in another order.
        return [place for _, place in sorted(zip(numbers, ends, strict=False))]

    def why_not(self, turn, place):
        """Return why a mark in a content cannot be located."""
        rendered = self._render([(turn, place)])
        if rendered is None:
            return "refuses other contents in its place"
        n_times = len(self.pattern.findall(rendered))
        if n_times > 1:
            return f"writes it {n_times} times"
        if n_times == 0:
            return "leaves it out, or its end"
        return "writes other things, too, depending on what it says"

    def _render(self, marks):
        chat = [dict(message) for message in self.chat]
        for number, (turn, place) in reversed(list(enumerate(marks))):
            mark = f"{self.base}{number:0{_WIDTH}}"
            is_end = place == len(content_of(self.chat[turn])) or (
                number > 0 and marks[number - 1][0] == turn
            )
            chat[turn]["content"] = _insert(chat[turn]["content"], place, mark, is_end=is_end)
        try:
            return self.render(chat)
        except Exception:  # whatever the template raises because of the marks
            return None


def _insert(content, place, mark, *, is_end):
    """Insert a mark into a content; at the edge of two parts, it belongs to the one that ends."""
    if isinstance(content, str):
        return content[:place] + mark + content[place:]
    parts, n_before = list(content), 0
    for n, part in enumerate(parts):
        text = part.get("text")
        if not isinstance(text, str) or not text:
            continue
        own = place - n_before
        if own < len(text) or (is_end and own == len(text)):
            parts[n] = {**part, "text": text[:own] + mark + text[own:]}
            return parts
        n_before += len(text)
    return parts
