# SPDX-License-Identifier: BSD-3-Clause
"""Choose columns with abess, in an interpreter that has it: ``_abess_worker.py in.npz out.npz``."""

import sys
import time

import numpy as np
from abess.linear import LogisticRegression


def main():
    with np.load(sys.argv[1]) as file:
        X, y, sizes = file["X"].astype(np.float64), file["y"], file["sizes"]
    chosen, seconds = {}, []
    for size in sizes.tolist():
        started = time.process_time()
        model = LogisticRegression(support_size=size).fit(X, y)
        seconds.append(time.process_time() - started)
        chosen[f"columns_{size}"] = np.flatnonzero(model.coef_)
    np.savez(sys.argv[2], seconds=seconds, **chosen)


if __name__ == "__main__":
    main()
