# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
)
from tests.probes.oracles import classes_data, numbers_data, objective_of

_CASES = [
    (ElasticNetProbeClassifier, 2, "auto"),
    (ElasticNetProbeClassifier, 3, "auto"),
    (ElasticNetProbeClassifier, 3, "saga"),
    (ElasticNetProbeClassifier, 3, "svrg"),
    (ElasticNetProbeClassifier, 3, "fista"),
    (ElasticNetProbeRegressor, None, "auto"),
    (ElasticNetProbeRegressor, 2, "saga"),
]


class Recorder:
    """Records its calls and asks to stop after some epochs."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.log = []
        self.set_up = 0

    def setup(self, estimator, context):
        self.set_up += 1

    def teardown(self, estimator, context):
        self.set_up -= 1

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.log.append(("begin", context.task_name, context.task_id, None))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.log.append(("end", context.task_name, context.task_id, fitted_estimator))
        self.data = (X, y, metadata)
        return self.stop_after is not None and len(self.of("end", "epoch")) >= self.stop_after

    def of(self, hook, task):
        return [entry for entry in self.log if entry[:2] == (hook, task)]


def data_of(kind, number):
    if issubclass(kind, ElasticNetProbeClassifier | ElasticNetProbeClassifierCV):
        return classes_data(400, n_classes=number)
    return numbers_data(400, n_outputs=number)


@pytest.mark.parametrize(("kind", "number", "solver"), _CASES)
def test_every_epoch_is_a_subtask(kind, number, solver):
    X, y = data_of(kind, number)
    recorder = Recorder()
    probe = kind(1e-2, solver=solver, max_iter=20000, random_state=0, tol=1e-5)
    weight = np.random.RandomState(0).uniform(0.5, 1, size=len(X))
    watched = clone(probe).set_callbacks(recorder).fit(X, y, sample_weight=weight)
    begun, ended = recorder.of("begin", "epoch"), recorder.of("end", "epoch")
    assert [entry[2] for entry in begun] == list(range(len(begun)))
    assert [entry[2] for entry in ended] == list(range(len(begun)))
    assert 1 <= len(begun) <= watched.n_iter_
    assert recorder.log[0][:2] == ("begin", "fit")
    assert recorder.log[-1][:2] == ("end", "fit")
    assert recorder.set_up == 0
    assert recorder.data[0] is not None
    assert recorder.data[2]["sample_weight"] is weight
    # Callbacks do not change the fit.
    alone = clone(probe).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(watched.coef_, alone.coef_)
    assert watched.n_iter_ == alone.n_iter_


@pytest.mark.parametrize(("kind", "number", "solver"), _CASES)
def test_fitted_estimators_given_to_callbacks_predict_and_improve(kind, number, solver):
    X, y = data_of(kind, number)
    recorder = Recorder()
    probe = kind(1e-2, solver=solver, max_iter=20000, random_state=0, tol=1e-6)
    probe.set_callbacks(recorder).fit(X, y)
    given = [entry[3] for entry in recorder.of("end", "epoch")]
    for one in given[:3]:
        assert one is not probe
        assert one.predict(X).shape == probe.predict(X).shape
        assert one.coef_.shape == probe.coef_.shape
        assert np.isfinite(one.coef_).all()
    objectives = [objective_of(one, X, y) for one in given]
    best = objective_of(probe, X, y)
    assert objectives[-1] == pytest.approx(best, rel=1e-3)
    assert min(objectives) >= best * (1 - 2e-6)
    last = recorder.of("end", "fit")[-1][3]
    np.testing.assert_array_equal(last.predict(X), probe.predict(X))
    np.testing.assert_array_equal(last.coef_, probe.coef_)


# Newton solves least squares in one epoch, so there is nothing to stop.
@pytest.mark.parametrize(("kind", "number", "solver"), _CASES[:5] + _CASES[6:])
def test_a_callback_can_stop_the_fit(kind, number, solver):
    X, y = data_of(kind, number)
    recorder = Recorder(stop_after=1)
    probe = kind(1e-4, solver=solver, max_iter=20000, random_state=0, tol=1e-14)
    probe.set_callbacks(recorder)
    with pytest.warns(ConvergenceWarning):
        probe.fit(X, y)
    assert len(recorder.of("end", "epoch")) == 1
    assert recorder.of("end", "fit")
    assert np.isfinite(probe.coef_).all()
    assert probe.dual_gap_ > 0
    assert probe.predict(X).shape == np.shape(y)


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
def test_the_message_of_a_stopped_fit_does_not_blame_max_iter(kind):
    X, y = data_of(kind, 3)
    probe = kind(1e-4, solver="saga", max_iter=777, random_state=0, tol=1e-12)
    probe.set_callbacks(Recorder(stop_after=2))
    with pytest.warns(ConvergenceWarning) as caught:
        probe.fit(X, y)
    assert "max_iter=777 epochs" not in str(caught[0].message)


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
def test_scoring_monitor_has_one_row_per_epoch(kind):
    X, y = data_of(kind, 3)
    name = "accuracy" if kind is ElasticNetProbeClassifier else "r2"
    monitor = ScoringMonitor(scoring=name)
    probe = kind(1e-2, solver="saga", random_state=0, tol=1e-5).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    epochs = log[log.task_name == "epoch"]
    assert len(epochs) >= 2
    score = epochs[name].to_numpy()
    assert score[-1] == pytest.approx(probe.score(X, y), abs=5e-3)
    assert score[-1] >= score[0] - 1e-3


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
def test_progress_bar(kind, capsys):
    X, y = data_of(kind, 3)
    kind(1e-2, random_state=0).set_callbacks(ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    assert kind.__name__ in shown
    assert "100%" in shown


def test_progress_bar_of_a_pipeline(capsys):
    X, y = classes_data()
    pipe = make_pipeline(StandardScaler(), ElasticNetProbeClassifier(1e-2, random_state=0))
    pipe.set_callbacks(ProgressBar()).fit(X, y)
    assert "100%" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifierCV, ElasticNetProbeRegressorCV])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_every_fold_is_a_subtask(kind, n_jobs):
    X, y = data_of(kind, 3)
    recorder = Recorder()
    probe = kind(alphas=3, eps=0.05, cv=KFold(3), n_jobs=n_jobs, random_state=0)
    probe.set_callbacks(recorder).fit(X, y)
    assert sorted(entry[2] for entry in recorder.of("begin", "fold")) == [0, 1, 2]
    assert sorted(entry[2] for entry in recorder.of("end", "fold")) == [0, 1, 2]
    last = recorder.of("end", "fit")[-1][3]
    np.testing.assert_array_equal(last.predict(X), probe.predict(X))
    assert set(recorder.data[2]) == {"sample_weight", "groups"}


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifierCV, ElasticNetProbeRegressorCV])
def test_progress_bar_of_folds(kind, capsys):
    X, y = data_of(kind, 3)
    kind(alphas=2, eps=0.1, cv=KFold(2), random_state=0).set_callbacks(ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    assert kind.__name__ in shown
    assert "100%" in shown
