# SPDX-License-Identifier: BSD-3-Clause
"""Find what a chat template writes for the content of each message.

The template is a program that may do anything with a content. So nothing is searched for in the
rendered text: marks are put into the contents, and the template is run again. A mark is believed
only if the text without all marks is the text as rendered before.
"""

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from sklearn_neurox.utils._files._foreign_files import reason_of
from sklearn_neurox.utils._torch import is_out_of_memory

# Digits, which no filter of a template trims, escapes or puts in another case. The first one occurs
# nowhere else among them, so that no mark can overlap another or the content around it.
_MARK = "7135902468"
_WIDTH = 6


class NotFoundError(ValueError):
    """The characters of a message cannot be found in its rendered chat: (turn, reason)."""


class Found(NamedTuple):
    """The characters of a rendered chat that are the content of a message."""

    start: int
    end: int
    is_part: bool = False  # the template leaves out the beginning of the content


def as_plain(value):
    """Turn the arrays and Arrow values that columns of Parquet files hold into lists and dicts.

    A template can neither test whether an array is empty nor write it as JSON.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {key: as_plain(each) for key, each in value.items()}
    if callable(getattr(value, "as_py", None)):  # a value of Arrow
        return value.as_py()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return [as_plain(each) for each in value] if isinstance(value, list | tuple) else value


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
    plain = [turn for turn in filled if contents[turn] == contents[turn].strip()]
    # Where all at once does not work, some template trims, or does something else with one of them.
    found = _find_all(marker, filled, contents)
    if found is None:
        found = _find_all(marker, plain, contents) or {}
        for turn in filled:
            if turn not in found:
                found[turn] = _find_one(marker, turn, contents[turn])
    for turn, content in contents.items():
        if content and turn not in found and (places := marker.locate_ends(turn, 0, len(content))):
            found[turn] = Found(*places)  # white space, which the template keeps
    return found


def _find_all(marker, turns, contents):
    """Find several contents at once, if the template writes each as it stands."""
    marks = [(turn, place) for turn in turns for place in (0, len(contents[turn]))]
    places = marker.locate(marks)
    if places is None:
        return None
    pairs = zip(places[::2], places[1::2], strict=True)
    found = {turn: Found(*pair) for turn, pair in zip(turns, pairs, strict=True)}
    same = all(marker.text[f.start : f.end] == contents[turn] for turn, f in found.items())
    return found if same else None


def _find_one(marker, turn, content):
    n_lead, n_bare = len(content) - len(content.lstrip()), len(content.rstrip())
    # From the outside: a mark within white space that the template trims would keep some of it.
    start = marker.first_place(turn, range(n_lead + 1))
    end = marker.first_place(turn, range(len(content), n_bare - 1, -1))
    if end is not None:
        if start is not None and (places := marker.locate_ends(turn, start, end)):
            return Found(*places)
        if found := _suffix(marker, turn, content, end, *marker.locate([(turn, end)])):
            return found
    raise NotFoundError(turn, marker.why_not(turn, n_bare))


def _suffix(marker, turn, content, end, stop):
    """Find the part of a content that a template writes last, after what it leaves out."""
    first = end
    while first and content[first - 1] == marker.text[stop - end + first - 1 : stop - end + first]:
        first -= 1
    for start in range(first, end):
        places = marker.locate_ends(turn, start, end)
        if places and marker.text[slice(*places)] == content[start:end]:
            return Found(*places, is_part=True)
    return None


class _Marker:
    """Renders a chat with marks in its contents, and finds them in the text."""

    def __init__(self, render, chat, text):
        self.render, self.chat, self.text, self.error = render, chat, text, None
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

    def locate_ends(self, turn, start, end):
        """Locate the two ends of a part of one content."""
        return self.locate([(turn, start), (turn, end)])

    def first_place(self, turn, places):
        """Return the first of some places in a content where a mark can be located."""
        return next((place for place in places if self.locate([(turn, place)])), None)

    def why_not(self, turn, place):
        """Return why a mark in a content cannot be located."""
        rendered = self._render([(turn, place)])
        if rendered is None:
            return f"refuses a content with a mark in it ({reason_of(self.error)})"
        n_times = len(self.pattern.findall(rendered))
        if n_times > 1:
            return f"writes the content {n_times} times"
        if n_times == 0:
            return "leaves out the content or its end, or rewrites it"
        return "writes other things, too, for another content"

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
        except Exception as error:  # whatever the template raises because of the marks
            if is_out_of_memory(error):
                raise
            self.error = error  # `why_not` quotes it
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
