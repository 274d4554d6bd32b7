# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.selection import LayerSelector
from sklearn_neurox.utils._names import neuron_names


def _named(layers=(0, 3, 6), n_units=4, **params):
    names = neuron_names(layers, n_units, **params)
    return pd.DataFrame(np.arange(2.0 * len(names)).reshape(2, -1), columns=names)


@pytest.mark.parametrize(
    "layers, kept",
    [(3, [3]), (-1, [6]), ([-3, 6], [0, 6]), ((6, -1, 0), [0, 6]), (np.array([3]), [3])],
)
def test_layers_from_names(layers, kept):
    X = _named()
    selector = LayerSelector(layers).fit(X)
    assert selector.layers_.tolist() == kept
    expected = [name for name in X if int(name.split(".")[1]) in kept]
    assert selector.get_feature_names_out().tolist() == expected
    np.testing.assert_array_equal(selector.transform(X), X[expected])


def test_components_of_one_layer_stay_together():
    X = pd.concat([_named(), _named(component="mlp")], axis=1)
    names = LayerSelector(3).fit(X).get_feature_names_out()
    assert names.tolist() == [f"{c}.3.{unit}" for c in ("hidden", "mlp") for unit in range(4)]


def test_layers_from_blocks_override_names():
    X = _named()
    np.testing.assert_array_equal(
        LayerSelector([1, -1], n_layers=6).fit_transform(X), X.iloc[:, [2, 3, 10, 11]]
    )
    np.testing.assert_array_equal(
        LayerSelector(0, n_layers=3).fit_transform(X.to_numpy()), X.iloc[:, :4]
    )


def test_none_keeps_all_and_needs_no_layers():
    X = np.arange(6, dtype=np.float16).reshape(2, 3)
    kept = LayerSelector().fit_transform(X)
    assert kept.dtype == np.float16
    np.testing.assert_array_equal(kept, X)


@pytest.mark.parametrize("layers", [1, [0, 1], -4, [3, -4]])
def test_absent_layer_lists_those_present(layers):
    with pytest.raises(ValueError, match=r"layer (1|-4).*present are \[0, 3, 6\]"):
        LayerSelector(layers).fit(_named())


@pytest.mark.parametrize("layers", [[], ["3"], [1.5], [True]])
def test_layers_must_be_whole_numbers(layers):
    with pytest.raises(ValueError, match="at least one layer, as an int or a list of ints"):
        LayerSelector(layers).fit(_named())


def test_unknown_layers_say_both_ways_out():
    with pytest.raises(ValueError, match="hidden.3.127.*n_layers="):
        LayerSelector(0).fit(np.zeros((2, 6)))
    with pytest.raises(ValueError, match="does not divide the 6 columns"):
        LayerSelector(0, n_layers=4).fit(np.zeros((2, 6)))
