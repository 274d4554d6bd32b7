# SPDX-License-Identifier: BSD-3-Clause
"""Half a character (a lone surrogate), wherever it is, is an error that quotes it."""

import io

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.io import write_neurox
from sklearn_neurox.words import annotate, pair_frame, read_conllu, read_parallel, words_frame

HALF = "x\ud800y"
WORDS = words_frame([["a", "b"]])


def objects(*values):
    return pd.Series(values, dtype=object)


def conllu(form="a", lemma="_", misc="_", name="1"):
    fields = ["1", form, lemma, "X", "_", "_", "0", "_", "_", misc]
    return io.StringIO(f"# sent_id = {name}\n" + "\t".join(fields) + "\n")


CALLS = {
    "a word": lambda: words_frame([["a", HALF]]),
    "a word of a table": lambda: words_frame(
        pd.DataFrame({"sentence_id": [0, 0], "word": objects("a", HALF)})
    ),
    "a label": lambda: words_frame([["a", "b"]], [["X", HALF]]),
    "a label of a table": lambda: words_frame(
        pd.DataFrame({"sentence_id": [0, 0], "word": ["a", "b"], "label": objects("X", HALF)})
    ),
    "a label of a dict": lambda: words_frame([{"sentence_id": 0, "word": "a", "label": HALF}]),
    "a sentence id": lambda: words_frame([["a"]], sentence_ids=[HALF]),
    "a joiner": lambda: words_frame([["a", "b"]], joiner=HALF),
    "a label of annotate": lambda: annotate(WORDS, {"a"}, positive=HALF),
    "a relation": lambda: pair_frame(WORDS, rows=([0], [1]), relation=[HALF]),
    "a relation of negatives": lambda: pair_frame(
        WORDS, rows=([0], [1]), relation=["r"], negatives="all", no_relation=HALF
    ),
    "a line of words": lambda: read_parallel(io.StringIO(f"a\n{HALF}"), io.StringIO("X\nY")),
    "a line of labels": lambda: read_parallel(io.StringIO("a\nb"), io.StringIO(f"X\n{HALF}")),
    "a line of text": lambda: read_parallel(
        io.StringIO(f"a\n{HALF}"), io.StringIO("X\nY"), rows="texts"
    ),
    "a form": lambda: read_conllu(conllu(form=HALF)),
    "a lemma": lambda: read_conllu(conllu(lemma=HALF), columns=["lemma"]),
    "a sent_id": lambda: read_conllu(conllu(name=HALF)),
    "escaped space": lambda: read_conllu(conllu(misc=r"SpacesInToken=\ud800"), text="natural"),
}


@pytest.mark.skipif(pd.Series([""]).dtype == object, reason="strings of old pandas hold it")
def test_every_place_of_half_a_character():
    for place, call in CALLS.items():
        with pytest.raises(ValueError, match="half of a surrogate pair") as raised:
            call()
        assert type(raised.value) is ValueError, place
        if "line" in place:
            assert "<file object>:2: this line" in str(raised.value), place
        else:
            assert r"\ud800" in str(raised.value), place


def test_what_is_not_kept_may_have_half_a_character():
    assert read_conllu(conllu(lemma=HALF))["word"].tolist() == ["a"]
    assert annotate(WORDS, {"a", HALF})["label"].tolist() == ["positive", "negative"]


def test_a_text_file_cannot_begin_with_the_mark_of_its_encoding(tmp_path):
    words = words_frame([["\ufeffa", "\ufeffb"]])
    for at, entries in enumerate((words, words.iloc[::-1].reset_index(drop=True))):
        path = tmp_path / f"{at}.json"
        with pytest.raises(ValueError, match=r"first entry of 'word' begins with U\+FEFF"):
            write_neurox(
                path, np.ones((2, 1)), entries, n_layers=1, parallel={"word": tmp_path / "w"}
            )
        assert not list(tmp_path.iterdir())
    kept = words_frame([["a", "\ufeffb"]])
    write_neurox(
        tmp_path / "a.json", np.ones((2, 1)), kept, n_layers=1, parallel={"word": tmp_path / "w"}
    )
    again = read_parallel(tmp_path / "w", {})
    assert again["word"].tolist() == ["a", "\ufeffb"]
