# SPDX-License-Identifier: BSD-3-Clause
"""Load models, tokenizers and configs on first use, once per process; never pickle them."""

import contextlib
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, replace

from sklearn_neurox.extraction._model._fetching import (
    draw_weights,
    fetch,
    fetch_weights,
    quiet_transformers,
)
from sklearn_neurox.extraction._model._files_elsewhere import files_elsewhere
from sklearn_neurox.extraction._model._model_folder import check_model_folder
from sklearn_neurox.extraction._model._stamps import stamp
from sklearn_neurox.extraction._model._tokenizer_files import check_tokenizer_files
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._files._foreign_files import as_path
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
    dtype: str = "float32"  # of a model given by name
    device_map: object = None  # str, int, or a tuple of pairs of module and device

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

    return fetch(AutoConfig, spec)


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
            fetch(AutoTokenizer, source), source.model, parameter=parameter
        ),
    )


def loaded_model(spec):
    """Return the model if it is already loaded, else None."""
    if spec.is_live:
        return None if isinstance(spec.model, DetachedModel) else spec.model
    if not _models:  # resolving the device would import torch
        return None
    with _lock:
        return _models.get(_model_key(spec))


def load_model(spec):
    """Load the bare model, in evaluation mode, on its device; return a live model as it is."""
    _check_attached(spec)
    if spec.is_live:
        return spec.model
    return _kept(_models, _model_key(spec), _MAX_MODELS, lambda: _placed(spec, _build_model(spec)))


@contextlib.contextmanager
def kept_loaded(spec):
    """Load a model and keep it loaded within the context, however many others are loaded."""
    if spec.is_live:
        yield load_model(spec)
        return
    key = _model_key(spec)
    with _lock:
        _held[key] += 1
    try:
        yield load_model(spec)
    finally:
        with _lock:
            _held[key] -= 1
            if not _held[key]:
                del _held[key]


def load_once(spec, what, load, *, caller):
    """Load a model in a form other than the bare one, unless it is already loaded."""
    key = (what, *_key(spec), spec.dtype, _place(spec, caller))
    return _kept(_models, key, _MAX_MODELS, lambda: _placed(spec, load(), caller))


def load_skeleton(spec):
    """Load the modules of a model without weights, unless the model is already loaded."""
    _check_attached(spec)
    model = loaded_model(spec)
    if model is not None:
        return model
    key = ("skeleton", *_key(spec))
    return _kept(_tokenizers, key, _MAX_TOKENIZERS, lambda: build_skeleton(spec))


def build_skeleton(spec):
    """Build the modules that the config of a model describes, without weights."""
    import torch
    from transformers import AutoModel

    with torch.random.fork_rng(devices=[]), torch.device("meta"), quiet_transformers():
        return AutoModel.from_config(
            load_config(spec), trust_remote_code=spec.trust_remote_code
        ).eval()


def _model_key(spec):
    place = _place(spec)
    return ("model", *_key(spec), spec.weights, spec.seed, spec.dtype, place)


def _place(spec, caller="ActivationExtractor"):
    """Describe where a model is: on a device, or on those of a device map."""
    if spec.device_map is not None:
        return "map", spec.device_map
    return str(resolve_device(spec.device, caller=caller))


def _placed(spec, model, caller="ActivationExtractor"):
    """Put a loaded model on its device; with a device map, it is there already."""
    model = model.eval()
    if spec.device_map is not None:
        return model
    return model.to(resolve_device(spec.device, caller=caller))


def _build_model(spec):
    from transformers import AutoModel

    if spec.weights == "random":
        return draw_weights(load_config(spec), spec)
    return fetch_weights(AutoModel, spec)


def _check_attached(spec):
    for held in (spec.model, spec.tokenizer):
        if isinstance(held, DetachedModel):
            raise ValueError(
                f"This ActivationExtractor held a live {held.class_name}, which pickles leave "
                "out, including those that n_jobs sends to its workers. Save the model with "
                "save_pretrained and pass its path instead, or set it again: "
                "set_params(model=..., tokenizer=...)."
            )


def files_of(spec):
    """Return what changes with the files of a model and its tokenizer; None for a live model."""
    return None if spec.is_live else _key(spec)


def _key(spec):
    """Return everything a load depends on.

    A rewritten folder is a different model. The same folder under another name is the same model,
    so that an ablation acts however its path is spelled.
    """
    path = as_path(spec.model, "The 'model' or 'tokenizer' parameter of ActivationExtractor")
    if path.is_file():
        file = str(path.resolve())
        return file, None, spec.trust_remote_code, spec.allow_bin_weights, stamp(path)
    if not path.is_dir():
        revision = spec.revision or "main"
        return spec.model, revision, spec.trust_remote_code, spec.allow_bin_weights, None
    folder = path.resolve()
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    files += files_elsewhere(folder)
    # Where there are safetensors, no .bin file is read.
    may_load_bin = spec.allow_bin_weights and not any(f.suffix == ".safetensors" for f in files)
    return str(folder), None, spec.trust_remote_code, may_load_bin, tuple(map(stamp, files))


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
