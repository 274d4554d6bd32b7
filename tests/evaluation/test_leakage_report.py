# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.evaluation import leakage_report
from sklearn_neurox.words import words_frame


@pytest.fixture
def words():
    """Return three sentences; the last repeats the first."""
    return words_frame([["The", "dog", "barks"], ["the", "cat"], ["The", "dog", "barks"]])


def test_counts_by_hand(words):
    with pytest.warns(UserWarning, match=r"3 of 8 test words \(37.5%\) .* in 1 of 2 folds; .* row"):
        report = leakage_report(
            words, [(range(5), [5, 6, 7]), ([0, 1, 2, 5, 6, 7], [3, 4, 4, 4, 3])]
        )
    assert report.to_dict("records") == [
        {
            "fold": 0,
            "n_train_words": 5,
            "n_test_words": 3,
            "n_test_texts": 1,
            "n_shared_texts": 1,
            "n_words_shared_text": 3,
            "share_shared_text": 1.0,
            "n_test_types": 3,
            "n_seen_types": 3,
            "n_words_seen_type": 3,
            "share_seen_type": 1.0,
            "n_words_seen_type_casefold": 3,
            "share_seen_type_casefold": 1.0,
        },
        {
            "fold": 1,
            "n_train_words": 6,
            "n_test_words": 5,
            "n_test_texts": 1,
            "n_shared_texts": 0,
            "n_words_shared_text": 0,
            "share_shared_text": 0.0,
            "n_test_types": 2,
            "n_seen_types": 0,
            "n_words_seen_type": 0,
            "share_seen_type": 0.0,
            "n_words_seen_type_casefold": 2,
            "share_seen_type_casefold": 0.4,
        },
    ]


def test_masks_are_rows(words):
    test = np.arange(8) >= 5
    with pytest.warns(UserWarning, match="row 5"):
        by_mask = leakage_report(words, [(~test, test)])
    with pytest.warns(UserWarning, match="row 5"):
        assert by_mask.equals(leakage_report(words, [(np.arange(5), np.arange(5, 8))]))


def test_groups_of_texts_do_not_leak_and_sentence_ids_do():
    words = make_tagged_words(400, random_state=0)
    again = words[words["sentence_id"] < 40]
    words = pd.concat([words, again.assign(sentence_id=again["sentence_id"] + 400)])
    report = leakage_report(words, 4, groups=words["text"])
    assert (report["n_shared_texts"] == 0).all() and (report["n_shared_groups"] == 0).all()
    assert report["n_test_words"].sum() == len(words)
    assert (report["share_seen_type"] > 0.5).all()
    assert (report["share_seen_type_casefold"] >= report["share_seen_type"]).all()
    with pytest.warns(UserWarning, match='groups=words\\["text"\\]'):
        by_sentence = leakage_report(words, GroupKFold(4), groups=words["sentence_id"])
    assert by_sentence["n_shared_texts"].sum() > 0 and not by_sentence["n_shared_groups"].any()
    with pytest.warns(UserWarning, match="exact text is also in training, in 4 of 4 folds"):
        shuffled = list(KFold(4, shuffle=True, random_state=0).split(words))
        by_word = leakage_report(words, shuffled, groups=words["text"])
    assert (by_word["share_shared_text"] > 0.9).all() and by_word["n_shared_groups"].all()


def test_splitters_that_stratify_get_the_labels(words):
    words = words.assign(label=[0, 1, 0, 1, 0, 1, 0, 1])
    with pytest.warns(UserWarning, match="Keep identical sentences in one fold"):
        report = leakage_report(words, StratifiedKFold(2), y=words["label"])
    assert report["n_test_words"].tolist() == [4, 4]


def test_wrong_input_is_named(words):
    with pytest.raises(ValueError, match="'words' parameter of leakage_report"):
        leakage_report(list("abc"), 2)
    with pytest.raises(ValueError, match="reads the column 'text'"):
        leakage_report(words.drop(columns="text"), 2)
    with pytest.raises(ValueError, match="Fold 0 of leakage_report has no test rows"):
        leakage_report(words, [([0, 1], [])])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        leakage_report(words, 2, groups=[0, 1])
