# SPDX-License-Identifier: BSD-3-Clause
"""A warning that some random choices include what an attention sink needs."""

import pandas as pd

from sklearn_neurox.utils._warn_user import warn_user

# In SmolLM2, random choices of up to a fifth of a layer with a sink that miss the sink's units cost
# at most .2 nats per word, and those that hit them 1 to 13. In its MLP layers, no choice costs .2.
_LEAST_NATS = 1.0
_LEAST_RATIO = 3.0


def report_spread(model, blocks, of_choices):
    """Warn if random choices of the same kind differ so much that some must have hit a sink.

    Parameters
    ----------
    model : PreTrainedModel

    blocks : tuple of Block
        Those that are changed, at every token.

    of_choices : list of (dict, DataFrame)
        The labels of each run, and its measures of each row.
    """
    from sklearn_neurox.extraction._model._first_look import traits_of
    from sklearn_neurox.extraction._model._sinks import is_sink

    sinks = [block for block in blocks if is_sink(block, traits_of(model, block.stack).sinks)]
    if not sinks:
        return
    drawn = [
        {**labels, "change": rows["loss_change"].mean()}
        for labels, rows in of_choices
        if labels["which"] == "random"
    ]
    if not drawn:
        return
    change = pd.DataFrame(drawn).groupby(["name", "n_units"], sort=False)["change"]
    least, most = change.min(), change.max()
    hit = (most - least > _LEAST_NATS) & (most > _LEAST_RATIO * least)
    if hit.any():
        widest = (most - least).where(hit).idxmax()
        warn_user(
            f"Random choices of {widest[1]} differ widely: they raise the loss of a word by "
            f"{least[widest]:.2g} to {most[widest]:.2g} nats. The first token of an input is an "
            f"attention sink in {sinks[0].name!r} ({len(sinks)} of the changed blocks), and some "
            "choices hit the few units that make it one, which hides what the others do. Leave the "
            "first token as it is with positions='not_first'."
        )
