# SPDX-License-Identifier: BSD-3-Clause
"""All columns of CoNLL-U, white space in MISC, separator lines, and the memory of large files."""

import io
import tracemalloc

import pandas as pd
import pytest

from sklearn_neurox.words import read_conllu


def line(node, form, *, head="0", deprel="_", deps="_", misc="_"):
    return "\t".join([str(node), form, "_", "X", "_", "_", str(head), deprel, deps, misc]) + "\n"


def test_every_column():
    content = (
        line(1, "Dogs", head=2, deprel="nsubj", deps="2:nsubj|4:nsubj", misc="Gloss=dog|Foo=_")
        + line(2, "bark", head=0, deprel="root", deps="0:root")
        + "2.1\tx\t_\t_\t_\t_\t_\t_\t2:conj\t_\n"
        + line(3, "!", head=2, deprel="punct")
    )
    columns = ["misc", "head", "deprel", "deps"]
    frame = read_conllu(io.StringIO(content), columns=columns)
    assert list(frame.columns[6:]) == columns
    assert frame["head"].dtype == "int64" and frame["head"].tolist() == [2, 0, 2]
    assert frame["deprel"].tolist() == ["nsubj", "root", "punct"]
    assert frame["deps"].fillna("-").tolist() == ["2:nsubj|4:nsubj", "0:root", "-"]
    assert frame["misc"].fillna("-").tolist() == ["Gloss=dog|Foo=_", "-", "-"]


def test_missing_heads_are_missing():
    frame = read_conllu(
        io.StringIO(line(1, "a", head=0) + line(2, "b", head="_")), columns=["head"]
    )
    assert frame["head"].dtype == "Int64"
    assert frame["head"].isna().tolist() == [False, True] and frame["head"][0] == 0


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("x", "<file object>:2: the HEAD 'x' is not a number"),
        ("-1", "<file object>:2: the HEAD '-1' is not a number"),
        ("3", "<file object>:2: the HEAD 3 is not a word of this sentence, which has 2"),
        ("²", "<file object>:2: the HEAD '²' is not a number"),
    ],
)
def test_heads_that_are_no_words(head, message):
    content = line(1, "a") + line(2, "b", head=head)
    with pytest.raises(ValueError, match=message):
        read_conllu(io.StringIO(content), columns=["head"])
    # What is not asked for is not checked.
    assert len(read_conllu(io.StringIO(content))) == 2


@pytest.mark.slow
def test_heads_of_a_real_treebank(treebank):
    frame = read_conllu(treebank, columns=["head", "deprel"])
    with open(treebank, encoding="utf-8") as lines:
        fields = [row.split("\t") for row in lines if row[0].isdigit()]
    fields = [row for row in fields if row[0].isdigit()]
    assert frame["head"].tolist() == [int(row[6]) for row in fields]
    assert frame["deprel"].tolist() == [row[7] for row in fields]
    # Every sentence has one root, and each head is a word of the same sentence.
    assert (frame["head"] == 0).groupby(frame["sentence_id"]).sum().eq(1).all()
    size = frame.groupby("sentence_id")["position"].transform("size")
    assert (frame["head"] <= size).all()


# The MISC of the first of two words "a" and "b", and the text between and inside them.
SPACING = [
    ("_", "a b"),
    ("SpaceAfter=No", "ab"),
    (r"SpacesAfter=\n", "a\nb"),
    (r"SpacesAfter=\s\s", "a  b"),
    (r"SpacesAfter=\r\n\t", "a\r\n\tb"),
    (r"Foo=1|SpacesAfter=\s\p\\s", "a |\\sb"),
    (r"SpaceAfter=No|SpacesAfter=\n\n", "a\n\nb"),
    (r"SpacesAfter=\u00A0|Bar=2", "a\u00a0b"),
    ("SpacesAfter=No", "ab"),
    (r"SpacesAfter=", "ab"),
    (r"SpacesBefore=\s", "a b"),  # before the first word, so not part of the text
    (r"SpacesInToken=a\sa", "a a b"),
    ("CorrectSpaceAfter=Yes|SpaceAfter=No", "ab"),
    ("NoSpaceAfter=No", "a b"),
    (r"Translit=x\y", "a b"),
]


def test_white_space_as_it_was_written():
    for misc, text in SPACING:
        content = line(1, "a", misc=misc) + line(2, "b", misc=r"SpacesAfter=\n")
        frame = read_conllu(io.StringIO(content), text="natural")
        assert frame["text"].tolist() == [text, text], misc
        spans = zip(frame["start"], frame["end"], frame["word"], strict=True)
        assert all(text[start:end] == word for start, end, word in spans), misc
        assert frame["form"].tolist() == ["a", "b"]
        joined = read_conllu(io.StringIO(content))
        assert joined["text"].tolist() == ["a b", "a b"], misc


def test_white_space_before_a_token_and_around_multiword_tokens():
    content = (
        line(1, "a", misc="SpaceAfter=No")
        + line("2-3", "del", misc=r"SpacesBefore=\t|SpacesAfter=\s\s").replace("\t0\t", "\t_\t")
        + line(2, "de", misc=r"SpacesAfter=\n")
        + line(3, "el")
        + line(4, "b")
    )
    frame = read_conllu(io.StringIO(content), text="natural")
    assert frame["text"].unique().tolist() == ["a\tdel  b"]
    assert frame["word"].tolist() == ["a", "del", "del", "b"]


def test_an_unknown_escape_is_named():
    content = line(1, "a") + line(2, "b", misc=r"SpacesAfter=\x") + line(3, "c")
    with pytest.raises(ValueError, match=r"<file object>:2: the escape '\\\\x' in .*\\s"):
        read_conllu(io.StringIO(content), text="natural")


def test_lines_of_blanks_separate_sentences():
    expected = read_conllu(io.StringIO(line(1, "a") + "\n" + line(1, "b")))
    for blank in (" ", "   ", "\t", " \t ", "\t" * 9, "\u00a0", "\r", " \r"):
        found = read_conllu(io.StringIO(line(1, "a") + blank + "\n" + line(1, "b") + blank))
        pd.testing.assert_frame_equal(found, expected)


class _Handle:
    """An open file that generates its lines, so that only the reader uses memory."""

    name = "generated"

    def __init__(self, n_sentences):
        self.n_sentences = n_sentences

    def read(self):
        raise AssertionError("the reader goes line by line")

    def __iter__(self):
        for i in range(self.n_sentences):
            yield f"# sent_id = s{i}\n"
            for position in range(1, 11):
                yield line(position, f"word{(i * position) % 5000}", misc=f"Id={i}-{position}")
            yield "\n"


@pytest.mark.slow
def test_memory_is_a_small_multiple_of_the_frame():
    peaks = []
    for n_sentences in (500, 2000):
        tracemalloc.start()
        frame = read_conllu(_Handle(n_sentences))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(frame) == 10 * n_sentences
    # Per word: eight bytes for each of a few columns. The lines themselves would need a kilobyte.
    assert (peaks[1] - peaks[0]) / 15_000 < 250


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a\0b.conllu", "contains a NUL character"),
        (None, "'path' parameter of read_conllu"),
        (3, "'path' parameter of read_conllu"),
    ],
)
def test_what_is_no_path(path, message):
    with pytest.raises((TypeError, ValueError), match=message):
        read_conllu(path)


def test_columns_and_features_may_come_from_iterators():
    content = line(1, "a").replace("\tX\t_\t_\t", "\tX\t_\tNumber=Sing\t")
    frame = read_conllu(io.StringIO(content), columns=iter(["upos"]), feats=iter(["Number"]))
    assert frame["upos"].tolist() == ["X"] and frame["Number"].tolist() == ["Sing"]
    assert "upos" in read_conllu(io.StringIO(content), columns={"upos": 1})


def test_no_column_takes_the_place_of_another():
    content = line(1, "a").replace("\tX\t_\t_\t", "\tX\t_\tform=Sing|upos=Y\t")
    with pytest.raises(ValueError, match="list of different names"):
        read_conllu(io.StringIO(content), columns=["upos", "upos"])
    with pytest.raises(ValueError, match="the feature 'upos' has the name of another column"):
        read_conllu(io.StringIO(content), feats="all")
    with pytest.raises(ValueError, match="the feature 'form' has the name of another column"):
        read_conllu(io.StringIO(content), columns=[], feats=["form"], text="natural")
    frame = read_conllu(io.StringIO(content), columns=[], feats="all")
    assert frame["form"].tolist() == ["Sing"] and frame["upos"].tolist() == ["Y"]
