# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.utils._folds import make_splitter


@pytest.mark.parametrize("cv", [KFold(2), LeaveOneGroupOut()])
def test_a_splitter_is_kept(cv):
    assert make_splitter(cv, None, caller="it") is cv


def test_a_number_keeps_groups_together():
    folds = make_splitter(3, [0, 1, 2], caller="it")
    assert isinstance(folds, GroupKFold) and folds.get_n_splits() == 3


def test_a_generator_of_splits_is_read_once():
    folds = make_splitter((split for split in [([0], [1]), ([1], [0])]), None, caller="it")
    assert len(list(folds.split())) == len(list(folds.split())) == 2


def test_an_empty_iterable_is_an_error():
    with pytest.raises(ValueError, match="'cv' parameter of it contains no splits"):
        make_splitter(iter([]), None, caller="it")
    with pytest.raises(ValueError, match="'cv' parameter of ablation_curve contains no splits"):
        ablation_curve(LogisticRegression(), np.eye(4), [0, 1, 0, 1], cv=[])
