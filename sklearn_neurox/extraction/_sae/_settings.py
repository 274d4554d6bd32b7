# SPDX-License-Identifier: BSD-3-Clause
"""What the config of a sparse autoencoder says about its encoder."""

from dataclasses import dataclass
from numbers import Integral, Real

from sklearn_neurox.utils._warn_user import warn_user

# The weights that each encoder reads, besides the bias of the decoder.
_WEIGHTS = {
    "standard": ("W_enc", "b_enc"),
    "gated": ("W_enc", "b_gate", "b_mag", "r_mag"),
    "jumprelu": ("W_enc", "b_enc", "threshold"),
    "topk": ("W_enc", "b_enc"),
    "abstopk": ("W_enc", "b_enc"),
    "batchtopk": ("W_enc", "b_enc", "topk_threshold"),
    "matching_pursuit": ("W_dec",),
}
# Other names of the same encoders. Transcoders read the input of an MLP and encode it likewise.
_SAME_ENCODER = {
    "matryoshka_batchtopk": "batchtopk",
    "transcoder": "standard",
    "skip_transcoder": "standard",
    "jumprelu_transcoder": "jumprelu",
    "jumprelu_skip_transcoder": "jumprelu",
}
ARCHITECTURES = (*_WEIGHTS, *_SAME_ENCODER)
_NORMALIZATIONS = ("none", "constant_norm_rescale", "layer_norm")
# The SAE was trained on activations that were changed before it saw them, and the change should
# have been folded into the weights.
_UNFOLDED = ("expected_average_only_in", "covariance_whitening")
DTYPES = ("float32", "float64", "float16", "bfloat16")


@dataclass(frozen=True)
class EncoderSettings:
    """The settings of an encoder, named as in SAELens's ``cfg.json``.

    Attributes
    ----------
    architecture : str
        A key of ``_WEIGHTS``.

    hook_name : str or None
        The place in the model, in the words of TransformerLens, that the SAE was trained on.
    """

    architecture: str
    d_in: int
    d_sae: int
    dtype: str = "float32"
    apply_b_dec_to_input: bool = True
    normalize_activations: str = "none"
    k: int | None = None
    rescale_acts_by_decoder_norm: bool = False
    residual_threshold: float = 1e-2
    max_iterations: int | None = None
    stop_on_duplicate_support: bool = True
    hook_name: str | None = None

    @property
    def foreign_weights(self):
        """The names of the weights that only other encoders have."""
        return {"b_gate", "b_mag", "r_mag", "threshold", "topk_threshold"} - set(self.weights)

    @property
    def weights(self):
        """The names of the weights that the encoder reads."""
        names = _WEIGHTS[self.architecture]
        names += ("b_dec",) if self.apply_b_dec_to_input else ()
        names += ("W_dec",) if self.rescale_acts_by_decoder_norm else ()
        return names

    def shape_of(self, weight):
        """Return the shape that a weight should have."""
        shapes = {
            "W_enc": (self.d_in, self.d_sae),
            "W_dec": (self.d_sae, self.d_in),
            "b_dec": (self.d_in,),
            "topk_threshold": (),
        }
        return shapes.get(weight, (self.d_sae,))


def parse_settings(config, where):
    """Read the settings of an encoder from a parsed ``cfg.json``, also of SAELens before 6.0.

    ``where`` begins the error messages: the file, or the parameter.
    """
    config = _as_today(config, where)
    architecture = config.get("architecture", "standard")
    if architecture == "temporal":
        raise ValueError(
            f"{where} is of a temporal SAE, whose code of a token depends on the tokens before it. "
            "SparseAutoencoderEncoder encodes every token on its own; use another SAE."
        )
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"{where} states the architecture {architecture!r}, which SparseAutoencoderEncoder "
            f"does not know. It knows {', '.join(ARCHITECTURES)}. For another one, pass a torch "
            "module whose method 'encode' returns the features."
        )
    encoder = _SAME_ENCODER.get(architecture, architecture)
    config = {**config, "architecture": encoder}
    if architecture.endswith("transcoder"):
        # Their decoder writes elsewhere, so its bias has no place in their input.
        config["apply_b_dec_to_input"] = False
    _check_types(config, where)
    _check_choices(config, where)
    if encoder not in ("topk", "abstopk", "batchtopk"):
        config["rescale_acts_by_decoder_norm"] = False
    names = EncoderSettings.__dataclass_fields__.keys() - {"hook_name"}
    settings = {name: config[name] for name in names if config.get(name) is not None}
    settings["dtype"] = settings.get("dtype", "float32").removeprefix("torch.")
    hook_name = _metadata_of(config).get("hook_name") or config.get("hook_name")
    return EncoderSettings(**settings, hook_name=hook_name if isinstance(hook_name, str) else None)


def _as_today(config, where):
    """Translate the settings of SAELens before 6.0."""
    config = dict(config)
    if "hook_point" in config:
        config.setdefault("hook_name", config["hook_point"])
    if _is_before_6(config):
        _read_activation(config, where)
    if isinstance(config.get("normalize_activations"), bool):
        is_on = config["normalize_activations"]
        config["normalize_activations"] = "expected_average_only_in" if is_on else "none"
    return config


def _is_before_6(config):
    version = config.get("sae_lens_version") or _metadata_of(config).get("sae_lens_version")
    major = str(version).partition(".")[0]
    return not (major.isdecimal() and int(major) >= 6)


def _metadata_of(config):
    metadata = config.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _read_activation(config, where):
    """Make the activation function, which SAELens 6 no longer has, part of the architecture."""
    activation = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    architecture = config.get("architecture", "standard")
    if activation == "topk" and architecture == "standard":
        config |= {"architecture": "topk", "k": None}
    elif activation == "topk" and architecture != "topk":
        raise ValueError(
            f"{where} states the activation function 'topk' for the architecture "
            f"{architecture!r}; SparseAutoencoderEncoder knows it only for 'standard' and 'topk'. "
            "Pass a torch module whose 'encode' returns the features."
        )
    elif activation not in ("relu", "topk"):
        raise ValueError(
            f"{where} states the activation function {activation!r}; SparseAutoencoderEncoder "
            "knows 'relu' and 'topk'. Pass a torch module whose 'encode' returns the features."
        )
    options = config.get("activation_fn_kwargs")
    if config.get("architecture") == "topk" and isinstance(options, dict):
        config["k"] = options.get("k", config.get("k"))


_TYPES = {
    "d_in": Integral,
    "d_sae": Integral,
    "dtype": str,
    "apply_b_dec_to_input": bool,
    "normalize_activations": str,
    "k": Integral,
    "rescale_acts_by_decoder_norm": bool,
    "residual_threshold": Real,
    "max_iterations": Integral,
    "stop_on_duplicate_support": bool,
}


def _check_types(config, where):
    required = ["d_in", "d_sae"] + ["k"] * (config["architecture"] in ("topk", "abstopk"))
    for name in required:
        if config.get(name) is None:
            raise ValueError(
                f"{where} lacks {name!r}, which a SAE of the architecture "
                f"{config['architecture']!r} needs. Save the SAE again."
            )
    if config["architecture"] not in ("topk", "abstopk"):
        config.pop("k", None)  # of batchtopk, an average over a batch; a threshold replaces it
    for name, kind in _TYPES.items():
        value = config.get(name)
        is_wrong = not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))
        if value is not None and is_wrong:
            raise ValueError(f"{where} states {name} = {value!r}, of the wrong type.")
    for name in ("d_in", "d_sae", "k", "max_iterations"):
        if config.get(name) is not None and config[name] < 1:
            raise ValueError(f"{where} states {name} = {config[name]}, which must be positive.")
    if config.get("k") is not None and config["k"] > config["d_sae"]:
        raise ValueError(
            f"{where} states k = {config['k']}, but there are only {config['d_sae']} features."
        )


def _check_choices(config, where):
    dtype = config.get("dtype") or "float32"
    if dtype.removeprefix("torch.") not in DTYPES:
        raise ValueError(f"{where} states dtype = {dtype!r}; use one of {', '.join(DTYPES)}.")
    normalization = config.get("normalize_activations") or "none"
    if normalization in _UNFOLDED:
        warn_user(
            f"{where} states normalize_activations = {normalization!r}, which was to be folded "
            "into the weights when training ended, and was not. Activations are encoded as they "
            "are, as SAELens does. Save the SAE with its 'save_inference_model' after folding."
        )
        config["normalize_activations"] = "none"
    elif normalization not in _NORMALIZATIONS:
        raise ValueError(
            f"{where} states normalize_activations = {normalization!r}, which "
            f"SparseAutoencoderEncoder does not know. It knows {', '.join(_NORMALIZATIONS)}."
        )
