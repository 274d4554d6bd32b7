# SPDX-License-Identifier: BSD-3-Clause
"""``sklearn-neurox arcs``: what each layer and each attention head knows about words and heads."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_neurox.cli._probing import make_probe, split_sentences, step
from sklearn_neurox.cli._reading import (
    add_pair_options,
    add_reading_options,
    count_from,
    make_extractor,
)
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.evaluation import attention_head_table, baseline_table, layer_profile
from sklearn_neurox.extraction import SubwordAggregator
from sklearn_neurox.words import pair_frame, read_conllu

_BASELINES = {"majority": "most frequent label", "distance": "distance and direction alone"}
_HEADS = ["relation", "n_words", "attention_head", "accuracy", "low", "high", "offset"]


def add_arcs(commands):
    """Add the ``arcs`` command."""
    parser = commands.add_parser(
        "arcs",
        help="probe each layer for the arcs of a treebank, and find the attention head of each "
        "relation",
    )
    add = parser.add_argument
    add("data", metavar="DATA.conllu", help="a treebank with heads")
    add("--model", help="the name or folder of a model (default: the demo model)")
    add(
        "--label",
        default="relation",
        choices=["relation", "is_arc"],
        help="what to predict: the relation of a word to its head, or whether two words are "
        "joined, with a negative of the same distance for each arc (default: %(default)s)",
    )
    add("--alpha", type=float, default=0.01, help="strength of the penalty (default: %(default)s)")
    add("--l1-ratio", type=float, default=0.0, help="L1 share of the penalty (default: 0)")
    add_pair_options(add)
    add(
        "--min-count",
        type=count_from(1),
        default=20,
        metavar="N",
        help="leave out relations with fewer arcs (default: %(default)s)",
    )
    add("--no-attention", action="store_true", help="do not read the attention weights")
    add_reading_options(add)
    parser.set_defaults(run=_arcs, aggregation="mean")


def _arcs(arguments):
    probe = make_probe(arguments)
    extractor = make_extractor(
        arguments, arguments.model or demo_model_path(), cache=arguments.cache
    )
    with step("Pairs"):
        words = read_conllu(arguments.data, columns=["head", "deprel"])
        pairs = _labeled_pairs(words, arguments)
        split = [split_sentences(pairs, arguments.label)]
    with step("Activations"):
        aggregator = SubwordAggregator(arguments.aggregation, pair=arguments.pair or "concat")
        features = make_pipeline(extractor, aggregator).set_output(transform="pandas")
        H = features.fit_transform(pairs)
        print(f"{H.shape[1]:,} columns")
    with step("A probe on each layer, with 95% intervals over the held-out sentences"):
        y, groups = pairs["label"].to_numpy(), pairs["text"]
        profile = layer_profile(probe, H, y, groups=groups, cv=split)
        table = profile[["name", "score", "low", "high"]]
        known = baseline_table(pairs, y, groups=groups, cv=split, baselines=list(_BASELINES))
        others = known[["name", "score"]].replace({"name": _BASELINES})
        table = pd.concat([table, others]).round(3)
        print(table.rename(columns={"score": "accuracy"}).to_string(index=False, na_rep=""))
    if not arguments.no_attention:
        with step("The best attention head of each relation, on held-out sentences"):
            _print_heads(words, extractor, arguments)


def _labeled_pairs(words, arguments):
    """Return the pairs to predict, with the column ``label``."""
    if arguments.label == "is_arc":
        pairs = pair_frame(words, heads="head", negatives="matched", random_state=0)
        pairs["label"] = np.where(pairs["is_arc"], "arc", "none")
    else:
        pairs = pair_frame(words, heads="head")
        counts = pairs.groupby("relation")["relation"].transform("size")
        pairs = pairs[counts >= arguments.min_count].reset_index(drop=True)
        pairs["label"] = pairs["relation"]
    if pairs["label"].nunique() < 2 or pairs["text"].nunique() < 10:
        raise ValueError(
            f"{arguments.data}: at least two labels with --min-count {arguments.min_count} arcs "
            "and ten sentences are needed."
        )
    print(f"{len(pairs):,} pairs of {pairs['text'].nunique():,} distinct sentences")
    return pairs


def _print_heads(words, extractor, arguments):
    layers = None if arguments.layers is None else [one for one in arguments.layers if one != 0]
    attention = clone(extractor).set_params(
        component="attention_weights", layers=layers or None, cache=None
    )
    try:
        attention.get_feature_names_out()
    except ValueError as error:
        print(f"left out: {error}")
        return
    every = pair_frame(words, heads="head", negatives="all")
    features = make_pipeline(attention, SubwordAggregator()).set_output(transform="pandas")
    weights = features.fit_transform(every)
    table = attention_head_table(weights, every, min_count=arguments.min_count)
    print(table[[*_HEADS, "offset_accuracy"]].round(3).to_string(index=False, na_rep=""))
