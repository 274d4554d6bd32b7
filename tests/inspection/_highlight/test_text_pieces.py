# SPDX-License-Identifier: BSD-3-Clause
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_neurox.inspection._highlight._text_pieces import text_direction, text_pieces


def test_words_and_what_is_between():
    text = ' "Dogs" bark.\n'
    pieces = text_pieces(text, [8, 2], [12, 6], caller="highlight")
    assert pieces == [(' "', None), ("Dogs", 1), ('" ', None), ("bark", 0), (".\n", None)]


def test_span_that_comes_again_belongs_to_its_first_row():
    assert text_pieces("a b", [2, 0, 2], [3, 1, 3], caller="x") == [("a", 1), (" ", None), ("b", 0)]


def test_text_without_words_is_one_piece():
    assert text_pieces("a b", [], [], caller="x") == [("a b", None)]
    assert text_pieces("", [], [], caller="x") == []


@pytest.mark.slow
@given(st.text(), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6))
def test_pieces_give_the_text_back(text, spans):
    starts, ends = [s for s, _ in spans], [e for _, e in spans]
    try:
        pieces = text_pieces(text, starts, ends, caller="x")
    except ValueError:
        return
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)
    shown = {piece.row: piece.text for piece in pieces if piece.row is not None}
    assert all(word == text[starts[row] : ends[row]] for row, word in shown.items())
    assert set(shown.values()) == {text[s:e] for s, e in spans}


@pytest.mark.parametrize("start, end", [(-1, 2), (2, 2), (0, 9)])
def test_span_outside_of_the_text(start, end):
    with pytest.raises(
        ValueError, match=rf"highlight: the span {start} to {end} of word 1 .*'a b'"
    ):
        text_pieces("a b", [0, start], [1, end], caller="highlight")


@pytest.mark.parametrize("start, end", [(0, 4), (1, 2), (2, 7)])
def test_words_that_overlap(start, end):
    with pytest.raises(ValueError, match="overlap in 'Dogs bark'"):
        text_pieces("Dogs bark", [0, start], [3, end], caller="highlight")


@pytest.mark.parametrize(
    "text, direction",
    [
        ("Dogs", "ltr"),
        ("(שלום) Dogs", "rtl"),
        ("12 مرحبا", "rtl"),
        ("Dogs שלום", "ltr"),
        ("12?!", "ltr"),
        ("", "ltr"),
    ],
)
def test_direction_is_that_of_the_first_strong_character(text, direction):
    assert text_direction(text) == direction
