# SPDX-License-Identifier: BSD-3-Clause
"""Where a sparse autoencoder comes from: a folder, arrays, or a torch module."""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklearn_neurox.extraction._sae._settings import DTYPES, EncoderSettings, parse_settings
from sklearn_neurox.utils._files._foreign_files import (
    as_path,
    check_regular,
    expanded,
    json_kind,
    named_errors,
    parse_json,
    read_settings,
    reason_of,
)
from sklearn_neurox.utils._pickling import pickled_for
from sklearn_neurox.utils._torch import is_out_of_memory, to_tensor

CONFIG_FILE, WEIGHTS_FILE = "cfg.json", "sae_weights.safetensors"
_CALLER = "SparseAutoencoderEncoder"
_PARAMETER = f"The 'sae' parameter of {_CALLER}"
_AGAIN = "Save the SAE again with SAELens's save_model or save_inference_model."


def open_sae(sae):
    """Return the `FolderSae`, `ArraySae` or `ModuleSae` that a parameter stands for."""
    if isinstance(sae, (str, os.PathLike)):
        return FolderSae(sae)
    if isinstance(sae, Mapping):
        return ArraySae(sae)
    if callable(getattr(sae, "encode", None)):
        return ModuleSae(sae)
    raise TypeError(
        f"{_PARAMETER} must be a folder, a dict of arrays, or a torch module with the method "
        f"'encode', got {type(sae).__name__}."
    )


@dataclass(frozen=True)
class FolderSae:
    """A folder that SAELens wrote; pickles hold its path only."""

    path: object

    def check(self, width):
        """Check config and weights against the width of a block; return settings of the SAE."""
        return _read_settings(self.path, width)

    def encoder(self, width, device):
        """Load the encoder."""
        return _load_folder(self.path, width, device, self._stamps())

    def __getstate__(self):
        if pickled_for() != "hash":
            return self.__dict__
        # joblib.Memory keeps what is computed from the codes under the hash of this state.
        return {**self.__dict__, "stamps": self._stamps()}

    def _stamps(self):
        return tuple(
            (str(file.resolve()), os.stat(file).st_mtime_ns, os.stat(file).st_size)
            for file in _files(self.path)
        )


def _files(path):
    folder = expanded(as_path(path, _PARAMETER), _PARAMETER)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise FileNotFoundError(
            f"{_PARAMETER} is {str(path)!r}, which {what}. Pass the folder of one SAE, as SAELens "
            f"writes it ({CONFIG_FILE} and {WEIGHTS_FILE}); to write one: "
            "SAE.from_pretrained(release, sae_id).save_model(folder)."
        )
    files = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    for file in files:
        if not file.exists():
            found = sorted(entry.name for entry in folder.iterdir())
            raise FileNotFoundError(
                f"{str(folder)!r} has no {file.name}; it holds {found[:5]}"
                f"{' and more' if len(found) > 5 else ''}. Pass the folder of one SAE, as SAELens "
                f"writes it ({CONFIG_FILE} and {WEIGHTS_FILE})."
            )
        check_regular(file, "a file of a SAE's folder")
    return files


def _read_settings(path, width):
    config_file, weights_file = _files(path)
    stored = read_settings(config_file, "the settings of a SAE", _AGAIN)
    config = parse_json(stored, str(config_file), _AGAIN)
    if not isinstance(config, dict):
        raise ValueError(
            f"{config_file} holds {json_kind(config)}, not an object with settings. {_AGAIN}"
        )
    settings = parse_settings(config, str(config_file))
    _check_width(settings.d_in, width, f"The SAE in {str(config_file.parent)!r}")
    with _opened(weights_file) as stored:
        names = set(stored.keys())
        shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in names}
    if "log_threshold" in shapes and "threshold" not in shapes:
        shapes["threshold"] = shapes["log_threshold"]
    _check_shapes(settings, shapes, str(weights_file), _AGAIN)
    return settings


def _opened(file):
    from safetensors import safe_open

    with named_errors(file, "is not a complete safetensors file", _AGAIN):
        return safe_open(file, framework="pt")


# One SAE at a time: a large one takes gigabytes.
@functools.lru_cache(maxsize=1)
def _load_folder(path, width, device, stamps):
    from sklearn_neurox.extraction._sae._encoder import Encoder, TokenEncoder

    settings = _read_settings(path, width)
    file = Path(stamps[1][0])
    weights = {}
    with _opened(file) as stored, named_errors(file, "cannot be read", _AGAIN):
        for name in settings.weights:
            if name == "threshold" and name not in stored.keys():  # noqa: SIM118
                # SAELens before 6.40 stored the logarithm while it trained.
                weights[name] = stored.get_tensor("log_threshold").exp()
            else:
                weights[name] = stored.get_tensor(name)
    return TokenEncoder(Encoder(settings, weights, device), settings.d_sae, device)


def _check_shapes(settings, shapes, where, remedy):
    foreign = sorted(settings.foreign_weights & set(shapes))
    if foreign:
        raise ValueError(
            f"{where} has the weight {foreign[0]!r}, which the architecture "
            f"{settings.architecture!r} does not read. State the architecture of the SAE, or drop "
            "the weight."
        )
    for name in settings.weights:
        if name not in shapes:
            raise ValueError(
                f"{where} lacks the weight {name!r}, which the architecture "
                f"{settings.architecture!r} needs; it has {', '.join(sorted(shapes))}. {remedy}"
            )
        if shapes[name] != settings.shape_of(name):
            raise ValueError(
                f"{where} has the weight {name!r} of shape {shapes[name]}, but for d_in = "
                f"{settings.d_in} and d_sae = {settings.d_sae} it should have the shape "
                f"{settings.shape_of(name)}. {remedy}"
            )


def _check_width(d_in, width, what):
    if d_in != width:
        raise ValueError(
            f"{what} reads {d_in} neurons, but the block in X has {width}. Extract the layer and "
            "component that the SAE was trained on, from the same model."
        )


class ArraySae:
    """The weights of a SAE as arrays, and settings, named as in SAELens's files."""

    def __init__(self, given):
        self.given = dict(given)

    def check(self, width):
        """Check the arrays against the width of a block; return the settings of the SAE."""
        settings, _ = self._parse()
        _check_width(settings.d_in, width, _PARAMETER)
        return settings

    def encoder(self, width, device):
        """Make the encoder."""
        from sklearn_neurox.extraction._sae._encoder import Encoder, TokenEncoder

        settings, arrays = self._parse()
        weights = {name: to_tensor(arrays[name]) for name in settings.weights}
        return TokenEncoder(Encoder(settings, weights, device), settings.d_sae, device)

    def _parse(self):
        fields = EncoderSettings.__dataclass_fields__
        unknown = set(self.given) - set(fields) - _ARRAYS
        if unknown:
            raise ValueError(
                f"{_PARAMETER} has the unknown key {sorted(map(str, unknown))[0]!r}; the arrays "
                f"are {', '.join(sorted(_ARRAYS))}, and the settings {', '.join(fields)}."
            )
        arrays = {name: _as_array(self.given[name], name) for name in _ARRAYS & set(self.given)}
        main = arrays.get("W_enc", arrays.get("W_dec"))
        if main is None or main.ndim != 2:
            raise ValueError(f"{_PARAMETER} needs the array W_enc, of shape (d_in, d_sae).")
        d_in, d_sae = main.shape if "W_enc" in arrays else main.shape[::-1]
        settings = {
            "architecture": _architecture_of(arrays, self.given),
            "dtype": main.dtype.name if main.dtype.name in DTYPES else "float32",
            "apply_b_dec_to_input": "b_dec" in arrays,
            "d_in": d_in,
            "d_sae": d_sae,
        }
        given = {name: value for name, value in self.given.items() if name in fields}
        settings = parse_settings({**settings, **given}, _PARAMETER)
        shapes = {name: array.shape for name, array in arrays.items()}
        _check_shapes(settings, shapes, _PARAMETER, "Check the arrays, and transpose if needed.")
        return settings, arrays


_ARRAYS = {"W_enc", "W_dec", "b_enc", "b_dec", "b_gate", "b_mag", "r_mag", "threshold"}


def _as_array(value, name):
    array = value.detach().cpu().float().numpy() if hasattr(value, "detach") else np.asarray(value)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"{_PARAMETER} has an array {name!r} that does not hold finite numbers.")
    return array


def _architecture_of(arrays, given):
    if "threshold" in arrays:
        return "jumprelu"
    if "b_gate" in arrays:
        return "gated"
    if "W_enc" not in arrays:
        return "matching_pursuit"
    return "topk" if given.get("k") is not None else "standard"


class ModuleSae:
    """A torch module, or another object, whose method ``encode`` maps tensors to codes."""

    def __init__(self, module):
        self.module = module

    def check(self, width):
        """Encode one token to learn the number of features; return the settings of the SAE."""
        import torch

        encoder = self.encoder(width, None)
        name = f"{_PARAMETER}, a {type(self.module).__name__},"
        with torch.inference_mode():
            try:
                codes = encoder.encode(torch.zeros(1, width, dtype=torch.float32, device="cpu"))
            except Exception as error:  # whatever the user's module raises for another width
                if is_out_of_memory(error):
                    raise
                raise ValueError(
                    f"{name} cannot encode a token of {width} neurons ({reason_of(error)}). "
                    "Extract the layer and component that it was trained on, from the same model."
                ) from error
        if not isinstance(codes, torch.Tensor) or codes.ndim != 2 or len(codes) != 1:
            got = getattr(codes, "shape", type(codes).__name__)
            raise ValueError(
                f"{name} must encode a tensor of shape (n_tokens, {width}) as a tensor of shape "
                f"(n_tokens, n_features), but returned {got} for one token. Wrap it in an object "
                "whose 'encode' does."
            )
        settings = getattr(self.module, "cfg", None)
        metadata = getattr(settings, "metadata", settings)
        hook_name = getattr(metadata, "hook_name", None)
        hook_name = hook_name if isinstance(hook_name, str) else None
        return EncoderSettings("module", width, codes.shape[1], hook_name=hook_name)

    def encoder(self, width, device):
        """Make the encoder; the module stays where it is, in its own precision."""
        from sklearn_neurox.extraction._sae._encoder import TokenEncoder

        kind = self._kind()
        n_features = 1 if device is None else self.check(width).d_sae
        return TokenEncoder(functools.partial(self._encode, kind), n_features, kind["device"])

    def _kind(self):
        import torch

        parts = getattr(self.module, "parameters", tuple)()
        first = next(iter(parts), None)
        if first is None:
            return {"dtype": torch.float32, "device": torch.device("cpu")}
        return {"dtype": first.dtype, "device": first.device}

    def _encode(self, kind, values):
        was_training = getattr(self.module, "training", False)
        if was_training:
            self.module.eval()
        try:
            return self.module.encode(values.to(**kind))
        finally:
            if was_training:
                self.module.train()
