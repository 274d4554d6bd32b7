# SPDX-License-Identifier: BSD-3-Clause
"""The penalized problems on which the probes and their peers are timed."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path


@dataclass
class Problem:
    """A standardized float32 matrix, its labels or targets, and a penalty."""

    name: str
    X: np.ndarray
    y: np.ndarray
    alpha: float
    l1_ratio: float

    @property
    def kind(self):
        """Return "multinomial", "binary" or "regression"."""
        if self.y.dtype.kind == "f":
            return "regression"
        return "binary" if len(np.unique(self.y)) == 2 else "multinomial"

    def objective(self, coef, intercept):
        """Compute the mean loss plus penalty in float64."""
        coef = np.atleast_2d(np.asarray(coef, dtype=np.float64))
        scores = (self.X @ coef.T.astype(np.float32)).astype(np.float64) + intercept
        size = self.l1_ratio * np.abs(coef).sum() + (1 - self.l1_ratio) / 2 * (coef**2).sum()
        return self._loss(scores) + self.alpha * size

    def _loss(self, scores):
        if self.kind == "regression":
            return ((scores[:, 0] - self.y) ** 2).mean() / 2
        if scores.shape[1] == 1:
            scores = np.hstack([np.zeros_like(scores), scores])
        codes = np.unique(self.y, return_inverse=True)[1]
        return -log_softmax(scores, axis=1)[np.arange(len(codes)), codes].mean()


def real_problems() -> list[Problem]:
    """Return the problems on real words: all layers of the demo model."""
    words = benchmark_words(quick=False)
    features = make_pipeline(
        ActivationExtractor(demo_model_path()), SubwordAggregator("last"), StandardScaler()
    )
    X, y = features.fit_transform(words), words["upos"].to_numpy().astype(str)
    noun = np.where(y == "NOUN", "noun", "other")
    length = np.log1p(words["word"].str.len().to_numpy(dtype=np.float64))
    return [
        Problem("words", X, y, 3e-3, 1 / 3),
        Problem("words, weak penalty", X, y, 1e-3, 0.5),
        Problem("words, ridge", X, y, 3e-3, 0.0),
        Problem("words, noun or not", X, noun, 3e-3, 0.5),
        Problem("words, length", X, length, 3e-3, 0.5),
        Problem("words, length, ridge", X, length, 3e-3, 0.0),
    ]


def planted(
    n_samples: int,
    n_features: int,
    *,
    kind: str = "multinomial",
    n_classes: int = 10,
    alpha: float = 3e-3,
    l1_ratio: float = 0.5,
) -> Problem:
    """Generate data from a sparse linear model over correlated columns."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((n_samples, 20), dtype=np.float32)
    X = latent @ rng.standard_normal((20, n_features), dtype=np.float32) / 5
    X += rng.standard_normal((n_samples, n_features), dtype=np.float32)
    X -= X.mean(axis=0)
    X /= X.std(axis=0)
    n_rows = n_classes if kind == "multinomial" else 1
    coef = rng.normal(size=(n_features, n_rows)) * (rng.uniform(size=(n_features, 1)) < 0.05)
    scores = X @ coef.astype(np.float32)
    scores *= 3 / scores.std()
    if kind == "regression":
        y = scores[:, 0].astype(np.float64) + rng.normal(size=n_samples)
    elif kind == "binary":
        y = np.where(scores[:, 0] + rng.logistic(size=n_samples) > 0, "yes", "no")
    else:
        y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    what = f" x {n_classes}" if kind == "multinomial" else ""
    ridge = "" if l1_ratio else ", ridge"
    name = f"planted {kind} {n_samples:,} x {n_features:,}{what}{ridge}"
    return Problem(name, X, y, alpha, l1_ratio)
