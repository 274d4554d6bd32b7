# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from sklearn_neurox.utils._metadata import accepts_metadata, fit_with_groups

X, y, GROUPS, WEIGHT = np.zeros((4, 1)), np.zeros(4), np.arange(4), np.ones(4)


class _Both(BaseEstimator):
    def fit(self, X, y=None, groups=None, sample_weight=None):
        self.got_ = (groups, sample_weight)
        return self


class _Neither(BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self


def test_estimators_get_what_they_accept_and_groups_are_optional():
    groups, weight = fit_with_groups(_Both(), X, y, GROUPS, WEIGHT).got_
    assert groups is GROUPS and weight is WEIGHT
    assert fit_with_groups(_Both(), X, y, None).got_ == (None, None)
    assert fit_with_groups(_Neither(), X, y, GROUPS).fitted_
    with pytest.raises(ValueError, match="_Neither takes no sample_weight in fit"):
        fit_with_groups(_Neither(), X, y, GROUPS, WEIGHT)


def test_a_pipeline_gets_what_its_steps_request():
    assert not accepts_metadata(make_pipeline(_Both()), "groups")
    with sklearn.config_context(enable_metadata_routing=True):
        assert not accepts_metadata(make_pipeline(_Both()), "groups")
        pipe = make_pipeline(_Both().set_fit_request(groups=True, sample_weight=False))
        assert accepts_metadata(pipe, "groups") and not accepts_metadata(pipe, "sample_weight")
        groups, weight = fit_with_groups(pipe, X, y, GROUPS)[-1].got_
        assert list(groups) == list(GROUPS) and weight is None


def test_a_frozen_estimator_accepts_everything_and_is_not_refitted():
    frozen = FrozenEstimator(_Neither().fit(X, y))
    assert fit_with_groups(frozen, X, y, GROUPS, WEIGHT).fitted_
