# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.ablation import NeuronAblator
from sklearn_neurox.selection import NeuronSelector


def _matrix():
    return pd.DataFrame(np.arange(12.0).reshape(2, 6), columns=list("abcdef"))


@pytest.mark.parametrize(
    "neurons", [[4, 1], [-2, 1], ["e", "b"], pd.Index(["b", "e"]), np.isin(range(6), [1, 4])]
)
def test_neurons_by_index_name_and_mask_keep_the_order_of_columns(neurons):
    X = _matrix()
    selector = NeuronSelector(neurons).fit(X)
    assert selector.neurons_.tolist() == [1, 4]
    assert selector.get_feature_names_out().tolist() == ["b", "e"]
    np.testing.assert_array_equal(selector.transform(X), X[["b", "e"]])
    ablated = NeuronAblator(neurons, keep=True).fit_transform(X)
    np.testing.assert_array_equal(selector.transform(X), ablated)


def test_none_keeps_all_in_half_precision():
    X = _matrix().to_numpy(np.float16)
    kept = NeuronSelector().fit_transform(X)
    assert kept.dtype == np.float16
    np.testing.assert_array_equal(kept, X)


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        ([], "selects no column"),
        ([False] * 6, "selects no column"),
        ([6], "neuron 6, but the 6 columns are numbered 0 to 5"),
        (["a", "z"], "neuron 'z', which is not a column"),
        ([1, 4, -5], "neuron twice: -5"),
        ([True], "1 entries, but there are 6"),
    ],
)
def test_wrong_neurons_are_named(neurons, message):
    with pytest.raises(ValueError, match=message):
        NeuronSelector(neurons).fit(_matrix())


def test_names_need_names():
    with pytest.raises(ValueError, match="by name, but X has no feature names"):
        NeuronSelector(["a"]).fit(_matrix().to_numpy())
