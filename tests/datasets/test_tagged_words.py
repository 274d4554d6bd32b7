# SPDX-License-Identifier: BSD-3-Clause
from collections import Counter, defaultdict

import pandas as pd
import pytest

from sklearn_neurox.datasets import _lexicon as lexicon
from sklearn_neurox.datasets import make_tagged_words

_LABELS = ["upos", "number", "tense"]


@pytest.fixture(scope="module")
def words():
    return make_tagged_words(2000, random_state=0)


def _table():
    """Map each form of the lexicon's open classes to the tags that it can have."""
    tags = defaultdict(set)
    for row in (row for verbs in lexicon.VERBS.values() for row in verbs if row != lexicon.BE):
        for form in row:
            tags[form].add("VERB")
    auxiliaries = (*lexicon.BE, "am", "are", "were", *lexicon.HAVE[:3], *lexicon.DO[:3])
    for form in (*auxiliaries, *lexicon.MODALS):
        tags[form].add("AUX")
    nouns = sum(lexicon.NOUNS.values(), ())
    for form in (*sum(nouns, ()), *lexicon.MASS, *lexicon.SIDES, "one"):
        tags[form].add("NOUN")
    for form in (*lexicon.ADJECTIVES, *lexicon.ATTRIBUTIVE, *lexicon.PREDICATIVE):
        tags[form].add("ADJ")
    for form in lexicon.PROPER:
        tags[form.lower()].add("PROPN")
    return tags


def _bases():
    kinds = ("transitive", "intransitive", "motion")
    return {row[0] for kind in kinds for row in lexicon.VERBS[kind]}


def test_labels_are_among_those_of_the_lexicon(words):
    table = _table()
    open_classes = words[words["upos"].isin(["VERB", "AUX", "NOUN", "ADJ", "PROPN"])]
    for word, tag in set(zip(open_classes["word"].str.lower(), open_classes["upos"], strict=True)):
        assert tag in table[word], (word, tag)


def test_size_of_the_lexicon_and_of_the_output(words):
    verbs = _bases()
    assert 290 <= len(_table()) and len(verbs) > 60
    assert words["sentence_id"].nunique() == 2000
    assert words["text"].nunique() > 1900


def test_rows_verify_themselves(words):
    for text, start, end, word in words[["text", "start", "end", "word"]].itertuples(index=False):
        assert text[start:end] == word


@pytest.mark.slow
def test_context_is_needed_to_tag_the_words(words):
    train, test = words[words["sentence_id"] < 1400], words[words["sentence_id"] >= 1400]
    majority = train.groupby("word")["upos"].agg(lambda tags: tags.value_counts().index[0])
    accuracy = (test["word"].map(majority) == test["upos"]).mean()
    assert 0.83 < accuracy < 0.93


def test_ambiguous_words_take_all_their_tags(words):
    tags = words.groupby(words["word"].str.lower())["upos"].agg(set)
    assert tags["that"] == {"SCONJ", "DET", "PRON"}
    assert tags["to"] == {"PART", "ADP"}
    assert tags["her"] == {"PRON"}
    assert {"AUX", "NOUN", "PROPN"} <= tags["will"]
    assert {"NOUN", "VERB"} <= tags["saw"]
    assert {"NOUN", "VERB", "ADJ"} <= tags["light"] & tags["left"]
    assert {"AUX", "VERB"} <= tags["have"] and {"AUX", "VERB"} <= tags["do"]
    assert tags["is"] == tags["were"] == {"AUX"}
    assert tags["before"] == {"ADP", "SCONJ"}


def test_present_forms_agree_with_their_number(words):
    finite = words[words["number"].notna() & (words["tense"] == "Pres")]
    transitive = lexicon.VERBS["transitive"]
    rows = (*transitive, *lexicon.VERBS["motion"], lexicon.DO, lexicon.HAVE)
    third = {row[1] for row in rows} - {row[0] for row in transitive}
    assert set(finite.loc[finite["word"].isin(third), "number"]) == {"Sing"}
    are = finite[finite["word"] == "are"]
    previous = words["word"].shift().loc[are.index].str.lower()
    assert set(are.loc[previous.isin(["we", "they", "these"]), "number"]) == {"Plur"}


@pytest.mark.parametrize("tense", ["Pres", "Past"])
def test_subject_and_verb_agree(words, tense):
    before = words[["word", *_LABELS, "sentence_id"]].shift()
    # Sentences that start with a subject followed by a finite verb.
    opens = (words["position"] == 1) & words["number"].notna() & (words["tense"] == tense)
    opens &= before["number"].notna() & before["upos"].isin(["PRON", "PROPN"])
    assert opens.sum() > 50
    assert (words.loc[opens, "number"] == before.loc[opens, "number"]).all()


def test_third_person_pronouns_take_the_third_person_form(words):
    after = words["word"].shift(-1)
    base = _bases()
    finite_next = words["number"].shift(-1).notna() & (words["tense"].shift(-1) == "Pres")
    he = words["word"].isin(["He", "She", "he", "she"]) & finite_next
    assert he.sum() > 20
    assert not after[he].isin([*base, "are", "am", "have", "do"]).any()


def test_tense_and_number_stand_only_where_they_may(words):
    labeled = words[words["tense"].notna()]
    assert set(labeled["upos"]) == {"VERB", "AUX"}
    assert labeled["tense"].isin(["Pres", "Past"]).all()
    assert words.loc[words["upos"].isin(["NOUN", "PROPN"]), "number"].notna().all()
    assert words.loc[words["upos"].isin(["ADJ", "ADV", "ADP", "PUNCT"]), "number"].isna().all()
    assert (
        words.loc[words["word"].isin(lexicon.MODALS) & (words["upos"] == "AUX"), "tense"]
        .isna()
        .all()
    )
    infinitives = (words["upos"].shift() == "PART") & (words["word"].shift() == "to")
    assert (words.loc[infinitives, "upos"] == "VERB").all()
    assert words.loc[infinitives, "tense"].isna().all()


def test_spelling(words):
    first = words[words["position"] == 0]
    assert first["word"].str[0].str.isupper().all()
    last = words.groupby("sentence_id").tail(1)
    assert last["word"].isin([".", "?", "!"]).all() and (last["upos"] == "PUNCT").all()
    vowel = words["word"].shift(-1).str[0].isin(list("aeiou"))
    assert vowel[words["word"].isin(["an", "An"])].all()
    assert not vowel[(words["word"].isin(["a", "A"])) & (words["upos"] == "DET")].any()


def test_reproducible():
    first, again = (make_tagged_words(50, random_state=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["word"].equals(make_tagged_words(50, random_state=4)["word"])
    # Fewer sentences are the first of a larger number.
    more = make_tagged_words(60, random_state=3)
    assert more["word"].iloc[: len(first)].tolist() == first["word"].tolist()


def test_bad_parameters():
    with pytest.raises(ValueError, match="n_sentences"):
        make_tagged_words(0)


def _attested(path):
    counts = defaultdict(Counter)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if len(fields) == 10 and fields[0].isdigit():
                counts[fields[1].lower()][fields[3]] += 1
    return counts


def test_function_words_are_tagged_as_in_a_treebank(words, treebank):
    counts = _attested(treebank)
    closed = ["AUX", "ADP", "SCONJ", "CCONJ", "DET", "PRON", "PART", "NUM"]
    generated = words[words["upos"].isin(closed)]
    compared = 0
    for word, tag in set(zip(generated["word"].str.lower(), generated["upos"], strict=True)):
        if counts[word].total() >= 8:
            compared += 1
            assert tag in counts[word], (word, tag)
    assert compared > 60
