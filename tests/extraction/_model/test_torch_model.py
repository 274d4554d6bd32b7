# SPDX-License-Identifier: BSD-3-Clause
"""Models that are not transformers models, with their own encoding of texts."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator, TorchModel

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.filterwarnings("ignore:The pickle of this ActivationExtractor:UserWarning"),
]


class Reader(torch.nn.Module):
    """A recurrent character model without any transformers interface."""

    def __init__(self, n_layers=2):
        super().__init__()
        self.characters = torch.nn.Embedding(300, 6)
        self.layers = torch.nn.ModuleList(
            [torch.nn.LSTM(6, 6, batch_first=True) for _ in range(n_layers)]
        )
        self.dropout = torch.nn.Dropout(0.5)
        self.pool = torch.nn.Linear(6, 2)

    def forward(self, ids):
        state = self.characters(ids)
        for layer in self.layers:
            state = self.dropout(layer(state)[0])
        return self.pool(state.mean(1))


def encode(text):
    """Return a start token and then one token per character."""
    ids = [299, *(ord(character) % 299 for character in text)]
    return ids, [(0, 0), *((i, i + 1) for i in range(len(text)))]


@pytest.fixture(scope="module")
def module():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Reader()


@pytest.fixture
def model(module):
    return TorchModel(module, encode)


def naive(module, text):
    with torch.no_grad():
        state, states = module.characters(torch.tensor([encode(text)[0]])), []
        for layer in module.layers:
            state = layer(state)[0]
            states.append(state[0].numpy())
    return states


def test_modules_are_read_word_by_word(model, words):
    extractor = ActivationExtractor(model, component="module:layers.*")
    features = SubwordAggregator("mean")
    H = features.fit_transform(extractor.transform(words))
    assert features.get_feature_names_out()[[0, 6]].tolist() == [
        "module:layers.0.0",
        "module:layers.1.0",
    ]
    for found, row in zip(H, words.itertuples(), strict=True):
        states = naive(model.module, row.text)
        expected = [state[1 + row.start : 1 + row.end].mean(0) for state in states]
        np.testing.assert_allclose(found, np.concatenate(expected), rtol=0, atol=1e-5)


def test_only_texts_of_equal_length_share_a_batch_unless_it_pads(module, count_forwards):
    texts = ["a dog", "a cat", "the dogs"]
    for supports_padding, sizes in ((False, [1, 2]), (True, [3])):
        count_forwards.clear()
        model = TorchModel(
            module,
            encode,
            supports_padding=supports_padding,
            forward=lambda module, ids, mask: module(ids),
        )
        extractor = ActivationExtractor(model, component="module:layers.1")
        H = extractor.transform(texts).pool("last")
        assert sorted(count_forwards) == sizes or supports_padding
        expected = [naive(module, text)[1][-1] for text in texts]
        np.testing.assert_allclose(H, expected, rtol=0, atol=1e-5)


def test_the_forward_gets_the_mask(module, count_forwards):
    seen = []

    def forward(module, ids, mask):
        seen.append((ids.clone(), mask.clone()))
        return module(ids)

    model = TorchModel(module, encode, forward=forward, supports_padding=True, pad_token_id=7)
    ActivationExtractor(model, component="module:characters").transform(
        ["a dozen dogs", "a dozen dog"]
    ).pool("last")
    ids, mask = seen[-1]
    assert mask.sum(1).tolist() == [13, 12] and ids[1, -1] == 7


def test_the_model_is_shared_left_behind_and_put_back(model, words):
    model = TorchModel(copy.deepcopy(model.module).train(), encode)
    extractor = ActivationExtractor(model, component="module:layers.0")
    assert clone(extractor).model is model
    plan = extractor.transform(words)
    np.testing.assert_array_equal(plan.pool("last"), plan.pool("last"))  # no dropout
    assert all(part.training for part in model.module.modules())
    assert not any(part._forward_hooks for part in model.module.modules())
    with pytest.raises(ValueError, match="pickles leave"):
        pickle.loads(pickle.dumps(extractor)).transform(words)


def test_long_texts_are_read_in_windows(module):
    model = TorchModel(module, encode, max_length=8)
    plan = ActivationExtractor(model, component="module:layers.0").transform(["dog" * 10])
    assert plan._source.sequences.lengths.max() == 8
    assert plan.n_subwords.tolist() == [30]


def test_no_input_is_longer_than_the_positions():
    class Placed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.characters, self.places = torch.nn.Embedding(300, 4), torch.nn.Embedding(5, 4)
            self.out = torch.nn.Linear(4, 4)

        def forward(self, ids):
            return self.out(self.characters(ids) + self.places(torch.arange(ids.shape[1])))

    model = TorchModel(Placed(), encode, max_length=5)
    H = ActivationExtractor(model, component="module:out").transform(["abcd", "a"]).pool("last")
    with torch.no_grad():
        expected = [model.module(torch.tensor([encode(t)[0]]))[0, -1] for t in ("abcd", "a")]
    np.testing.assert_allclose(H, torch.stack(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, r"find component='hidden' in TorchModel\(Reader\).*'layers\.\*'"),
        ({"component": "mlp"}, "Name modules"),
        ({"component": "module:pool"}, r"'pool'.*not return one state per token: \(2, 2\)"),
        ({"component": "module:nix"}, "no module path of"),
        ({"component": "module:dropout"}, "runs more than once"),
        ({"component": "module:layers.0", "layers": [1]}, "have no layers"),
        ({"component": "module:layers.0", "stack": "encoder"}, "not an encoder-decoder"),
        (
            {"component": "module:layers.0", "weights": "random"},
            "cannot randomize the weights of a live model",
        ),
    ],
)
def test_what_cannot_be_read_is_said(params, message, model, words):
    with pytest.raises(ValueError, match=message):
        ActivationExtractor(model, **params).transform(words).pool("last")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda text: ([1, 2], [(0, 1)]), r"shape \(2,\) and 1 spans"),
        (lambda text: ([1], [(0, 999)]), "spans outside the text"),
        (lambda text: ([1], [(2, 1)]), "spans outside the text"),
        (lambda text: None, "returned None for the text .* must return a tuple"),
        (lambda text: {"input_ids": [1], "offset_mapping": [(0, 1)]}, "must return a tuple"),
        (lambda text: ([1], [(0, 1)], 2), "must return a tuple"),
        (lambda text: [1, 2, 3], "must return a tuple"),
        (lambda text: ([1.5], [(0, 1)]), r"token ids \[1.5\] .* must be whole numbers"),
        (lambda text: ([np.nan], [(0, 1)]), "token ids .* must be whole numbers"),
        (lambda text: (["a"], [(0, 1)]), "token ids .* must be whole numbers"),
        (lambda text: ([1], [(0, 0.5)]), r"spans \[\(0, 0.5\)\] .* must be whole numbers"),
        (lambda text: ([1, 1], [(0, 1), (1,)]), "spans .* must be whole numbers"),
        (lambda text: ([1, 1], [0, 1, 1, 2]), r"spans of shape \(4,\) .* a start and an end"),
        (lambda text: ([1], [(0, 1, 2)]), r"spans of shape \(1, 3\)"),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(wrong, message, module, words):
    with pytest.raises(ValueError, match=message):
        ActivationExtractor(TorchModel(module, wrong), component="module:pool").transform(words)


@pytest.mark.parametrize("of", [list, tuple, np.array, torch.tensor])
def test_ids_and_spans_of_any_type(of, module, words):
    def reader(text):
        ids, spans = encode(text)
        return of(ids), of(spans)

    H = [
        SubwordAggregator().fit_transform(
            ActivationExtractor(TorchModel(module, each), component="module:layers.0").transform(X)
        )
        for X in (words, words.iloc[:0:-1])
        for each in (encode, reader)
    ]
    np.testing.assert_array_equal(H[0], H[1])
    np.testing.assert_array_equal(H[2], H[3])


def test_pairs_are_refused_and_cls_is_unknown(model, words):
    extractor = ActivationExtractor(model, component="module:layers.0")
    with pytest.raises(ValueError, match="one text at a time"):
        extractor.transform(words.assign(text_pair="more"))
    with pytest.raises(ValueError, match="no token that stands for the whole text"):
        extractor.transform(["a dog"]).pool("cls")
