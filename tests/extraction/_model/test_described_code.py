# SPDX-License-Identifier: BSD-3-Clause
"""Two modules that compute different numbers have different descriptions, whatever the reason."""

import ctypes  # noqa: F401 - the tables use it, like the next ones
import functools  # noqa: F401
import io  # noqa: F401
import itertools  # noqa: F401
import operator  # noqa: F401
import re  # noqa: F401
import sys
import types
from array import array  # noqa: F401
from collections import deque  # noqa: F401
from decimal import Decimal  # noqa: F401
from fractions import Fraction  # noqa: F401

import numpy as np
import pandas as pd  # noqa: F401
import pytest
import torch
from sklearn.tree import DecisionTreeRegressor  # noqa: F401

from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.extraction._model._checksum import checksum
from sklearn_neurox.extraction._model._description import describe

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.filterwarnings(
        "ignore:Sparse CSR tensor support|The PyTorch API of nested tensors"
    ),
]

# In these, `{}` is the number by which a module multiplies.
ATTRIBUTES = {
    "slice": ("slice({}, None)", "held.start"),
    "range": ("range({})", "len(held)"),
    "deque": ("deque([[{}]])", "held[0][0]"),
    "bytearray": ("bytearray([{}])", "held[0]"),
    "array": ("array('d', [{}])", "held[0]"),
    "array of objects": ("np.array([{}, None], dtype=object)", "held[0]"),
    "array with a field of objects": ("np.array([({}, 1)], dtype=[('a', 'O'), ('b', 'i4')])",
                                      "held[0]['a']"),
    "pattern": ("re.compile('{}')", "float(held.pattern)"),
    "long pattern": ("re.compile('x' * 300 + '{}')", "float(held.pattern[300:])"),
    "decimal": ("Decimal({})", "float(held)"),
    "fraction": ("Fraction({})", "float(held)"),
    "slice in a dict": ("dict(a=[slice({})])", "held['a'][0].stop"),
    "cached function": ("functools.lru_cache(lambda: {})", "held()"),
    "function with an attribute": ("with_attribute({})", "held()"),
    "object of a class in a module whose name begins like 're'": ("readout.Gate({})", "held.c"),
    "series": ("pd.Series([{}.0])", "held.iloc[0]"),
    "table": ("pd.DataFrame(dict(a=[1, {}]))", "int(held.iloc[1, 0])"),
    "index": ("pd.Index([{}])", "int(held[0])"),
    "view of memory": ("memoryview(bytearray([{}]))", "held[0]"),
    "number of C": ("ctypes.c_double({})", "held.value"),
    "text in memory": ("io.StringIO('{}')", "float(held.getvalue())"),
    "counter": ("itertools.count({})", "held.__reduce__()[1][0]"),
    "getter": ("operator.itemgetter({})", "held([0, 1, 2, 3])"),
    "method of a dict": ("dict(a={}).get", "held('a')"),
    "method of a number": ("({}).__add__", "held(0)"),
    "masked array": ("np.ma.array([2, 1], mask=[0, {} == 2])", "int(held.sum())"),
    "tree": ("DecisionTreeRegressor(random_state=0).fit([[0]], [{}])", "held.predict([[0]])[0]"),
    "conjugated": ("torch.tensor({}j).conj().conj()", "held.imag"),
    "lazily conjugated": ("torch.tensor(-{}j).conj()", "held.imag"),
    "lazily negated": ("torch.tensor(-{}j).conj().imag", "held"),
    "sparse tensor": ("torch.tensor([0.0, {}]).to_sparse()", "held.to_dense()[1]"),
    "sparse rows": ("torch.tensor([[0.0, {}]]).to_sparse_csr()", "held.to_dense()[0, 1]"),
    "sparse columns": ("torch.tensor([[0.0, {}]]).to_sparse_csc()", "held.to_dense()[0, 1]"),
    "sparse places": ("torch.eye(4)[{}].to_sparse()", "held.to_dense().argmax()"),
    "nested tensor": ("torch.nested.nested_tensor([torch.tensor([{}.0])])", "held.unbind()[0]"),
}  # fmt: skip
CLASSES = {
    "property": "@property\n    def c(self): return {}",
    "class method": "@classmethod\n    def get(cls): return {}\n"
    "    c = property(lambda s: s.get())",
    "cached property": "@functools.cached_property\n    def c(self): return {}",
    "cached method": "@functools.lru_cache\n    def get(self): return {}\n"
    "    c = property(lambda s: s.get())",
    "partial method": "def get(self, c): return c\n    own = functools.partialmethod(get, {})\n"
    "    c = property(lambda s: s.own())",
    "list of the class": "all = [{}]\n    c = property(lambda s: s.all[0])",
    "dict of the class": "all = dict(a={})\n    c = property(lambda s: s.all['a'])",
    "tensor of the class": "c = torch.tensor({}.0)",
    "array of the class": "all = np.array([{}.0])\n    c = property(lambda s: float(s.all[0]))",
    "constant of the class": "c = {}",
    "settings of another class": "c = property(lambda s: Settings({}).c)",
}
GLOBALS = {
    "constant of a module": ("scale = {}", "x * helpers.scale"),
    "function of a module": ("def gate(x): return x * {}", "helpers.gate(x)"),
    "constant that a function of a module uses": (
        "scale = {}\ndef gate(x): return x * scale", "helpers.gate(x)"),
    "class of a module": ("class Settings:\n    scale = {}", "x * helpers.Settings.scale"),
    "module of a module": (
        "import types\ninner = types.ModuleType('inner')\ninner.scale = {}",
        "x * helpers.inner.scale"),
}  # fmt: skip


class Settings:
    """What a class of the user may hold."""

    def __init__(self, c):
        self.c = c


def with_attribute(c):
    def get():
        return get.c

    get.c = c
    return get


def _module(body, scope):
    """Make a module, of a class that always has the same name."""
    scope = {**globals(), **scope}
    exec(f"class Gate(torch.nn.Module):\n    {body}", scope)  # as a notebook defines it again
    return scope["Gate"]()


def _by_attribute(name, c):
    readout = types.ModuleType("readout")
    exec("class Gate:\n    def __init__(self, c): self.c = c", readout.__dict__)
    made, read = ATTRIBUTES[name]
    held = eval(made.format(c), {**globals(), "readout": readout})
    module = _module(
        f"def forward(self, x):\n        held = self.held\n        return x * {read}", {}
    )
    module.held = held
    return module


def _by_class(name, c):
    return _module(CLASSES[name].format(c) + "\n    def forward(self, x): return x * self.c", {})


def _by_global(name, c):
    helpers = types.ModuleType("helpers")
    code, body = GLOBALS[name]
    exec(code.format(c), helpers.__dict__)
    return _module(f"def forward(self, x): return {body}", {"helpers": helpers})


def _describe(module):
    return describe(module, lambda path, tensor: repr(checksum(tensor)))


@pytest.mark.parametrize(
    "table, make",
    [(ATTRIBUTES, _by_attribute), (CLASSES, _by_class), (GLOBALS, _by_global)],
    ids=["attributes", "classes", "globals"],
)
def test_a_description_tells_apart_what_computes_other_numbers(table, make):
    x, wrong = torch.ones(3), []
    for name in table:
        first, again, other = make(name, 2), make(name, 2), make(name, 3)
        assert (make(name, 2)(x) == 2).all() and (make(name, 3)(x) == 3).all(), name
        if _describe(first) != _describe(again):
            wrong.append(f"{name}: equal modules differ")
        if _describe(first) == _describe(other):
            wrong.append(f"{name}: not noticed")
    assert not wrong


def test_modules_that_refer_to_each_other_are_described():
    one, two = types.ModuleType("one"), types.ModuleType("two")
    one.two, two.one, two.scale = two, one, 2
    gate = _module("def forward(self, x): return x * one.two.one.two.scale", {"one": one})
    before = _describe(gate)
    two.scale = 3
    assert _describe(gate) != before


@pytest.mark.slow
def test_the_cache_notices_code_in_other_modules(live, tmp_path, monkeypatch):
    helpers = types.ModuleType("helpers_of_a_user")
    monkeypatch.setitem(sys.modules, "helpers_of_a_user", helpers)
    helpers.scale = 2.0
    model, tokenizer = live("bert")
    layer = model.encoder.layer[0].intermediate
    layer.intermediate_act_fn = _module(
        "def forward(self, x): return x * helpers.scale", {"helpers": helpers}
    )

    def read(cache):
        extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=cache)
        return extractor.transform(["Dogs bark"]).pool("mean")

    first = read(tmp_path)
    helpers.scale = 3.0
    assert not np.array_equal(read(tmp_path), first)
    np.testing.assert_array_equal(read(tmp_path), read(None))
    helpers.scale = 2.0
    np.testing.assert_array_equal(read(tmp_path), first)
