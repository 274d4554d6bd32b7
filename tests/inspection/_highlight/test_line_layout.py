# SPDX-License-Identifier: BSD-3-Clause
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_neurox.inspection._highlight._bidi import embedding_levels, visual_order
from sklearn_neurox.inspection._highlight._line_layout import lay_out, text_cells
from sklearn_neurox.inspection._highlight._text_pieces import Piece


def _seen(text, direction):
    return "".join(text[place] for place in visual_order(embedding_levels(text, direction)))


# The order in which Chromium places the characters, before it mirrors brackets.
@pytest.mark.parametrize(
    "text, direction, seen",
    [
        ("ab cd.", "ltr", "ab cd."),
        ("ab cd.", "rtl", ".ab cd"),
        ("אב גד.", "ltr", "דג בא."),
        ("אב גד.", "rtl", ".דג בא"),
        ("אב cd ef גד", "rtl", "דג cd ef בא"),
        ("ab אב גד cd", "ltr", "ab דג בא cd"),
        ("אב 1984, גד", "rtl", "דג ,1984 בא"),
        ("אב 3 4", "rtl", "4 3 בא"),
        ("אב 3,4", "rtl", "3,4 בא"),
        ("אב 12%", "rtl", "12% בא"),
        ("ج 12%", "rtl", "%12 ج"),
        ("a (אב) b", "ltr", "a (בא) b"),
        ("a (b) אב", "rtl", "בא a (b)"),
        ("אב (a b) ג", "rtl", "ג )a b( בא"),
    ],
)
def test_order_in_which_characters_are_seen(text, direction, seen):
    assert _seen(text, direction) == seen


@pytest.mark.slow
@given(st.text(max_size=20), st.sampled_from(["ltr", "rtl"]))
def test_every_character_is_seen_once(text, direction):
    levels = embedding_levels(text, direction)
    assert len(levels) == len(text) and set(levels) <= {0, 1, 2}
    assert sorted(visual_order(levels)) == list(range(len(text)))


def _lines(pieces, n_cells, direction="ltr"):
    return ["".join(atom.text for atom in line) for line in lay_out(pieces, direction, n_cells)]


def test_lines_break_at_blanks():
    pieces = [Piece("one", 0), Piece(" ", None), Piece("two", 1), Piece(", (", None)]
    pieces += [Piece("three", 2), Piece(")\n", None), Piece("do", 3), Piece("n't", 4)]
    assert _lines(pieces, 10) == ["one two,", "(three)", "don't"]
    assert _lines(pieces, 8) == ["one two,", "(three)", "don't"]
    assert _lines(pieces, 7) == ["one", "two,", "(three)", "don't"]
    assert _lines(pieces, 99) == ["one two, (three)", "don't"]


def test_a_line_after_a_line_break_is_as_long_as_any_and_begins_without_blanks():
    texts = ["one", "\n", " ", "abc", " ", "defghi"]
    pieces = [Piece(text, None if text.isspace() else i) for i, text in enumerate(texts)]
    assert _lines(pieces, 10) == ["one", "abc defghi"]
    assert _lines(pieces, 9) == ["one", "abc", "defghi"]


def test_what_is_wider_than_a_line_is_cut_and_keeps_its_row():
    lines = lay_out([Piece("a", 0), Piece(" ", None), Piece("abcdefg", 7)], "ltr", 3)
    assert [[(atom.text, atom.row) for atom in line] for line in lines] == [
        [("a", 0), (" ", None), ("a", 7)],
        [("bcd", 7)],
        [("efg", 7)],
    ]


def test_text_without_blanks_breaks_between_words():
    pieces = [Piece("名詞", 0), Piece("を", 1), Piece("含む", 2)]
    assert text_cells("名詞") == 4 and text_cells("e\u0301") == 1
    assert _lines(pieces, 6) == ["名詞を", "含む"]


def test_marks_stay_with_their_letters():
    lines = _lines([Piece("e\u0301" * 5, 0)], 2)
    assert lines == ["e\u0301" * 2, "e\u0301" * 2, "e\u0301"]


def test_line_from_right_to_left_begins_at_its_right():
    lines = lay_out([Piece("אב", 0), Piece(" ", None), Piece("גד", 1)], "rtl", 20)
    assert [atom.row for atom in lines[0]] == [1, None, 0]
    assert {atom.level for atom in lines[0]} == {1}
    # The second line holds the rest, in either direction.
    assert [a.row for line in lay_out([Piece("אב", 0), Piece(" ", None), Piece("גד", 1)], "rtl", 3)
            for a in line] == [0, 1]  # fmt: skip


def test_parts_of_an_arabic_word_stay_joined():
    (line,) = lay_out([Piece("ال", 0), Piece("كتب", 1)], "rtl", 20)
    assert [atom.text for atom in line] == ["\u200dكتب", "ال\u200d"]
    assert [atom.width for atom in line] == [3, 2]


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.text("aב 1.\n名e\u0301", min_size=1, max_size=9), st.none() | st.just(1))
    ),
    st.sampled_from(["ltr", "rtl"]),
    st.integers(2, 12),
)
def test_no_text_is_lost_and_no_line_too_wide(parts, direction, n_cells):
    pieces = [Piece(*part) for part in parts]
    lines = lay_out(pieces, direction, n_cells)
    assert all(sum(atom.width for atom in line) <= n_cells for line in lines)
    assert all(atom.width == text_cells(atom.text) for line in lines for atom in line
               if not atom.text.isspace())  # fmt: skip
    shown = sorted("".join(atom.text for line in lines for atom in line if not atom.text.isspace()))
    assert shown == sorted("".join("".join(piece.text for piece in pieces).split()))
