# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass

import torch

from sklearn_neurox.probes.solvers._certificate import Certificate, certify
from sklearn_neurox.probes.solvers._design import StandardizedDesign
from sklearn_neurox.probes.solvers._losses import BinaryLoss, MultinomialLoss
from sklearn_neurox.probes.solvers._penalty import ElasticNetPenalty


@dataclass
class Problem:
    """A penalised linear model on one matrix: what every algorithm is given.

    Attributes
    ----------
    design : StandardizedDesign

    loss : MultinomialLoss or BinaryLoss

    penalty : ElasticNetPenalty
        In float64, on the coefficients of the standardized columns.

    y : tensor of shape (n_samples,)
        Class indices, in the order of X.

    rows : tensor of shape (n_samples,)
        The rows of X in the order of the working copy.

    fit_intercept : bool
    """

    design: StandardizedDesign
    loss: MultinomialLoss | BinaryLoss
    penalty: ElasticNetPenalty
    y: torch.Tensor
    rows: torch.Tensor
    fit_intercept: bool

    @property
    def working(self):
        """The standardized copy, rows shuffled."""
        return self.design.working

    @property
    def shape(self):
        """Shape of the coefficients."""
        return self.loss.n_rows, self.working.shape[1]

    def zeros(self):
        """Coefficients and intercepts of nothing, in float64."""
        kind = {"dtype": torch.float64, "device": self.working.device}
        return torch.zeros(self.shape, **kind), torch.zeros(self.loss.n_rows, **kind)

    def certify(self, coef, intercept):
        """Certify a point on the data itself, in float64."""
        coef = coef.to(torch.float64)
        y = self.loss.encode(self.y, torch.float64)
        return self._certify(coef, intercept, self.design.scores(coef), y, self.design.correlate)

    def estimate(self, coef, intercept):
        """Certify a point on the working copy, in its precision: quick, and nearly the same.

        The probabilities of the result are in the order of the working copy.
        """
        scores = (self.working @ coef.to(self.working.dtype).T).double()
        y = self.loss.encode(self.y[self.rows], torch.float64)
        return self._certify(coef.double(), intercept, scores, y, self.correlate)

    def correlate(self, residual):
        """``residual.T @ Z / n_samples``, with the working copy and its precision."""
        return (residual.to(self.working.dtype).T @ self.working).double() / len(residual)

    def _certify(self, coef, scores_intercept, scores, y, correlate) -> Certificate:
        return certify(
            self.loss,
            self.penalty,
            coef,
            scores,
            y,
            correlate,
            intercept=scores_intercept.to(torch.float64),
            fit_intercept=self.fit_intercept,
        )

    def largest_eigenvalue(self, n_rows=2048, n_iter=20):
        """Estimate the largest eigenvalue of the correlation matrix.

        A few rows do: with fewer rows it comes out larger, which is the safe side.
        """
        part = self.working[:n_rows]
        vector = torch.ones(part.shape[1], dtype=part.dtype, device=part.device)
        norm = vector.norm()
        for _ in range(n_iter):
            vector = part.T @ (part @ (vector / norm)) / len(part)
            norm = vector.norm()
            if norm == 0:
                return 1.0
        return float(norm)


def classification_problem(
    X, encoded, *, alpha, l1_ratio, standardize, fit_intercept, rows, device
):
    """State the problem of a linear classifier with an elastic-net penalty.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    encoded : ndarray of shape (n_samples,)
        Class indices.

    alpha, l1_ratio : float

    standardize, fit_intercept : bool

    rows : ndarray of shape (n_samples,)
        A permutation of the samples.

    device : torch.device

    Returns
    -------
    problem : Problem
    """
    n_classes = int(encoded.max()) + 1
    design = StandardizedDesign(X, centre=fit_intercept, rows=rows, device=device)
    # The penalty of a coefficient of X, as one of the coefficient of the standardized column.
    unit = torch.ones_like(design.scale) if standardize else design.scale
    penalty = ElasticNetPenalty(alpha * l1_ratio / unit, alpha * (1 - l1_ratio) / unit.square())
    return Problem(
        design=design,
        loss=BinaryLoss() if n_classes == 2 else MultinomialLoss(n_classes),
        penalty=penalty,
        y=torch.as_tensor(encoded, device=device),
        rows=torch.as_tensor(rows, device=device),
        fit_intercept=fit_intercept,
    )
