# SPDX-License-Identifier: BSD-3-Clause
"""Tables that a hurried user makes, whose texts would be wrong without a word."""

import warnings

import pandas as pd
import pytest

from sklearn_neurox.words import words_frame

TABLE = pd.DataFrame(
    {
        "sentence_id": [0, 0, 0, 0, 1, 1, 1, 1, 2],
        "word": ["The", "old", "dog", ".", "Cats", ",", "too", ".", "Yes"],
        "label": ["DET", "ADJ", "NOUN", "PUNCT", "NOUN", "PUNCT", "ADV", "PUNCT", "INTJ"],
    }
)


def warnings_of(table, **params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        words_frame(table, **params)
    return [str(warning.message) for warning in caught]


def test_rows_left_out_inside_sentences_are_reported():
    left_out = {
        # The last word of a sentence leaves no gap inside it, so that only "," shows.
        "punctuation": (
            TABLE[TABLE["label"] != "PUNCT"],
            "1 of 3 sentences",
            "sentence 1",
            "4 to 6",
        ),
        "one label": (
            TABLE.drop(index=1),
            "1 of 3 sentences",
            "sentence 0",
            "from 0 to 2 at row 1",
        ),
        "both": (
            TABLE.drop(index=[2, 6]),
            "2 of 3 sentences",
            "sentence 0",
            "from 1 to 3 at row 2",
        ),
        "other ids": (
            TABLE.assign(sentence_id=list("aaaabbbbc")).drop(index=5),
            "(sentence_id 'b')",
            "from 4 to 6 at row 5",
        ),
    }
    for name, (table, *parts) in left_out.items():
        (message,) = warnings_of(table)
        assert all(part in message for part in parts), (name, message)
        assert warnings_of(table.reset_index(drop=True)) == [], name


def test_whole_sentences_and_other_indexes_are_not_reported():
    fine = {
        "all rows": TABLE,
        "a sentence left out": TABLE[TABLE["sentence_id"] != 1],
        "an index of characters": TABLE.set_axis([0, 4, 8, 11, 13, 17, 19, 22, 24]),
        "every second number": TABLE.set_axis(range(0, 18, 2)),
        "strings": TABLE.set_axis(list("abcdefghi")).drop(index="b"),
        "two levels": TABLE.set_index("sentence_id", append=True, drop=False)
        .rename_axis([None, None])
        .drop(index=1),
    }
    for name, table in fine.items():
        assert warnings_of(table) == [], name


@pytest.mark.parametrize("natural", [False, True])
def test_spaces_of_words_that_double_the_space_between_them(natural):
    params = {"text": "natural"} if natural else {}
    for word, row in [(" dog", 2), ("dog ", 2), (" ", 1), ("dog\t", 0), ("\n.", 3)]:
        table = TABLE.assign(space_after=True)
        table.loc[row, "word"] = word
        (message,) = warnings_of(table, **params)
        assert message.startswith(f"1 of 9 words begin or end with a space, such as {word!r}")
        assert f"(row {row})" in message


def test_spaces_of_words_that_add_to_no_other():
    own = [["The", " old", " dog"], ["Cats", " sleep"]]
    assert warnings_of(own, joiner="") == []
    assert warnings_of(own, joiner="_") == []
    assert warnings_of([[" The", "dog "]]) == []
    assert warnings_of([["New York", "\u3000", "\u00a0"]]) == []
    table = TABLE.head(2).assign(word=["The ", "old"], space_after=False)
    assert warnings_of(table, text="natural") == []


def test_a_missing_word_says_how_csv_files_lose_words(tmp_path):
    file = tmp_path / "words.csv"
    table = TABLE.replace({"word": {"too": "null"}})
    table.assign(label=[*TABLE["label"][:-1], None]).to_csv(file, index=False)
    with pytest.raises(ValueError, match="position 2 of sentence 1 .* keep_default_na=False"):
        words_frame(pd.read_csv(file))
    read = words_frame(pd.read_csv(file, keep_default_na=False, na_values=[""]))
    assert read["word"].tolist()[6] == "null"
    assert read["label"].isna().tolist() == [False] * 8 + [True]
