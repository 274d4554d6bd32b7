# SPDX-License-Identifier: BSD-3-Clause
"""Fits of a probe on subsets of the rows, in threads and with a progress bar."""

import numpy as np
from sklearn.base import clone

# Private and without a public counterpart, but scikit-learn's cross-validation uses it to index
# arrays, lists, frames and other objects with a shape.
from sklearn.utils import _safe_indexing as take_rows
from sklearn.utils.parallel import Parallel

from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._tqdm import counted, progress_bar


def fit_on_rows(estimator, X, y, groups, rows, label_rows=None):
    """Fit a clone of an estimator on some rows, with their labels or those of ``label_rows``."""
    labels = take_rows(y, rows if label_rows is None else label_rows)
    groups = None if groups is None else np.asarray(groups)[rows]
    probe = clone(estimator)
    fit_with_groups(probe, take_rows(X, rows), labels, groups)
    return probe


def run_fits(jobs, n_jobs, verbose):
    """Run delayed jobs and return their results in order."""
    # Threads share X, and long numerical work releases the interpreter lock.
    results = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs)
    with progress_bar(len(jobs), verbose, desc="probing", unit="fit") as bar:
        return counted(bar, results)
