# SPDX-License-Identifier: BSD-3-Clause
"""Storage and manipulation of a frame of words after it was built."""

import io
import pickle
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sklearn_neurox.words import words_frame

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def frame():
    words = [
        ["Ça", "va", "👩‍🚀", "?"],
        ["NA", "null"],
        ["Ça", "va", "👩‍🚀", "?"],
        ["e\u0301", "עם"],
    ]
    labels = {
        "upos": [["X", None, "Y", "Z"], ["X", "X"], ["X", None, "Y", "Z"], ["Z", "Y"]],
        "empty": [[None] * len(sentence) for sentence in words],
        "freq": [[1, 2, 3, 4], [5, 6], [1, 2, 3, 4], [7, 8]],
    }
    return words_frame(words, labels, sentence_ids=["a", "b", "c", "d"])


def verified(frame):
    rows = zip(frame["text"], frame["start"], frame["end"], frame["word"], strict=True)
    assert all(text[start:end] == word for text, start, end, word in rows)
    return frame


def test_parquet_gives_the_same_frame(frame, tmp_path):
    pytest.importorskip("pyarrow")
    frame.to_parquet(tmp_path / "words.parquet")
    pd.testing.assert_frame_equal(verified(pd.read_parquet(tmp_path / "words.parquet")), frame)


def test_pickle_gives_the_same_frame(frame):
    pd.testing.assert_frame_equal(verified(pickle.loads(pickle.dumps(frame))), frame)


def test_csv_gives_the_same_values(frame):
    # keep_default_na=False: "NA" and "null" are words here.
    text = io.StringIO(frame.to_csv(index=False))
    again = verified(pd.read_csv(text, keep_default_na=False))
    expected = frame.astype({"text": again["text"].dtype}).fillna({"upos": "", "empty": ""})
    pd.testing.assert_frame_equal(again, expected)


def test_concat_and_merge_keep_rows_valid(frame):
    other = words_frame([["New", "words"]], [["X", "Y"]], sentence_ids=["e"])
    both = verified(pd.concat([frame, other], ignore_index=True))
    assert len(both) == len(frame) + 2
    assert both["text"].tolist() == frame["text"].tolist() + other["text"].tolist()

    extra = pd.DataFrame({"word": ["Ça", "?"], "count": [10, 20]})
    merged = verified(frame.merge(extra, on="word", how="left"))
    pd.testing.assert_frame_equal(merged[frame.columns], frame)
    assert merged["count"].notna().sum() == 4


def test_any_choice_of_rows_is_valid(frame):
    rows = [7, 0, 0, 11, 3]
    assert verified(frame.iloc[rows])["word"].tolist() == [frame["word"][row] for row in rows]


WITHOUT_PYARROW = """
import sys, warnings
warnings.simplefilter("error")
sys.modules["pyarrow"] = None
import io, pickle
import pandas as pd
from sklearn_neurox.words import read_conllu, words_frame

row = "{}\\t{}\\t_\\tX\\t_\\tNumber=Sing\\t_\\t_\\t_\\t_\\n"
file = io.StringIO(row.format(1, "de") + row.format(2, "_"))
for frame in (words_frame([["a", "b"]], [["X", None]]), read_conllu(file, feats="all")):
    for text, start, end, word in zip(frame["text"], frame["start"], frame["end"], frame["word"]):
        assert text[start:end] == word
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(frame)), frame)
    print([str(dtype) for dtype in frame.dtypes])
    print(frame.isna().sum().tolist())
assert not any(name.startswith("pyarrow.") for name in sys.modules)
"""


@pytest.mark.slow
def test_the_same_dtypes_without_pyarrow():
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        for code in (WITHOUT_PYARROW, _with_pyarrow(WITHOUT_PYARROW))
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr + runs[1].stderr
    assert runs[0].stdout == runs[1].stdout
    string = str(pd.Series([""]).dtype)
    own = ["category", "int64", "int64", string, "int64"]
    assert runs[0].stdout.splitlines() == [
        str([*own, "int64", string]),
        str([0, 0, 0, 0, 0, 0, 1]),
        str([*own, string, string, string, string]),
        str([0, 0, 0, 0, 0, 0, 0, 2, 0]),
    ]


def _with_pyarrow(code):
    lines = code.splitlines()
    return "\n".join(line for line in lines if "pyarrow" not in line)
