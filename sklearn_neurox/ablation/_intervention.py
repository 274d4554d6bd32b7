# SPDX-License-Identifier: BSD-3-Clause
"""An intervention in a model: what is changed, how, and where."""

import contextlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import HasMethods, StrOptions

from sklearn_neurox.ablation._direction_fills import check_directions, is_direction
from sklearn_neurox.ablation._fills import check_fills
from sklearn_neurox.ablation._interchange import check_interchange
from sklearn_neurox.extraction._editing._neurons import find_neurons
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._validation import check_row_order

WHAT_CONSTRAINTS = ["array-like", str, HasMethods(["fit"])]
POSITIONS_CONSTRAINTS = [StrOptions({"all", "not_first", "generated"}), "array-like"]


@dataclass(frozen=True)
class Intervention:
    """Changes to a model, at some tokens."""

    fills: object  # Fills or DirectionFills
    positions: object  # Positions, or None for all tokens
    read: object = None  # returns the states of other rows, if they are inserted

    @contextlib.contextmanager
    def applied(self, model, places=None):
        """Change a model within the context; ``places`` chooses neurons or directions."""
        from sklearn_neurox.extraction._editing._editing import editing

        changes = self.prepared().fills.changes(places)
        with editing(model, changes, self.positions):
            yield model

    def prepared(self):
        """Return an intervention that has read the other rows, if it inserts their states."""
        if self.read is None:
            return self
        return replace(self, fills=self.fills.with_states(self.read()), read=None)


def check_what(spec, what, fill, values, step, *, caller, parameter="neurons"):
    """Check what is changed in a model, and how.

    Parameters
    ----------
    spec : ModelSpec

    what : str, array-like of str, Series, DataFrame or estimator
        Names of neurons, heads and patterns; or directions, or an eraser.

    fill, values, step : object
        The parameters of `ablate_model`.

    caller, parameter : str
        The function and its parameter ``what``, for messages.

    Returns
    -------
    fills : Fills or DirectionFills
    """
    what = what if isinstance(what, str) else to_pandas(what)
    if is_direction(what):
        return check_directions(spec, what, fill, values, step, caller=caller, parameter=parameter)
    names = [what] if isinstance(what, str) else what
    if np.size(names) and np.asarray(names).dtype.kind == "f":
        raise ValueError(
            f"The {parameter!r} parameter of {caller} holds numbers, which do not say which "
            "neurons they belong to. Pass names; or, for a direction, "
            "pd.Series(values, index=names)."
        )
    return check_fills(fill, values, step, find_neurons(spec, names, caller=caller), caller=caller)


def plan_intervention(extractor, fills, positions, values, *, model, caller):
    """Check where a model is changed, and the rows whose states are inserted.

    Parameters
    ----------
    extractor : ActivationExtractor
        Determines how texts are read.

    fills : Fills or DirectionFills

    positions, values : object
        The parameters of `ablate_model`.

    model : PreTrainedModel, TorchModel or None
        The model that will run; None if it is not loaded yet, as it has no head.

    caller : str
        The public function, for messages.

    Returns
    -------
    intervention : Intervention
    """
    from sklearn_neurox.extraction._editing._check_positions import check_positions

    is_interchange = fills.fill == "interchange"
    if is_interchange and isinstance(positions, str):
        raise ValueError(
            f"{caller} inserts the states of other rows with fill='interchange', so 'positions' "
            f"must be a frame of as many rows. Got {positions!r}."
        )
    positions = positions if isinstance(positions, str) else to_pandas(positions)
    places, tokens = check_positions(
        positions,
        None if isinstance(positions, str) else extractor._request(),
        fills.blocks,
        model=model,
        caller=caller,
        numbered=is_interchange,
    )
    if not is_interchange:
        return Intervention(fills, places)
    values = None if values is None else to_pandas(values)
    if not (isinstance(values, pd.DataFrame) and "text" in values.columns):
        # Other rows are often in another order on purpose; their states have the order of rows.
        check_row_order(positions=positions, values=values)
    read = check_interchange(values, fills, tokens, extractor, caller=caller)
    return Intervention(fills, places, read)
