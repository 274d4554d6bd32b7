# SPDX-License-Identifier: BSD-3-Clause
"""The encoders of sparse autoencoders, from the activations of tokens to their codes."""

import numpy as np
import torch

from sklearn_neurox.utils._autocast import without_autocast
from sklearn_neurox.utils._torch import to_numpy, to_tensor

# Numbers in one block of codes, before their zeros are dropped.
_BLOCK_NUMBERS = 8_000_000


class TokenEncoder:
    """Encodes tokens block by block and keeps the non-zero codes only.

    Parameters
    ----------
    encode : callable
        From a float32 tensor of shape (n_tokens, d_in) to codes of shape (n_tokens, d_sae).

    d_sae : int

    device : torch.device
    """

    def __init__(self, encode, d_sae, device):
        self.encode, self.d_sae, self.device = encode, d_sae, device
        self.rows_per_block = max(1, _BLOCK_NUMBERS // d_sae)

    @torch.inference_mode()
    @without_autocast()
    def nonzero(self, values):
        """Encode activations (n_tokens, d_in); return the token, feature and value of each code.

        Codes are sorted by token, then by feature.
        """
        codes = self.encode(to_tensor(values, dtype=torch.float32, device=self.device))
        if codes.layout != torch.strided:
            codes = codes.to_dense()
        codes = codes.float()
        token, feature = codes.nonzero(as_tuple=True)
        values = to_numpy(codes[token, feature])
        if not np.isfinite(values).all():
            first = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(
                f"The SAE encodes a token by {values[first]} in its feature {int(feature[first])} "
                f"({(~np.isfinite(values)).sum()} such numbers in a block of tokens). If numbers "
                "overflow, use a SAE whose dtype is float32; otherwise, its weights are damaged."
            )
        return to_numpy(token), to_numpy(feature).astype(np.int32), values


class Encoder:
    """The encoder of a sparse autoencoder with the given settings and weights.

    The computation uses the precision in the settings.

    Parameters
    ----------
    settings : EncoderSettings

    weights : dict of tensors
        Those that ``settings.weights`` lists.

    device : torch.device
    """

    def __init__(self, settings, weights, device):
        self.settings = settings
        self.kind = {"device": device, "dtype": getattr(torch, settings.dtype)}
        self.weights = {name: self._cast(name, tensor) for name, tensor in weights.items()}
        self.norms = None
        if settings.rescale_acts_by_decoder_norm:
            self.norms = self.weights.pop("W_dec").norm(dim=-1)

    def _cast(self, name, tensor):
        cast = tensor.to(**self.kind)
        # An infinite threshold, for example, would switch its feature off.
        lost = cast.isinf() & tensor.to(cast.device).isfinite()
        if lost.any():
            raise ValueError(
                f"The weights {name!r} of the SAE reach {tensor[lost.to(tensor.device)][0]:.6g}, "
                f"which {self.settings.dtype}, the dtype of the SAE, cannot hold. Set its dtype to "
                "'float32' or 'float64'."
            )
        return cast

    def __call__(self, values):
        """Encode activations of shape (n_tokens, d_in)."""
        settings = self.settings
        values = _normalized(values.to(**self.kind), settings)
        if settings.apply_b_dec_to_input:
            values = values - self.weights["b_dec"]
        return getattr(self, f"_{settings.architecture}")(values)

    def _linear(self, values):
        before = values @ self.weights["W_enc"] + self.weights["b_enc"]
        return before if self.norms is None else before * self.norms

    def _standard(self, values):
        return self._linear(values).relu()

    def _gated(self, values):
        projected = values @ self.weights["W_enc"]
        is_open = projected + self.weights["b_gate"] > 0
        magnitude = values @ (self.weights["W_enc"] * self.weights["r_mag"].exp())
        return (magnitude + self.weights["b_mag"]).relu() * is_open

    def _jumprelu(self, values):
        before = self._linear(values)
        return before.relu() * (before > self.weights["threshold"])

    def _batchtopk(self, values):
        """Use the threshold that was learned in training, so that tokens do not compete."""
        before = self._linear(values)
        return before.relu() * (before > self.weights["topk_threshold"])

    def _topk(self, values):
        found = self._linear(values).topk(self.settings.k, dim=-1, sorted=False)
        return self._scattered(found.indices, found.values.relu())

    def _abstopk(self, values):
        before = self._linear(values)
        where = before.abs().topk(self.settings.k, dim=-1, sorted=False).indices
        return self._scattered(where, before.gather(-1, where))

    def _scattered(self, where, values):
        codes = values.new_zeros(len(values), self.settings.d_sae)
        return codes.scatter_(-1, where, values)

    def _matching_pursuit(self, values):
        """Subtract the best-matching atom from what is left of each token, again and again."""
        settings, atoms = self.settings, self.weights["W_dec"]
        left = values.clone()
        codes = values.new_zeros(len(values), settings.d_sae)
        ends_early = settings.stop_on_duplicate_support or settings.residual_threshold > 0
        busy = torch.ones(len(values), dtype=torch.bool, device=values.device)
        for _ in range(settings.max_iterations or settings.d_in):
            best = (left @ atoms.T).relu().argmax(dim=1)
            chosen = atoms[best]
            step = (left * chosen).sum(dim=-1).relu() * busy
            place = best[:, None]
            is_new = (codes.gather(1, place)[:, 0] == 0) & (step != 0)
            codes.scatter_add_(1, place, step[:, None])
            left = left - step[:, None] * chosen
            if settings.stop_on_duplicate_support:
                busy = busy & is_new
            if settings.residual_threshold > 0:
                busy = busy & (left.norm(dim=-1) >= settings.residual_threshold)
            if ends_early and not busy.any():
                break
        return codes


def _normalized(values, settings):
    if settings.normalize_activations == "constant_norm_rescale":
        return values * (settings.d_in**0.5 / values.norm(dim=-1, keepdim=True))
    if settings.normalize_activations == "layer_norm":
        values = values - values.mean(dim=-1, keepdim=True)
        return values / (values.std(dim=-1, keepdim=True) + 1e-5)
    return values
