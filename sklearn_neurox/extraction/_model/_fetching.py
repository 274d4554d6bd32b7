# SPDX-License-Identifier: BSD-3-Clause
"""Call ``from_pretrained`` quietly, with errors that say what to do."""

import contextlib
from logging import CRITICAL, getLogger
from pathlib import Path

from sklearn_neurox.extraction._model._gguf import find_gguf, reading_gguf
from sklearn_neurox.utils._files._foreign_files import reason_of
from sklearn_neurox.utils._optional import require
from sklearn_neurox.utils._torch import is_out_of_memory


def draw_weights(config, spec):
    """Build an untrained model from its config."""
    import torch
    from transformers import AutoModel

    # Always on the CPU and in float32: other devices and dtypes draw different numbers.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # torch.manual_seed would also seed the GPUs, globally.
        torch.default_generator.manual_seed(spec.seed)
        model = AutoModel.from_config(
            config, dtype=torch.float32, trust_remote_code=spec.trust_remote_code
        )
    if spec.dtype == "float32" and spec.device_map is None:
        return model
    with quiet_transformers():
        try:
            return type(model).from_pretrained(
                None, config=config, state_dict=model.state_dict(), **_form(spec)
            )
        except ValueError as error:
            raise ValueError(
                f"ActivationExtractor cannot build an untrained {type(model).__name__} with "
                f"device_map={spec.device_map!r}. Parts on the disk need a file of weights. "
                f"transformers said: {reason_of(error)}"
            ) from error


def fetch_weights(auto_class, spec, **options):
    """Load a model with its weights, from a .bin checkpoint only if that is allowed."""
    safe = {} if spec.allow_bin_weights else {"use_safetensors": True}
    gguf = find_gguf(spec.model)
    if gguf is None:
        return fetch(auto_class, spec, **safe, **_form(spec), **options)
    loaded, info = fetch(auto_class, spec, output_loading_info=True, **_form(spec))
    _check_complete(gguf, info["missing_keys"])
    return (loaded, info) if options.get("output_loading_info") else loaded


def _check_complete(path, missing):
    """Raise an error if a GGUF file lacks weights, which would be drawn at random."""
    if missing:
        raise ValueError(
            f"transformers finds no weights for {sorted(missing)[0]!r} in {path} ({len(missing)} "
            "such parameters in total). Update gguf (pip install -U gguf), or pass the original "
            "model, in safetensors."
        )


def _form(spec):
    """Return the arguments that set the dtype and the devices of a model's weights."""
    import torch

    dtype = "auto" if spec.dtype == "auto" else getattr(torch, spec.dtype)
    if spec.device_map is None:
        return {"dtype": dtype}
    require("accelerate", caller="ActivationExtractor with device_map=", extra="accelerate")
    devices = spec.device_map
    return {"dtype": dtype, "device_map": dict(devices) if isinstance(devices, tuple) else devices}


def fetch(auto_class, spec, **options):
    """Load a config, a tokenizer or a model."""
    path = find_gguf(spec.model)
    source = contextlib.nullcontext((spec.model, {})) if path is None else reading_gguf(path)
    with quiet_transformers(), source as (name, own):
        try:
            return auto_class.from_pretrained(
                name,
                revision=spec.revision or "main",
                trust_remote_code=spec.trust_remote_code,
                **own,
                **options,
            )
        except ImportError:  # it says what to install
            raise
        except Exception as error:  # a damaged file makes the libraries raise anything
            if is_out_of_memory(error):
                raise
            raise ValueError(_not_found(auto_class, spec, error, path)) from error


def _not_found(auto_class, spec, error, gguf):
    what = {"AutoConfig": "a config", "AutoTokenizer": "a tokenizer"}.get(
        auto_class.__name__, "weights"
    )
    path = Path(spec.model)
    if gguf is not None:
        advice = (
            f"The model is in the file {gguf.name!r}. transformers reads the GGUF files of some "
            "architectures only; of others, pass the original model, in safetensors. If the file "
            "is damaged, download it again."
        )
    elif "custom code" in str(error) and not spec.trust_remote_code:
        advice = (
            "The model comes with its own code, which runs only if you allow it. Read the code, "
            "and pass trust_remote_code=True if you trust it."
        )
    elif path.is_dir():
        files = sorted(file.name for file in path.iterdir())
        advice = f"The folder exists, but contains only {files[:8]}."
        if what == "a tokenizer" and "tokenizer.json" not in files:
            advice += (
                " It lacks tokenizer.json, or the files of an older format. Save the model's "
                "tokenizer there with tokenizer.save_pretrained(folder), or pass it as tokenizer=."
            )
        elif what == "a config" and "config.json" not in files:
            nested = sorted([*path.glob("*/config.json"), *path.glob("snapshots/*/config.json")])
            advice += " It has no config.json. Pass " + (
                f"its folder {str(nested[0].parent.relative_to(path))!r}, which has one."
                if nested
                else "the folder of a model, as save_pretrained writes it."
            )
        elif any(name.endswith(".safetensors") for name in files):
            advice += " If a file is damaged, save the model again with save_pretrained."
        elif what == "weights" and not spec.allow_bin_weights:
            advice += " For a .bin checkpoint that you trust, pass allow_bin_weights=True."
    else:
        advice = (
            "It is not a local folder, and no model of this name could be downloaded. Check the "
            "spelling and the network, or pass the path of a folder made by save_pretrained. If "
            "the model of a saved pipeline has moved, give its extractor the new path, for example "
            "with pipeline.set_params(activationextractor__model=path)."
        )
    reason = reason_of(error)
    return (
        f"The 'model' parameter of ActivationExtractor is {spec.model!r}, from which {what} could "
        f"not be loaded. {advice} transformers said: {reason}"
    )


@contextlib.contextmanager
def quiet_transformers():
    """Silence the progress bars and log messages of transformers and accelerate in the context."""
    from transformers.utils import logging

    accelerate = getLogger("accelerate")
    level, verbosity = accelerate.level, logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    accelerate.setLevel(CRITICAL)
    try:
        yield
    finally:
        accelerate.setLevel(level)
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
