# SPDX-License-Identifier: BSD-3-Clause
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_neurox.words import read_conllu, read_parallel, words_frame

TREEBANK = """\
# sent_id = s1
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\tVM\tMood=Imp|Number=Plur\t0\troot\t_\tSpaceAfter=No
2\tnos\tnosotros\tPRON\tPP\tNumber=Plur\t1\tobj\t_\t_
3-4\tdel\t_\t_\t_\t_\t_\t_\t_\t_
3\tde\tde\tADP\tIN\t_\t5\tcase\t_\t_
4\tel\tel\tDET\tDT\tDefinite=Def\t5\tdet\t_\t_
5\tbar\tbar\tNOUN\tNN\tNumber=Sing\t1\tobl\t_\tSpaceAfter=No
5.1\tya\tya\tADV\t_\t_\t_\t_\t1:x\t_
6\t!\t!\tPUNCT\t_\t_\t1\tpunct\t_\tSpaceAfter=No

# sent_id = s2
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\tFoo=1|SpaceAfter=No
1\tdo\tdo\tAUX\tVBP\t_\t0\troot\t_\t_
2\tn't\tnot\tPART\tRB\tPolarity=Neg\t1\tadvmod\t_\tSpaceAfter=No
3\t.\t.\tPUNCT\t.\t_\t1\tpunct\t_\t_
"""

# Words in a file with blanks as separators contain no ASCII space, tab or line end.
any_word = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n\r\ufeff"),
    min_size=1,
    max_size=5,
)
any_sentences = st.lists(st.lists(any_word, min_size=1, max_size=4), min_size=1, max_size=4)


def assert_rows_verify_themselves(frame):
    rows = zip(frame["text"], frame["start"], frame["end"], frame["word"], strict=True)
    assert all(text[start:end] == word for text, start, end, word in rows)


def named(text, name):
    file = io.StringIO(text)
    file.name = name
    return file


def test_joined_text_has_the_syntactic_words():
    frame = read_conllu(io.StringIO(TREEBANK))
    assert frame["text"].unique().tolist() == ["Vamos nos de el bar !", "do n't ."]
    assert frame["sentence_id"].tolist() == ["s1"] * 6 + ["s2"] * 3
    assert frame["upos"].tolist() == (
        ["VERB", "PRON", "ADP", "DET", "NOUN", "PUNCT", "AUX", "PART", "PUNCT"]
    )
    assert frame["xpos"].isna().tolist() == [False] * 5 + [True] + [False] * 3
    assert "form" not in frame
    assert_rows_verify_themselves(frame)


def test_natural_text_has_the_surface():
    frame = read_conllu(io.StringIO(TREEBANK), text="natural")
    assert frame["text"].unique().tolist() == ["Vámonos del bar!", "don't."]
    # Words that spell out their token divide it; the others share all of it.
    assert frame["word"].tolist() == (
        ["Vámonos", "Vámonos", "del", "del", "bar", "!", "do", "n't", "."]
    )
    assert frame["form"].tolist() == (["Vamos", "nos", "de", "el", "bar", "!", "do", "n't", "."])
    assert frame["position"].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert_rows_verify_themselves(frame)
    joined = read_conllu(io.StringIO(TREEBANK))
    pd.testing.assert_frame_equal(frame[["upos", "xpos"]], joined[["upos", "xpos"]])


def test_columns_and_features_on_request():
    columns = ["deprel", "lemma"]
    frame = read_conllu(io.StringIO(TREEBANK), columns=columns, feats=["Number", "Polarity"])
    assert list(frame.columns[6:]) == ["deprel", "lemma", "Number", "Polarity"]
    assert frame["Number"].fillna("-").tolist() == ["Plur", "Plur", "-", "-", "Sing", *"----"]
    assert frame["Polarity"].notna().tolist() == [False] * 7 + [True, False]
    every = read_conllu(io.StringIO(TREEBANK), columns=(), feats="all")
    assert list(every.columns[6:]) == ["Definite", "Mood", "Number", "Polarity"]


def test_an_absent_feature_warns_and_is_missing():
    with pytest.warns(UserWarning, match="no word has the feature 'number'.*'Number'") as caught:
        frame = read_conllu(io.StringIO(TREEBANK), feats=["number"])
    assert caught[0].filename == __file__
    assert frame["number"].isna().all() and frame["number"].dtype == frame["word"].dtype


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"text": "raw"}, "'text' parameter must be 'joined' or 'natural', got 'raw'"),
        (
            {"columns": "upos"},
            "'columns' parameter must be a list of different .* got 'upos'",
        ),
        ({"columns": ["form"]}, r"'columns' parameter must be .* got \['form'\]"),
        ({"feats": "Number"}, r"'feats' parameter must be a list, such as \['Number'\], or 'all'"),
        ({"feats": ["word"]}, "called 'word', which is one of the columns"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*no word has the feature")
def test_read_conllu_refuses_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        read_conllu(io.StringIO(TREEBANK), **parameters)


def test_paths_and_handles_read_alike(tmp_path):
    path = tmp_path / "bank.conllu"
    path.write_bytes(TREEBANK.encode())
    expected = read_conllu(io.StringIO(TREEBANK))
    with path.open(encoding="utf-8") as text, path.open("rb") as binary:
        for source in (path, str(path), text, binary):
            pd.testing.assert_frame_equal(read_conllu(source), expected)


def test_errors_name_the_path(tmp_path):
    path = tmp_path / "bank.conllu"
    path.write_bytes(TREEBANK.encode() + b"4\t\xff")
    with pytest.raises(ValueError, match="bank.conllu:17: this file is not utf-8"):
        read_conllu(path)
    path.write_text(TREEBANK + "4\tx\n", encoding="utf-8")
    with pytest.raises(ValueError, match="bank.conllu:17: 2 tab-separated columns"):
        read_conllu(str(path))
    with pytest.raises(FileNotFoundError):
        read_conllu(tmp_path / "none.conllu")


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(sentences=any_sentences, data=st.data())
def test_natural_text_verifies_itself(sentences, data):
    lines = []
    for sentence in sentences:
        spaces = data.draw(st.lists(st.booleans(), min_size=len(sentence), max_size=len(sentence)))
        for node, (word, space) in enumerate(zip(sentence, spaces, strict=True), start=1):
            misc = "_" if space else "SpaceAfter=No"
            lines.append(f"{node}\t{word}\t_\tX\t_\t_\t_\t_\t_\t{misc}")
        # The same sentence as one token that its words may or may not spell out.
        surface = data.draw(st.sampled_from(["".join(sentence), "zz"]))
        lines += ["", f"1-{len(sentence)}\t{surface}\t_\t_\t_\t_\t_\t_\t_\t_"]
        lines += [f"{i}\t{w}\t_\tX\t_\t_\t_\t_\t_\t_" for i, w in enumerate(sentence, start=1)]
        lines.append("")
    # With this first word, the file does not look like a treebank without texts.
    file = io.StringIO("\n".join(["1\ta\t_\tX\t_\t_\t_\t_\t_\t_", "", *lines]))
    frame = read_conllu(file, text="natural")
    assert_rows_verify_themselves(frame)
    assert frame["form"].tolist() == ["a"] + [w for sentence in sentences for w in sentence * 2]


def test_parallel_files():
    frame = read_parallel(
        io.StringIO("The  cat\tsat \r\n 10\u00a0000 a\u2028b\x0bc\n"),
        {"upos": io.StringIO("D N V\nX Y\n"), "sem": io.StringIO("1 2 3\n4 5")},
    )
    assert frame["word"].tolist() == ["The", "cat", "sat", "10\u00a0000", "a\u2028b\x0bc"]
    assert frame["text"].unique().tolist() == ["The cat sat", "10\u00a0000 a\u2028b\x0bc"]
    assert frame["upos"].tolist() == ["D", "N", "V", "X", "Y"]
    assert frame["sem"].tolist() == ["1", "2", "3", "4", "5"]
    assert frame["sentence_id"].tolist() == [0, 0, 0, 1, 1]


def test_parallel_paths_names_and_encodings(tmp_path):
    words, labels = tmp_path / "words", tmp_path / "labels"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        words.write_text("Ça va\n", encoding=encoding)
        labels.write_text("X Y\n", encoding=encoding)
        frame = read_parallel(words, str(labels), name="tag", encoding=encoding)
        assert frame["word"].tolist() == ["Ça", "va"] and frame["tag"].tolist() == ["X", "Y"]
    with pytest.raises(ValueError, match="words:1: this file is not utf-8"):
        read_parallel(words, labels)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(sentences=any_sentences)
def test_parallel_files_lose_nothing(sentences):
    text = "".join(" ".join(sentence) + "\n" for sentence in sentences)
    frame = read_parallel(io.StringIO(text, newline=""), io.StringIO(text, newline=""))
    pd.testing.assert_frame_equal(frame, words_frame(sentences, sentences))


@pytest.mark.parametrize(
    ("words", "labels", "message"),
    [
        ("a b\nc\n", "X Y\nZ\nX\n", "w.txt has 2 lines, but l.txt has 3"),
        ("a b\nc\n", "X Y\n", "w.txt has 2 lines, but l.txt has 1"),
        ("a b\nc d\n", "X Y\nZ\n", "w.txt:2 has 2 words, but l.txt:2 has 1 labels"),
        ("a b\nc d\n", "X Y\n\n", "w.txt:2 has 2 words, but l.txt:2 has 0 labels"),
        ("a\u00a0b\n", "X Y\n", "w.txt:1 has 1 words, but l.txt:1 has 2 .* Only spaces and tabs"),
        ("a\n\nb\n", "X\n\nY\n", "w.txt:2: a line without words"),
        ("a\n \t\n", "X\nY\n", "w.txt:2: a line without words"),
        ("a\n\n", "X\n\n", "w.txt:2: a line without words"),
        ("", "", "w.txt: this file is empty"),
        ("a\n", "", "l.txt: this file is empty"),
        ("a b\rc\r", "X Y\rZ\r", "w.txt: the lines of this file end with a carriage return"),
        ("a b\nc\n", "X Y\rZ\r", "l.txt: the lines of this file end with a carriage return"),
    ],
)
def test_parallel_files_that_do_not_fit(words, labels, message):
    with pytest.raises(ValueError, match=message):
        read_parallel(named(words, "w.txt"), named(labels, "l.txt"))


def test_a_label_may_not_be_called_like_a_column_of_the_frame():
    with pytest.raises(ValueError, match="called 'word'"):
        read_parallel(io.StringIO("a\n"), io.StringIO("X\n"), name="word")


@pytest.mark.slow
def test_real_treebank(treebank):
    frame = read_conllu(treebank, feats=["Number"])
    assert len(frame) == 25_147
    assert frame["sentence_id"].nunique() == 2_001
    assert frame["text"].nunique() == len(frame["text"].cat.categories) == 1_913
    assert frame["upos"].nunique() == 17 and frame["upos"].notna().all()
    assert_rows_verify_themselves(frame)


@pytest.mark.slow
def test_real_treebank_as_it_was_written(treebank):
    frame = read_conllu(treebank, text="natural")
    assert_rows_verify_themselves(frame)
    with open(treebank, encoding="utf-8") as lines:
        written = [line[9:].rstrip("\n") for line in lines if line.startswith("# text = ")]
    assert frame.drop_duplicates("sentence_id")["text"].tolist() == written
