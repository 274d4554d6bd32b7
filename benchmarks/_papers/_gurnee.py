# SPDX-License-Identifier: BSD-3-Clause
"""Sparse probes of properties of texts (Gurnee et al. 2023).

The texts are read by the decoder in the folder that SKLEARN_NEUROX_DECODER names, or by the demo
model.
"""

import os

from benchmarks._papers._treebank import Treebank, with_interval
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.evaluation import interval_table, sparse_probing_curve

_LAYER = 10


def make(*, quick):
    """Return one table per property: methods by number of neurons."""
    words = Treebank.read(quick=False, every=8 if quick else 1).words
    texts = words.drop_duplicates("text").reset_index(drop=True)
    # The sentences of a document follow each other, and share much.
    source = texts["sentence_id"].astype(str)
    genre, document = source.str.split("-").str[0], source.str.rsplit("-", n=1).str[0]
    X, name = _activations(texts[["text"]].astype(str))
    is_question = texts["text"].astype(str).str.contains(r"\?")
    properties = {"reviews": genre == "reviews", "questions": is_question}
    tables = {}
    for title, y in properties.items():
        sizes = f"{y.sum()} of {len(y)} sentences, {document.nunique()} documents"
        y = y.astype(int).to_numpy()
        tables[f"{title} ({sizes}), {name}"] = _table(X, y, document.to_numpy(), quick)
    return tables


def _activations(texts):
    folder = os.environ.get("SKLEARN_NEUROX_DECODER")
    model, layer, options = folder, _LAYER, {"prefix": "bos"}
    if not folder:
        model, layer, options = demo_model_path(), 2, {}
    extractor = ActivationExtractor(model, layers=[layer], component="mlp", **options)
    X = SubwordAggregator("mean").fit_transform(extractor.fit_transform(texts))
    kind = "decoder" if folder else "demo model"
    return X, f"mean of {X.shape[1]:,} MLP neurons of layer {layer} of the {kind}"


def _table(X, y, groups, quick):
    _, of_words = sparse_probing_curve(
        X,
        y,
        n_neurons=[1, 4] if quick else [1, 2, 4, 8, 16, 32],
        groups=groups,
        cv=3 if quick else 5,
        n_random=2 if quick else 5,
        scoring="matthews_corrcoef",
        random_state=0,
        return_words=True,
    )
    table = interval_table(of_words, by=["ranker", "labels", "n_neurons"], scale="atanh")
    table["cell"] = table.apply(with_interval, axis=1, digits=2)
    table["method"] = table["ranker"] + (table["labels"] == "shuffled").map(
        {True: ", shuffled labels", False: ""}
    )
    wide = table.pivot(index="method", columns="n_neurons", values="cell")
    return wide.reindex(table["method"].drop_duplicates()).reset_index()
