# SPDX-License-Identifier: BSD-3-Clause
"""The options of the extractor, and the extractor built from them."""

import argparse
import os
from pathlib import Path

from sklearn_neurox.extraction import ActivationExtractor


def add_reading_options(add):
    """Add the options of the extractor to the ``add_argument`` of a parser."""
    add(
        "--layers",
        type=_numbers,
        metavar="N,N,...",
        help="the layers, in this order; write negative numbers with an equals sign: --layers=-1 "
        "(default: all; a cache always stores all)",
    )
    add(
        "--component",
        default="hidden",
        help="hidden, mlp, attention, embedding or module:GLOB, or several separated by commas; "
        "or attention_weights (of pairs) or attention_summary (of words) (default: %(default)s)",
    )
    add(
        "--stack",
        choices=["encoder", "decoder", "both"],
        help="which stack of an encoder-decoder model to read (default: encoder)",
    )
    add(
        "--aggregation",
        default="last",
        choices=["first", "last", "mean", "max", "cls"],
        help="how the subwords of a row become one vector (default: %(default)s)",
    )
    add(
        "--cache",
        metavar="FOLDER",
        help="store activations in this folder, so that an interrupted command resumes when run "
        "again, and other layers and aggregations do not need another run of the model",
    )
    add(
        "--prefix",
        help="a token or text in front of every input that belongs to no row, so that no word is "
        "an attention sink: bos for the tokenizer's BOS token, or any other text",
    )
    _add_model_options(add)


def _add_model_options(add):
    """Add the options that say how a model is loaded."""
    add("--device", help="cpu, cuda or mps (default: CUDA if available)")
    add(
        "--dtype",
        default="float32",
        choices=["auto", "float32", "bfloat16", "float16"],
        help="the dtype in which the model is loaded and computes; auto takes the one that it was "
        "saved in (default: %(default)s)",
    )
    add(
        "--device-map",
        type=_device_map,
        metavar="MAP",
        help="where the parts of a model are put, instead of --device: auto spreads them over all "
        "GPUs, the memory and the disk (needs accelerate)",
    )


def add_pair_options(add):
    """Add the options of pairs to the ``add_argument`` of a parser."""
    add(
        "--pair",
        type=_names,
        metavar="WAY,...",
        help="how the vectors of both words of a pair become one: concat, difference or product, "
        "or several separated by commas (default: concat)",
    )


def check_pair_options(arguments):
    """Raise an error if an option of pairs was given without pairs, or is invalid."""
    given = [
        f"--{name}"
        for name in ("pair", "negatives")
        if getattr(arguments, name, None) is not None and arguments.rows != "pairs"
    ]
    if given:
        raise ValueError(f"{given[0]} is about pairs of words: add --rows pairs, or omit it.")


def make_extractor(arguments, model, *, cache, n_jobs=None):
    """Return the extractor that the options describe; raise an error if one is invalid."""
    _check_cache(cache)
    components = arguments.component.split(",")
    extractor = ActivationExtractor(
        model,
        layers=arguments.layers,
        component=components if len(components) > 1 else components[0],
        stack=arguments.stack,
        prefix=arguments.prefix,
        device=arguments.device,
        dtype=arguments.dtype,
        device_map=arguments.device_map,
        cache=cache,
        n_jobs=n_jobs,
        verbose=1,
    )
    extractor._validate_params()
    return extractor


def _check_cache(cache):
    """Raise an error before the model runs if the cache folder cannot be created."""
    if cache is None:
        return
    path = Path(cache).absolute()
    nearest = next(one for one in (path, *path.parents) if one.exists())
    if not nearest.is_dir():
        raise ValueError(f"{cache} cannot be a cache folder, because {nearest.name} is a file.")
    if not os.access(nearest, os.W_OK):
        raise ValueError(
            f"{cache} cannot be a cache folder, because you may not write to {nearest}."
        )


def _device_map(text):
    return int(text) if text.isdecimal() else text


def _names(text):
    names = text.split(",")
    return names if len(names) > 1 else names[0]


def count_from(least):
    """Return a function that reads an argument as a whole number of at least ``least``."""

    def read(text):
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return read


def _numbers(text):
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a comma-separated list of numbers"
        ) from None
