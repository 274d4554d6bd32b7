# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class OnlineCode:
    """The lengths of an online code, as `online_codelength` measured them.

    Parameters
    ----------
    codelength : float
        The labels, sent by the probe block by block.

    uniform_codelength : float
        The labels without any probe: n log2 K.

    data_codelength : float or None
        The labels by a probe fitted to all of them. None if it was not asked for.

    model_codelength : float or None
        What remains of the code then, and may be ascribed to the probe.

    units : {"bits", "voita2020"}
        What all lengths are in.

    blocks : DataFrame of shape (n_blocks, 6)
        A row a block: ``fraction`` (the share of the rows sent by its end), ``n_train`` (the rows
        before it), ``n_samples``, ``n_unseen`` (those of its rows whose label was not seen before),
        ``codelength`` and ``uniform_codelength``.

    See Also
    --------
    online_codelength : Makes it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.evaluation import online_codelength
    >>> X = np.random.RandomState(0).randn(200, 2)
    >>> code = online_codelength(LogisticRegression(), X, X[:, 0] > 0, groups=range(200))
    >>> code.to_frame().columns.tolist()
    ['codelength', 'uniform_codelength', 'compression']
    >>> code.blocks["n_samples"].sum()
    np.int64(200)
    """

    codelength: float
    uniform_codelength: float
    data_codelength: float | None
    model_codelength: float | None
    units: str
    blocks: pd.DataFrame = field(repr=False)

    @property
    def compression(self) -> float:
        """How many times shorter the code is than the uniform one."""
        return self.uniform_codelength / self.codelength

    def to_frame(self) -> pd.DataFrame:
        """Give the totals as a table, to be stacked with those of other layers or probes.

        Returns
        -------
        frame : DataFrame of shape (1, 3) or (1, 5)
            The columns ``codelength``, ``uniform_codelength`` and ``compression``; and
            ``data_codelength`` and ``model_codelength``, where they were asked for.
        """
        columns = ["codelength", "uniform_codelength", "compression"]
        if self.data_codelength is not None:
            columns += ["data_codelength", "model_codelength"]
        return pd.DataFrame([{column: getattr(self, column) for column in columns}])
