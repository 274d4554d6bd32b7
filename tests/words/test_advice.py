# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning about words gets the right result."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.words import annotate, read_parallel, words_frame
from tests.followed_advice import Followed, follow

LONG = pd.DataFrame(
    {
        "sentence_id": [1, 1, 1, 2, 2],
        "word": ["a", "b", "c", "d", "e"],
        "position": [0, 1, 2, 0, 1],
        "label": list("VWXYZ"),
    }
)
RIGHT = ["a b c"] * 3 + ["d e"] * 2


def texts(*arguments, **options):
    return words_frame(*arguments, **options)["text"].astype(str)


@pytest.mark.slow
def test_shuffled_rows_get_their_own_text():
    plain = LONG.drop(columns="position")
    rng = np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(5)
        # With positions, the rows may have any order.
        for rows in (LONG.iloc[order], LONG.iloc[order].reset_index(drop=True)):
            frame = words_frame(rows)
            assert frame["text"].tolist() == [RIGHT[row] for row in order]
            assert frame["word"].tolist() == [LONG["word"][row] for row in order]
            assert frame["label"].tolist() == [LONG["label"][row] for row in order]
            assert frame["position"].tolist() == [LONG["position"][row] for row in order]
            assert list(frame.index) == list(range(5))
            spans = zip(frame["text"], frame["start"], frame["end"], frame["word"], strict=True)
            assert all(text[start:end] == word for text, start, end, word in spans)
        # Without positions, the index still has the order, and sorting by sentence keeps disorder.
        shuffled = plain.iloc[order]
        by_sentence = shuffled.sort_values("sentence_id", kind="stable")
        for rows in (shuffled, by_sentence):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    found = texts(rows).tolist()
            except (ValueError, UserWarning) as problem:
                assert "frame.sort_index()" in str(problem)
                found = texts(rows.sort_index()).tolist()
                assert found == RIGHT
            else:
                assert found == [RIGHT[row] for row in rows.index]


def test_positions_that_do_not_place_words():
    def with_positions(*positions):
        return LONG.assign(position=positions)

    follow(
        [
            Followed(
                lambda positions=positions: words_frame(with_positions(*positions)),
                advice,
                lambda: texts(with_positions(1, 2, 3, 1, 2)),
                RIGHT,
            )
            for positions, advice in (
                ((0, 1, 3, 0, 1), "sentence 1 do not count .*row 2 has position 3 where 2 was"),
                ((0, 1, 1, 0, 1), "row 2 has position 1 where 2 was expected"),
                ((1, 2, 3, 2, 3), "sentence 2 .*row 3 has position 2 where 1 was expected"),
                ((0, 1, 2, 1, 2), "sentence 2 .*row 3 has position 1 where 0 was expected"),
                ((3, 4, 5, 3, 4), "from 0 or 1 .*pass them all and select rows afterwards"),
                ((0, 1, 0.5, 0, 1), "position of row 2 is 0.5, not a whole number"),
                ((0, 1, None, 0, 1), "position of row 2 is nan, not a whole number"),
                (("x", 1, 2, 0, 1), "position of row 0 is 'x', not a whole number"),
            )
        ]
    )


def test_words():
    tokens = LONG.drop(columns="position").rename(columns={"word": "token", "sentence_id": "s"})
    lists = pd.DataFrame({"id": ["x", "y"], "tokens": [list("abc"), list("de")], "text": ["", ""]})
    plain = LONG.drop(columns="position")
    interleaved = plain.iloc[[0, 3, 1, 4, 2]].reset_index(drop=True)
    same_id = plain.assign(sentence_id=[1, 1, 2, 1, 1])
    sentences = [["a", "b", "c"], ["d", "e"]]
    walked = words_frame([["He", "walked", "("]])
    follow(
        [
            Followed(
                lambda: words_frame(tokens),
                r"words_frame\(frame, word='token'\)",
                lambda: texts(tokens, word="token", sentence_id="s"),
                RIGHT,
            ),
            Followed(
                lambda: words_frame(tokens, word="token"),
                "Name the column with the 'sentence_id' parameter",
                lambda: texts(tokens, word="token", sentence_id="s"),
                RIGHT,
            ),
            Followed(
                lambda: words_frame(lists),
                r"words_frame\(frame, word='tokens'\)",
                lambda: texts(lists.drop(columns="text"), word="tokens"),
                RIGHT,
            ),
            Followed(
                lambda: words_frame(lists, word="tokens"),
                "called 'text', .*Rename or drop it",
                lambda: texts(lists.rename(columns={"text": "raw"}), word="tokens"),
                RIGHT,
            ),
            Followed(
                lambda: words_frame(LONG, word="label"),
                r"frame.drop\(columns='word'\)",
                lambda: texts(LONG.drop(columns="word"), word="label"),
                ["V W X"] * 3 + ["Y Z"] * 2,
            ),
            Followed(
                lambda: words_frame(interleaved),
                "occurs again at row 2.*with a column 'position' .*any order",
                lambda: texts(interleaved.assign(position=[0, 0, 1, 1, 2])),
                [RIGHT[row] for row in (0, 3, 1, 4, 2)],
            ),
            Followed(
                lambda: words_frame(same_id),
                "different sentences, give them different ids",
                lambda: texts(same_id.assign(sentence_id=[1, 1, 2, 3, 3])),
                ["a b", "a b", "c", "d e", "d e"],
            ),
            Followed(
                lambda: words_frame(plain[::-1]),
                r"pass frame.reset_index\(drop=True\)",
                lambda: texts(plain[::-1].reset_index(drop=True)),
                ["e d"] * 2 + ["c b a"] * 3,
            ),
            Followed(
                lambda: words_frame(plain, labels=[list("abc"), list("de")]),
                "Add a column .* 'label' parameter",
                lambda: words_frame(plain.assign(x=list("abcde")).drop(columns="label"), label="x")[
                    "label"
                ],
                list("abcde"),
            ),
            Followed(
                lambda: words_frame(sentences, label="pos"),
                r"labels=\{'name': ...\}",
                lambda: words_frame(sentences, {"pos": sentences})["pos"],
                list("abcde"),
            ),
            Followed(
                lambda: words_frame("a b c".splitlines()),
                r"such as sentence.split\(\)",
                lambda: texts([line.split() for line in "a b c".splitlines()]),
                RIGHT[:3],
            ),
            Followed(
                lambda: words_frame(sentences, text="natural"),
                "DataFrame with the columns sentence_id, word and space_after",
                lambda: texts(
                    LONG.assign(space_after=[True, False, True] + [False] * 2), text="natural"
                ),
                ["a bc"] * 3 + ["de"] * 2,
            ),
            Followed(
                lambda: words_frame([["a"], []]),
                "sentence 1, so it would have no row. Remove it",
                lambda: texts([["a"]]),
                ["a"],
            ),
            Followed(
                lambda: words_frame([["a", ""]], [["X", "Y"]]),
                "remove it from the words and from their labels",
                lambda: texts([["a"]], [["X"]]),
                ["a"],
            ),
            Followed(
                lambda: words_frame([["a", "b"]], [["X", 1]]),
                r"'X' at row 0 .*but 1 at row 1 .*to strings with str\(\)",
                lambda: words_frame([["a", "b"]], [["X", str(1)]])["label"],
                ["X", "1"],
            ),
            Followed(
                lambda: words_frame(sentences, sentence_ids=["x", None]),
                "omit 'sentence_ids' to number them",
                lambda: words_frame(sentences)["sentence_id"],
                [0, 0, 0, 1, 1],
            ),
            Followed(
                lambda: annotate(walked, "("),
                r"pass it in a set, \{'\('\}",
                lambda: annotate(walked, {"("})["label"],
                ["negative", "negative", "positive"],
            ),
            Followed(
                lambda: annotate(walked, "walk"),
                "use match='search' to match a part",
                lambda: annotate(walked, "walk", match="search")["label"],
                ["negative", "positive", "negative"],
            ),
            Followed(
                lambda: annotate(walked, "HE", match="search"),
                "check 'by' and 'case_sensitive'",
                lambda: annotate(walked, "HE", case_sensitive=False)["label"],
                ["positive", "negative", "negative"],
            ),
            Followed(
                lambda: annotate(walked, {"He": "PRON"}),
                r"assign words\['word'\].map\(mapping\)",
                lambda: walked.assign(label=walked["word"].map({"He": "PRON"}))["label"].notna(),
                [True, False, False],
            ),
            Followed(
                lambda: annotate(walked, lambda word: len(word)),
                r"Wrap the result in bool\(...\)",
                lambda: annotate(walked, lambda word: bool(len(word) > 1))["label"],
                ["positive", "positive", "negative"],
            ),
            Followed(
                lambda: annotate(walked, str.isalpha, case_sensitive=False),
                "omit the parameter",
                lambda: annotate(walked, str.isalpha)["label"],
                ["positive", "positive", "negative"],
            ),
            Followed(
                lambda: annotate(walked, {"He"}, name="word"),
                "Rename or drop it",
                lambda: annotate(walked, {"He"}, name="he")["he"],
                ["positive", "negative", "negative"],
            ),
        ]
    )


def test_parallel_files(tmp_path):
    text, labels = tmp_path / "words.txt", tmp_path / "labels.txt"

    def parallel(content, tags):
        text.write_text(content)
        labels.write_text(tags)
        return read_parallel(text, labels)["word"]

    follow(
        [
            Followed(
                lambda: parallel("a b\n\nc\n", "X Y\n\nZ\n"),
                "Delete it from all files",
                lambda: parallel("a b\nc\n", "X Y\nZ\n"),
                ["a", "b", "c"],
            ),
            Followed(
                lambda: parallel("a\u00a0b\n", "X Y\n"),
                "Only spaces and tabs separate",
                lambda: parallel("a b\n", "X Y\n"),
                ["a", "b"],
            ),
        ]
    )
