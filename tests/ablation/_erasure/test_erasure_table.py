# SPDX-License-Identifier: BSD-3-Clause
"""The table of erasure, against the same steps by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import GroupKFold, cross_val_score

from sklearn_neurox.ablation import ConceptEraser, erasure_table

_PROBE = LogisticRegression(max_iter=1000)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    X = rng.normal(size=(300, 10))
    X[:, :3] += 3 * np.eye(3)[y]
    return X, y, X[:, 5] > 0, np.arange(300) // 10


@pytest.mark.slow
def test_scores_and_distances_are_those_of_the_steps_by_hand(data):
    X, y, other, groups = data
    table = erasure_table(
        X, y, {"other": other}, erasers=["leace", "mean"], probe=_PROBE, n_draws=2, cv=3,
        groups=groups, random_state=0,
    )  # fmt: skip
    for number, (train, test) in enumerate(GroupKFold(3).split(X, y, groups)):
        for method in ("leace", "mean"):
            eraser = ConceptEraser(method).fit(X[train], y[train])
            before, after = eraser.transform(X[train]), eraser.transform(X[test])
            moved = np.square(after - X[test]).sum()
            spread = np.square(X[test] - X[train].mean(axis=0)).sum()
            rows = table[(table["fold"] == number) & (table["eraser"] == method)]
            np.testing.assert_allclose(rows["distance"], np.sqrt(moved / spread))
            for name, label in (("concept", y), ("other", other)):
                row = rows[rows["target"] == name].iloc[0]
                probe = LogisticRegression(max_iter=1000).fit(before, label[train])
                assert row["score"] == probe.score(after, label[test])
                dummy = DummyClassifier().fit(X[train], label[train])
                assert row["chance"] == dummy.score(X[test], label[test])
                assert row["is_erased"] == (name == "concept")
                assert row["n_directions"] == 2
    none = table[(table["eraser"] == "none") & (table["target"] == "other")]
    expected = cross_val_score(_PROBE, X, other, groups=groups, cv=GroupKFold(3))
    np.testing.assert_array_equal(none["score"], expected)
    assert (none["distance"] == 0).all()
    assert (none["n_directions"] == 0).all()


@pytest.mark.slow
def test_random_erasure_has_the_rank_of_every_eraser(data):
    X, y, other, groups = data
    erasers = {"one": ConceptEraser(n_directions=1), "all": ConceptEraser(), "twin": "mean"}
    table = erasure_table(
        X, y, erasers=erasers, probe=_PROBE, n_draws=3, cv=2, groups=groups, random_state=0
    )
    random = table[table["eraser"] == "random"]
    assert random.groupby(["fold", "n_directions"])["draw"].agg(list).tolist() == [[0, 1, 2]] * 4
    assert random["score"].min() > 0.5
    assert table[table["eraser"] == "all"]["score"].max() < 0.45
    same = erasure_table(
        X, y, erasers=erasers, probe=_PROBE, n_draws=3, cv=2, groups=groups, random_state=0,
        n_jobs=2,
    )  # fmt: skip
    pd.testing.assert_frame_equal(table, same)
    without = erasure_table(X, y, probe=_PROBE, n_draws=0, cv=2, groups=groups)
    assert set(without["eraser"]) == {"none", "leace"}


@pytest.mark.slow
def test_columns_of_frames_have_their_own_probes(data):
    X, y, other, groups = data
    number = X[:, 7] + 0.25
    concept = pd.DataFrame({"pos": np.array(list("abc"))[y], "size": number})
    table = erasure_table(
        X, concept, pd.Series(other, name="sign"), n_draws=0, cv=2, groups=groups, random_state=0
    )
    erased = table[table["eraser"] == "leace"].set_index(["fold", "target"])["score"].unstack()
    before = table[table["eraser"] == "none"].set_index(["fold", "target"])["score"].unstack()
    assert list(erased.columns) == ["pos", "sign", "size"]
    assert (before[["pos", "size"]] > 0.8).all(axis=None)
    assert (erased["pos"] < 0.45).all()
    assert (erased["size"] < 0.05).all()
    assert (erased["sign"] > before["sign"] - 0.05).all()
    assert table[["target", "is_erased"]].drop_duplicates()["is_erased"].tolist() == [1, 1, 0]
    assert (table.loc[table["target"] == "size", "chance"] <= 0).all()


def test_own_erasers_scorers_and_regressors(data):
    X, y, _, groups = data

    class Clipper(ConceptEraser):
        """An eraser that does not tell its directions."""

        def fit(self, X, y=None):
            self.n_features_in_ = X.shape[1]
            return self

        def transform(self, X):
            return X.clip(-1, 1)

    table = erasure_table(
        X, y, erasers=[Clipper()], probe=Ridge(), scoring="r2", cv=2, groups=groups
    )
    assert table["n_directions"].isna().sum() == 2
    assert set(table["eraser"]) == {"none", "leace"}  # named after its method
    fold = next(GroupKFold(2).split(X, y, groups))
    score = get_scorer("r2")(Ridge().fit(X[fold[0]], y[fold[0]]), X[fold[1]], y[fold[1]])
    assert table["score"][0] == pytest.approx(score)


def test_bad_input_is_named(data):
    X, y, other, groups = data
    options = {"probe": _PROBE, "cv": 2, "groups": groups}
    with pytest.raises(ValueError, match="several targets named 'concept'"):
        erasure_table(X, y, {"concept": other}, **options)
    with pytest.raises(ValueError, match="'a' of erasure_table has 2 columns"):
        erasure_table(X, y, {"a": np.column_stack([y, y])}, **options)
    with pytest.raises(ValueError, match="at least one eraser"):
        erasure_table(X, y, erasers=[], **options)
    with pytest.raises(ValueError, match="Got LogisticRegression"):
        erasure_table(X, y, erasers=[_PROBE], **options)
    with pytest.raises(ValueError, match="'none' is reserved"):
        erasure_table(X, y, erasers={"none": "leace"}, **options)
    with pytest.raises(ValueError, match="several erasers named 'leace'"):
        erasure_table(X, y, erasers=["leace", ConceptEraser(n_directions=1)], **options)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        erasure_table(X, y, {"other": other[1:]}, **options)
    with pytest.warns(UserWarning, match="erasure_table was given no groups"):
        erasure_table(X, y, probe=_PROBE, cv=2, n_draws=0)
