# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class OnlineCode:
    """Code lengths measured by `online_codelength`.

    Parameters
    ----------
    codelength : float
        Length of the labels when a probe encodes them block by block.

    uniform_codelength : float
        Length of the labels without a probe: n log2 K.

    data_codelength : float or None
        Length of the labels under a probe fitted to all of them. None unless ``decompose=True``.

    model_codelength : float or None
        ``codelength - data_codelength``, which can be attributed to learning the probe. None unless
        ``decompose=True``.

    units : {"bits", "voita2020"}
        Unit of all lengths.

    blocks : DataFrame of shape (n_blocks, 6) or (n_blocks, 7)
        One row per block: ``fraction`` (of all rows, up to the end of the block), ``n_train``
        (number of rows before the block), ``n_samples``, ``n_unseen`` (number of its rows whose
        label did not occur before), ``codelength`` and ``uniform_codelength``; with a tuned
        penalty, also ``alpha``.

    low, high : float
        Confidence interval of ``codelength`` by groups; NaN without groups.

    See Also
    --------
    online_codelength : Measure the code lengths.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.evaluation import online_codelength
    >>> X = np.random.RandomState(0).randn(200, 2)
    >>> code = online_codelength(LogisticRegression(), X, X[:, 0] > 0, groups=range(200))
    >>> code.to_frame().columns.tolist()
    ['codelength', 'low', 'high', 'uniform_codelength', 'compression']
    >>> code.blocks["n_samples"].sum()
    np.int64(200)
    """

    codelength: float
    uniform_codelength: float
    data_codelength: float | None
    model_codelength: float | None
    units: str
    blocks: pd.DataFrame = field(repr=False)
    low: float = float("nan")
    high: float = float("nan")

    @property
    def compression(self) -> float:
        """Ratio of the uniform code length to the code length; higher is better."""
        return self.uniform_codelength / self.codelength

    def to_frame(self) -> pd.DataFrame:
        """Return the totals as a one-row DataFrame, to concatenate with those of other layers.

        Returns
        -------
        frame : DataFrame of shape (1, 5) or (1, 7)
            Columns ``codelength``, ``low``, ``high``, ``uniform_codelength`` and ``compression``;
            with ``decompose=True``, also ``data_codelength`` and ``model_codelength``.
        """
        columns = ["codelength", "low", "high", "uniform_codelength", "compression"]
        if self.data_codelength is not None:
            columns += ["data_codelength", "model_codelength"]
        return pd.DataFrame([{column: getattr(self, column) for column in columns}])
