# SPDX-License-Identifier: BSD-3-Clause
"""The advice to use a cache is given only where a cache could be used."""

import warnings
from contextlib import contextmanager, nullcontext

import pandas as pd
import pytest
from transformers import AutoModel

from sklearn_neurox.ablation import ablate_model, steer_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.extraction._run._repeated_reads import forget_passes

TEXTS = ["The old dog barked loudly .", "A light rain"]


@contextmanager
def hooked(model):
    handle = model.register_forward_hook(lambda module, inputs, output: None)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.slow
def test_reads_of_a_changed_model_are_not_counted(tiny):
    folder = tiny("bert")
    live = AutoModel.from_pretrained(folder)
    direction = pd.Series(1.0, [f"hidden.1.{i}" for i in range(live.config.hidden_size)])

    def advice(reader, changed, n_passes):
        """Return how many of some passes advise to use a cache."""
        with changed, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(n_passes):
                SubwordAggregator().fit_transform(reader.transform(TEXTS))
        return sum("for the third time" in str(one.message) for one in caught)

    by_name = ActivationExtractor(folder)
    of_live = ActivationExtractor(live, tokenizer=folder)
    for reader, change in (
        (by_name, lambda: ablate_model(folder, ["hidden.1.3"])),
        (by_name, lambda: ablate_model(folder, direction)),
        (of_live, lambda: ablate_model(live, ["hidden.1.3"])),
        (of_live, lambda: steer_model(live, direction)),
        (of_live, lambda: hooked(live)),
    ):
        forget_passes()
        assert advice(reader, nullcontext(), 2) == 0
        assert advice(reader, change(), 4) == 0
        # The third pass of the model as it is.
        assert advice(reader, nullcontext(), 1) == 1
        assert advice(reader, nullcontext(), 2) == 0
    forget_passes()
