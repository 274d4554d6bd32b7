# SPDX-License-Identifier: BSD-3-Clause
"""Make tables in the shape of those of well-known papers, on a treebank."""

import importlib

import pandas as pd

# Each is a module of this package, and imported when it runs.
TABLES = (
    "hewitt_liang",
    "voita_titov",
    "antverg_belinkov",
    "dalvi",
    "durrani",
    "gurnee",
    "similarity",
)


def run(*, quick: bool = False, table: str | None = None) -> dict[str, pd.DataFrame]:
    """Make the tables.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use only a few sentences and settings.

    table : str or None, default=None
        The table to make; None makes all.

    Returns
    -------
    tables : dict of DataFrame
        The tables by title.
    """
    if table not in (None, *TABLES):
        raise ValueError(f"There is no table {table!r}; choose from {list(TABLES)}.")
    tables = {}
    for name in TABLES if table is None else [table]:
        made = importlib.import_module(f"benchmarks._papers._{name}").make(quick=quick)
        tables.update({f"{name}: {title}": frame for title, frame in made.items()})
    return tables
