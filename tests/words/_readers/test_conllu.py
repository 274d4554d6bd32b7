# SPDX-License-Identifier: BSD-3-Clause
"""Lines that the CoNLL-U format does not allow, and unusual lines that it allows."""

import io

import pytest

from sklearn_neurox.words import read_conllu


def line(node, form="w", *, lemma="_", upos="X", feats="_", misc="_"):
    return "\t".join([node, form, lemma, upos, "_", feats, "_", "_", "_", misc]) + "\n"


def read(content, **parameters):
    file = io.StringIO(content)
    file.name = "bank.conllu"
    return read_conllu(file, **parameters)


ONE = line("1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bank.conllu: no sentences"),
        ("\n\n", "bank.conllu: no sentences"),
        (
            "1 the the DET\n",
            "bank.conllu:1: 1 tab-separated columns instead of 10: '1 the the DET'.*words_frame",
        ),
        (ONE + "2\tb\n", "bank.conllu:2: 2 tab-separated columns instead of 10"),
        (ONE + line("2", misc="_\t_"), "bank.conllu:2: 11 tab-separated columns"),
        (ONE + "   \n" + line("2"), "bank.conllu:3: word 2 where word 1 was expected"),
        (ONE + line("2", form=""), "bank.conllu:2: the column FORM is empty"),
        (ONE + line("2", misc=""), "bank.conllu:2: the column MISC is empty"),
        (ONE + line("x"), "bank.conllu:2: 'x' is not an ID"),
        (ONE + line("-1"), "bank.conllu:2: '-1' is not an ID"),
        (ONE + line("²"), "bank.conllu:2: '²' is not an ID"),
        (ONE + line("3"), "bank.conllu:2: word 3 where word 2 was expected"),
        (ONE + line("1"), "bank.conllu:2: word 1 where word 2 was expected"),
        (ONE + line("02"), "bank.conllu:2: word 02 where word 2 was expected"),
        (line("0"), "bank.conllu:1: word 0 where word 1 was expected"),
        (ONE + "\n" + line("2"), "bank.conllu:3: word 2 where word 1 was expected"),
        (line("2-3") + ONE, "bank.conllu:1: the range 2-3 .* The next word is 1"),
        (ONE + line("1-2"), "bank.conllu:2: the range 1-2 .* The next word is 2"),
        (ONE + line("2-1"), "bank.conllu:2: the range 2-1"),
        (line("1-3") + ONE + line("2-3") + line("2"), "bank.conllu:3: the range 2-3 .* no other"),
        (line("1-2") + line("1-2") + ONE, "bank.conllu:2: the range 1-2 .* overlap no other"),
        (
            line("1-3") + ONE + line("2") + "\n" + ONE,
            "bank.conllu:1: the range 1-3 .* ends at word 3, but the sentence has 2",
        ),
        (line("1-2", form="") + ONE + line("2"), "bank.conllu:1: the column FORM is empty"),
        (ONE + line("2.1"), r"bank.conllu:2: empty node 2.1 where 1.1 was expected"),
        (ONE + line("1.2"), r"bank.conllu:2: empty node 1.2 where 1.1 was expected"),
        (ONE + line("1.1") + line("1.1"), r"bank.conllu:3: empty node 1.1 where 1.2 was expected"),
        ("# text = a\n\n" + ONE, "bank.conllu:1: a sentence without words"),
        (ONE + "\n# the end", "bank.conllu:3: a sentence without words"),
        (line("0.1") + "\n" + ONE, "bank.conllu:1: a sentence without words"),
        (ONE + "# text = a\n" + line("2"), "bank.conllu:2: a comment inside a sentence"),
        (line("1-2") + "# a\n" + ONE + line("2"), "bank.conllu:2: a comment inside a sentence"),
        ("# sent_id = a\n# sent_id = b\n" + ONE, "bank.conllu:2: a second sent_id, after 'a'"),
        (
            "# sent_id = a\n" + ONE + "\n# x\n# sent_id = a\n" + ONE,
            "bank.conllu:4: this sentence has the sent_id 'a', like the one at line 1",
        ),
        (
            "# sent_id = 1\n" + ONE + "\n" + ONE,
            "bank.conllu:4: this sentence has the running number '1', like the one at line 1",
        ),
        (line("1", "_") + line("2", "_"), "bank.conllu: every word of this file is '_'"),
    ],
)
def test_malformed_lines(text, message):
    with pytest.raises(ValueError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("feats", "message"),
    [
        ("Number", "bank.conllu:2: 'Number' in FEATS is not of the form Name=Value"),
        ("Number=", "bank.conllu:2: 'Number=' in FEATS"),
        ("A=b|", "bank.conllu:2: '' in FEATS"),
        ("A=b|A=c", "bank.conllu:2: the feature 'A' occurs twice"),
    ],
)
def test_malformed_features(feats, message):
    with pytest.raises(ValueError, match=message):
        read(ONE + line("2", feats=feats), feats="all")


@pytest.mark.parametrize(
    "text",
    [
        ONE + line("2") + "\n" + ONE + "\n",
        (ONE + line("2") + "\n" + ONE).removesuffix("\n"),
        "\n\n" + ONE + line("2") + "\n\n\n" + ONE + "\n\n",
        (ONE + line("2") + "\n" + ONE + "\n").replace("\n", "\r\n"),
        "\ufeff" + ONE + line("2") + "\n" + ONE,
    ],
    ids=["plain", "no newline at the end", "many blank lines", "CRLF", "BOM"],
)
def test_line_ends_and_blank_lines(text):
    frame = read(text)
    assert frame["text"].tolist() == ["w w", "w w", "w"]
    assert frame["sentence_id"].tolist() == ["0", "0", "1"]


def test_underscores_that_are_words():
    frame = read(line("1", "_", lemma="_") + line("2", "a", lemma="_"), columns=["lemma", "upos"])
    assert frame["word"].tolist() == ["_", "a"]
    assert frame["lemma"].isna().tolist() == [False, True] and frame["lemma"][0] == "_"
    assert read(line("1", "_"))["word"].tolist() == ["_"]


def test_forms_with_spaces_and_unicode_separators():
    forms = ["10 000", "a\u00a0b", "c\u2028d", "e\x0bf", "g\rh", "\ufeff"]
    text = "".join(line(str(i), form) for i, form in enumerate(forms, start=1))
    for kind in ("joined", "natural"):
        frame = read(text, text=kind)
        assert frame["word"].tolist() == forms
        assert frame["text"][0] == " ".join(forms)


def test_comments_and_sentence_ids():
    frame = read(
        "# newdoc\n#sent_id=one \n# sent_id_note = no\n"
        + ONE
        + "\n"
        + ONE
        + "\n# sent_id = x y\n"
        + ONE
    )
    assert frame["sentence_id"].tolist() == ["one", "1", "x y"]
