# SPDX-License-Identifier: BSD-3-Clause
"""Read the ``positions`` parameter of functions that change a model."""

from sklearn_neurox.extraction._editing._generation import can_generate
from sklearn_neurox.extraction._editing._positions import Generated, NotFirst
from sklearn_neurox.extraction._editing._row_positions import RowPositions, TokensOfRows

_NAMES = ("all", "not_first", "generated")


def check_positions(positions, request, blocks, *, model, caller, numbered=False):
    """Return the positions that a parameter names, None for all, and the tokens of its rows.

    Parameters
    ----------
    positions : {"all", "not_first", "generated"}, DataFrame or array-like of str
        Rows, if not a name.

    request : ExtractionRequest
        Determines how texts are read.

    blocks : tuple of Block
        Those to be changed.

    model : PreTrainedModel, TorchModel or None
        The model that will run; None if it is not loaded yet, as it has no head.

    caller : str
        The public function, for messages.

    numbered : bool, default=False
        Whether slots tell apart the tokens of the rows.

    Returns
    -------
    positions : Positions or None

    tokens : list of TokensOfRows
        One for each stack; empty without rows.

    Raises
    ------
    ValueError
        If the name is unknown, the model does not generate, or the rows are wrong.
    """
    stacks = list(dict.fromkeys(block.stack for block in blocks))
    if not isinstance(positions, str):
        tokens = [TokensOfRows(request, positions, stack=one, caller=caller) for one in stacks]
        numbers = tokens[0].numbers(caller=caller) if numbered and len(tokens) == 1 else None
        return RowPositions(tokens, numbers=numbers, caller=caller), tokens
    if positions not in _NAMES:
        raise ValueError(
            f"The 'positions' parameter of {caller} must be one of {', '.join(map(repr, _NAMES))}, "
            f"or a frame of rows. Got {positions!r}."
        )
    if positions == "generated":
        _check_generates(model, stacks, caller)
        return Generated(), []
    return (NotFirst() if positions == "not_first" else None), []


def _check_generates(model, stacks, caller):
    problem = None
    if model is None or not can_generate(model):
        name = "a model without its head" if model is None else f"a {type(model).__name__}"
        problem = f"{name} generates no text. Pass a model with a language-model head"
    elif "encoder" in stacks:
        problem = "an encoder reads no generated tokens. Change neurons of the decoder"
    if problem:
        raise ValueError(f"The 'positions' parameter of {caller} is 'generated', but {problem}.")
