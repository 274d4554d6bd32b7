# SPDX-License-Identifier: BSD-3-Clause
"""The options of the extractor, and the extractor built from them."""

import argparse

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
        help="hidden, mlp, attention, embedding or module:GLOB, or several separated by commas "
        "(default: %(default)s)",
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
    add("--device", help="cpu, cuda or mps (default: CUDA if available)")


def make_extractor(arguments, model, *, cache, n_jobs=None):
    """Return the extractor that the options describe; raise an error if one is invalid."""
    components = arguments.component.split(",")
    extractor = ActivationExtractor(
        model,
        layers=arguments.layers,
        component=components if len(components) > 1 else components[0],
        stack=arguments.stack,
        device=arguments.device,
        cache=cache,
        n_jobs=n_jobs,
        verbose=1,
    )
    extractor._validate_params()
    return extractor


def _numbers(text):
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a comma-separated list of numbers"
        ) from None
