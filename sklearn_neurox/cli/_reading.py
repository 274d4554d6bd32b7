# SPDX-License-Identifier: BSD-3-Clause
"""The options that say what is read of a model, and the extractor that reads it."""

import argparse

from sklearn_neurox.extraction import ActivationExtractor


def add_reading_options(add):
    """Add the options.

    Parameters
    ----------
    add : callable
        The ``add_argument`` of a parser.
    """
    add(
        "--layers",
        type=_numbers,
        metavar="N,N,...",
        help="the layers, in this order; negative ones as in --layers=-1 (default: all; a "
        "cache keeps all)",
    )
    add("--component", default="hidden", help="what is read of a layer (default: %(default)s)")
    add("--stack", choices=["encoder", "decoder", "both"], help="of a model that has both")
    add(
        "--aggregation",
        default="last",
        choices=["first", "last", "mean", "max", "cls"],
        help="which vector stands for a row's subwords (default: %(default)s)",
    )
    add(
        "--cache",
        metavar="FOLDER",
        help="keep what the model computed there; the same command then goes on after an "
        "interruption, and other layers and aggregations need no model",
    )
    add("--device", help="cpu, cuda or mps (default: CUDA where there is one)")


def make_extractor(arguments, model, *, cache, n_jobs=None):
    """Make the extractor that the options describe, or say which of them is wrong.

    Parameters
    ----------
    arguments : argparse.Namespace

    model : str or Path

    cache : str, Path or None

    n_jobs : int or None, default=None

    Returns
    -------
    extractor : ActivationExtractor
    """
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
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers with commas between") from None
