# SPDX-License-Identifier: BSD-3-Clause
"""Load models, tokenizers and configs on first use, once per process; never pickle them."""

import contextlib
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

from sklearn_neurox.extraction._model._model_folder import check_model_folder
from sklearn_neurox.extraction._model._stamps import stamp
from sklearn_neurox.extraction._model._tokenizer_files import check_tokenizer_files
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._foreign_files import as_path, reason_of
from sklearn_neurox.utils._torch import resolve_device
from sklearn_neurox.utils._tqdm import tqdm_class

# With two, a trained and an untrained model can alternate without reloading.
_MAX_MODELS = 2
_MAX_TOKENIZERS = 8

_models: OrderedDict = OrderedDict()
_tokenizers: OrderedDict = OrderedDict()
_lock = threading.RLock()
# How many contexts hold each model: a model that is being ablated must not be evicted.
_held: Counter = Counter()


@dataclass(frozen=True)
class ModelSpec:
    """Everything that defines a model's activations; equal specs share one loaded model."""

    model: object  # a name or path, or a live PreTrainedModel
    tokenizer: object
    revision: str | None
    weights: str
    seed: int
    device: str | None
    trust_remote_code: bool
    allow_bin_weights: bool
    fingerprint: str | None = None  # the user's name for what a live model computes

    @property
    def is_live(self):
        """Return whether the model was passed as an object, not by name."""
        return not isinstance(self.model, str)

    @property
    def is_torch_model(self):
        """Return whether the model is not a transformers model."""
        return isinstance(self.model, TorchModel)

    @property
    def name(self):
        """Return the name of the model for messages."""
        if self.is_torch_model:
            return repr(self.model)
        if isinstance(self.model, DetachedModel):
            return f"<a live {self.model.class_name}>"
        return f"<a live {type(self.model).__name__}>" if self.is_live else self.model

    def __getstate__(self):
        state = dict(self.__dict__)
        if self.is_live:
            state["model"] = DetachedModel(type(self.model).__name__)
        if not isinstance(self.tokenizer, (str, type(None))):
            state["tokenizer"] = DetachedModel(type(self.tokenizer).__name__)
        return state


@dataclass(frozen=True)
class DetachedModel:
    """The parts of a live model or tokenizer that a pickle keeps: class name and digests."""

    class_name: str
    fingerprint: str | None = None
    tokenizer: object = None  # the digest of the tokenizer that the model names itself


def clear_loaded_models() -> None:
    """Clear the models and tokenizers that this process keeps loaded.

    Returns
    -------
    None

    Examples
    --------
    >>> from sklearn_neurox.extraction import clear_loaded_models
    >>> clear_loaded_models()
    """
    with _lock:
        _models.clear()
        _tokenizers.clear()


def load_config(spec):
    """Load the config of a model, without its weights."""
    _check_attached(spec)
    if spec.is_live:
        if spec.weights == "random":
            raise ValueError(
                "ActivationExtractor cannot randomize the weights of a live model: "
                "weights='random' builds a model from its config. Pass the name or folder of the "
                "model, or an untrained model: AutoModel.from_config(model.config)."
            )
        return spec.model.config
    key = ("config", *_key(spec), spec.weights)
    return _kept(_tokenizers, key, _MAX_TOKENIZERS, lambda: _read_config(spec))


def _read_config(spec):
    check_model_folder(spec.model, weights=spec.weights)
    tqdm_class()
    from transformers import AutoConfig

    return _fetch(AutoConfig, spec)


def load_tokenizer(spec):
    """Load the tokenizer of a model."""
    _check_attached(spec)
    if spec.is_torch_model:
        return spec.model
    if not isinstance(spec.tokenizer, (str, type(None))):
        return spec.tokenizer
    tqdm_class()
    from transformers import AutoTokenizer

    source = spec
    if spec.tokenizer is not None:
        source = replace(spec, model=spec.tokenizer)
    elif spec.is_live:
        source = replace(spec, model=spec.model.config.name_or_path)
        if not source.model:
            raise ValueError(
                "ActivationExtractor got a live model that does not name the folder it was loaded "
                "from. Pass its tokenizer too, with tokenizer=."
            )
    load_config(spec)  # gives a better message if there is no such model
    key = ("tokenizer", *_key(source))
    parameter = "model" if spec.tokenizer is None else "tokenizer"
    return _kept(
        _tokenizers,
        key,
        _MAX_TOKENIZERS,
        lambda: check_tokenizer_files(
            _fetch(AutoTokenizer, source), source.model, parameter=parameter
        ),
    )


def loaded_model(spec):
    """Return the model if it is already loaded, else None."""
    if spec.is_live:
        return None if isinstance(spec.model, DetachedModel) else spec.model
    if not _models:  # resolving the device would import torch
        return None
    device = resolve_device(spec.device, caller="ActivationExtractor")
    with _lock:
        return _models.get(_model_key(spec, device))


def load_model(spec):
    """Load the bare model, in evaluation mode, on its device; return a live model as it is."""
    _check_attached(spec)
    if spec.is_live:
        return spec.model
    device = resolve_device(spec.device, caller="ActivationExtractor")
    key = _model_key(spec, device)
    return _kept(_models, key, _MAX_MODELS, lambda: _build_model(spec).eval().to(device))


@contextlib.contextmanager
def kept_loaded(spec):
    """Load a model and keep it loaded within the context, however many others are loaded."""
    if spec.is_live:
        yield load_model(spec)
        return
    key = _model_key(spec, resolve_device(spec.device, caller="ActivationExtractor"))
    with _lock:
        _held[key] += 1
    try:
        yield load_model(spec)
    finally:
        with _lock:
            _held[key] -= 1
            if not _held[key]:
                del _held[key]


def load_once(spec, what, device, load):
    """Load a model in a form other than the bare one, unless it is already loaded."""
    key = (what, *_key(spec), str(device))
    return _kept(_models, key, _MAX_MODELS, lambda: load().eval().to(device))


def load_skeleton(spec):
    """Load the modules of a model without weights, unless the model is already loaded."""
    _check_attached(spec)
    model = loaded_model(spec)
    if model is not None:
        return model
    key = ("skeleton", *_key(spec))
    return _kept(_tokenizers, key, _MAX_TOKENIZERS, lambda: _build_skeleton(spec))


def _build_skeleton(spec):
    import torch
    from transformers import AutoModel

    with torch.random.fork_rng(devices=[]), torch.device("meta"), quiet_transformers():
        return AutoModel.from_config(
            load_config(spec), trust_remote_code=spec.trust_remote_code
        ).eval()


def _model_key(spec, device):
    return ("model", *_key(spec), spec.weights, spec.seed, str(device))


def _build_model(spec):
    import torch
    from transformers import AutoModel

    if spec.weights == "random":
        config = load_config(spec)
        # Always on the CPU: other devices draw different numbers.
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            # torch.manual_seed would also seed the GPUs, globally.
            torch.default_generator.manual_seed(spec.seed)
            return AutoModel.from_config(
                config, dtype=torch.float32, trust_remote_code=spec.trust_remote_code
            )
    return fetch_weights(AutoModel, spec)


def fetch_weights(auto_class, spec, **options):
    """Load a model with its weights in float32, from a .bin checkpoint only if that is allowed."""
    import torch

    safe = {} if spec.allow_bin_weights else {"use_safetensors": True}
    return _fetch(auto_class, spec, dtype=torch.float32, **safe, **options)


def _fetch(auto_class, spec, **options):
    with quiet_transformers():
        try:
            return auto_class.from_pretrained(
                spec.model,
                revision=spec.revision or "main",
                trust_remote_code=spec.trust_remote_code,
                **options,
            )
        except ImportError:  # it says what to install
            raise
        except Exception as error:  # a damaged file makes the libraries raise anything
            raise ValueError(_not_found(auto_class, spec, error)) from error


def _not_found(auto_class, spec, error):
    what = {"AutoConfig": "a config", "AutoTokenizer": "a tokenizer"}.get(
        auto_class.__name__, "weights"
    )
    path = Path(spec.model)
    if "custom code" in str(error) and not spec.trust_remote_code:
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
        elif any(name.endswith(".safetensors") for name in files):
            advice += " If a file is damaged, save the model again with save_pretrained."
        elif what == "weights" and not spec.allow_bin_weights:
            advice += " For a .bin checkpoint that you trust, pass allow_bin_weights=True."
    else:
        advice = (
            "It is not a local folder, and no model of this name could be downloaded. Check the "
            "spelling and the network, or pass the path of a folder made by save_pretrained."
        )
    reason = reason_of(error)
    return (
        f"The 'model' parameter of ActivationExtractor is {spec.model!r}, from which {what} could "
        f"not be loaded. {advice} transformers said: {reason}"
    )


def _check_attached(spec):
    for held in (spec.model, spec.tokenizer):
        if isinstance(held, DetachedModel):
            raise ValueError(
                f"This ActivationExtractor held a live {held.class_name}, which pickles leave "
                "out, including those that n_jobs sends to its workers. Save the model with "
                "save_pretrained and pass its path instead, or set it again: "
                "set_params(model=..., tokenizer=...)."
            )


def _key(spec):
    """Return everything a load depends on; a rewritten folder is a different model."""
    stamps = None
    path = as_path(spec.model, "The 'model' or 'tokenizer' parameter of ActivationExtractor")
    if path.is_dir():
        stamps = tuple(stamp(f) for f in sorted(path.iterdir()) if f.is_file())
    return spec.model, spec.revision, spec.trust_remote_code, spec.allow_bin_weights, stamps


def _kept(store, key, limit, load):
    with _lock:
        if key not in store:
            store[key] = load()
        store.move_to_end(key)
        for other in [other for other in store if not _held[other]]:
            if len(store) <= limit:
                break
            if other != key:
                del store[other]
        return store[key]


@contextlib.contextmanager
def quiet_transformers():
    """Silence the progress bars and log messages of transformers within the context."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
