# SPDX-License-Identifier: BSD-3-Clause
"""Measure whether the neurons and the direction that a probe finds matter to a real decoder.

Needs the folder of a decoder in SKLEARN_NEUROX_DECODER (see tests/decoder.txt), and a treebank in
SKLEARN_NEUROX_CONLLU. The guide "Inside the model" quotes the tables.
"""

import os

from sklearn_neurox import (
    ActivationExtractor,
    MeanDifferenceProbeClassifier,
    ProbelessRanker,
    SubwordAggregator,
)
from sklearn_neurox.ablation import ConceptEraser, causal_effect
from sklearn_neurox.words import read_conllu

_LAYERS, _LAYER = [5, 15, 25], "hidden.15."
_COLUMNS = ["which", "n_units", "draw", "carries", "n_words", "loss_change"]
_COLUMNS += ["loss_change_low", "loss_change_high", "kl", "top1_changed"]


def run(*, quick: bool = False) -> dict:
    """Measure how a decoder predicts nouns and other words when it is changed inside.

    Parameters
    ----------
    quick : bool, default=False
        Whether to score 10 sentences instead of 60.

    Returns
    -------
    tables : dict of str to DataFrame
        The effect of the top, random and bottom neurons of a ranking, at all tokens but the first
        and at all; of one direction; and of an eraser of parts of speech.
    """
    folder = os.environ["SKLEARN_NEUROX_DECODER"]
    words = read_conllu(os.environ["SKLEARN_NEUROX_CONLLU"])
    lengths = words.groupby("text", observed=True)["word"].transform("size")
    words = words[(lengths >= 6) & (lengths <= 14)]
    texts = words["text"].drop_duplicates()
    test = words[words["text"].isin(texts.iloc[: 10 if quick else 60])]
    train = words[words["text"].isin(texts.iloc[60:260])].reset_index(drop=True)

    extractor = ActivationExtractor(folder, prefix="bos", layers=_LAYERS, missing="nan")
    aggregator = SubwordAggregator("last").set_output(transform="pandas")
    H = aggregator.fit_transform(extractor.transform(train))
    read = H.notna().all(axis=1)
    is_noun, begins = train["upos"] == "NOUN", train["position"] == 0
    noun_next = is_noun.shift(-1, fill_value=False) & ~begins.shift(-1, fill_value=True)
    H, train, noun_next = H[read], train[read], noun_next[read]
    ranking = ProbelessRanker(scale=True).fit(H, noun_next).to_frame()["neuron"]
    layer = H[[name for name in H if name.startswith(_LAYER)]]

    def effect(what, **options):
        options = {"positions": "not_first", "n_draws": 3, "random_state": 0, **options}
        found = causal_effect(extractor, test, test["upos"], what, positive="NOUN", **options)
        return found[_COLUMNS].round(3)

    mean = {"fill": "mean", "values": H.mean()}
    steps = {"steps": [0.02, 0.1, 0.3], **mean}
    probe = MeanDifferenceProbeClassifier().fit(layer, noun_next)
    eraser = ConceptEraser().fit(layer, train["upos"])
    title = f"{len(test)} words, all tokens but the first"
    return {
        f"Neurons of the layers {_LAYERS}, {title}": effect(ranking, **steps),
        "The same at all tokens": effect(ranking, **steps, positions="all"),
        f"One direction of {_LAYER[:-1]}, {title}": effect(probe, **mean),
        f"The part of speech erased at {_LAYER[:-1]}, {title}": effect(eraser),
    }
