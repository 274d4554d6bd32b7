# SPDX-License-Identifier: BSD-3-Clause
"""One step of greedy Gaussian selection, with torch scoring every candidate from scratch."""

import time

import numpy as np
import pandas as pd

_N_CHOSEN = 25
_N_TIMED = 20


def plain_step_seconds(X: np.ndarray, y: np.ndarray) -> float:
    """Time the search for the next neuron after 25 have been selected, halfway to fifty.

    For each candidate, one normal distribution per class, over the selected neurons and the
    candidate, scores the held-out fifth of the rows. The time of twenty candidates is extrapolated
    to all of them.
    """
    import torch
    from torch.distributions import MultivariateNormal

    held_out = np.arange(len(y)) >= 0.8 * len(y)
    codes = pd.factorize(y)[0]
    train, test = X[~held_out], torch.from_numpy(X[held_out])
    counts = np.bincount(codes[~held_out])
    own = [train[codes[~held_out] == code] for code in np.flatnonzero(counts > 1)]
    means = [torch.from_numpy(rows.mean(axis=0)) for rows in own]
    ridge = 0.1 * np.eye(X.shape[1])
    spreads = [np.cov(rows, rowvar=False) + ridge for rows in own]
    spreads = [torch.from_numpy(spread.astype(X.dtype)) for spread in spreads]
    started = time.perf_counter()
    for candidate in range(_N_CHOSEN, _N_CHOSEN + _N_TIMED):
        chosen = [*range(_N_CHOSEN), candidate]
        joint = torch.stack(
            [
                MultivariateNormal(mean[chosen], spread[chosen][:, chosen]).log_prob(
                    test[:, chosen]
                )
                for mean, spread in zip(means, spreads, strict=True)
            ]
        )
        joint.logsumexp(dim=0).mean()
    return (time.perf_counter() - started) * (X.shape[1] - _N_CHOSEN) / _N_TIMED
