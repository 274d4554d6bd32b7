# SPDX-License-Identifier: BSD-3-Clause
"""Write the folders in ``saelens`` with SAELens itself, in an environment that has it.

Usage: ``python write_saelens.py saelens``. The folders were written by sae-lens 6.54.12; each has,
besides the files of SAELens, ``expected.safetensors``: the activations of a few tokens and what
SAELens's own encoder makes of them.
"""

import sys
from pathlib import Path

import sae_lens.saes as zoo
import torch
from safetensors.torch import save_file

D_IN, D_SAE = 6, 16
_SIZES = {"d_in": D_IN, "d_sae": D_SAE}
_TRANSCODER = {**_SIZES, "d_out": 5, "apply_b_dec_to_input": False}

# name: (architecture, settings, whether to save a training SAE for inference)
CASES = {
    "standard": ("Standard", {}, None),
    "standard_untouched_input": ("Standard", {"apply_b_dec_to_input": False}, None),
    "standard_layer_norm": ("Standard", {"normalize_activations": "layer_norm"}, None),
    "standard_norm_rescale": ("Standard", {"normalize_activations": "constant_norm_rescale"}, None),
    "standard_bfloat16": ("Standard", {"dtype": "bfloat16"}, None),
    "standard_float64": ("Standard", {"dtype": "float64"}, None),
    "standard_trained": ("StandardTraining", {}, False),
    "gated": ("Gated", {}, None),
    "gated_trained": ("GatedTraining", {}, True),
    "jumprelu": ("JumpReLU", {}, None),
    "jumprelu_trained": ("JumpReLUTraining", {}, False),
    "topk": ("TopK", {"k": 3}, None),
    "topk_rescaled": ("TopK", {"k": 3, "rescale_acts_by_decoder_norm": True}, None),
    "topk_trained": ("TopKTraining", {"k": 3}, True),
    "abstopk": ("AbsTopK", {"k": 3}, None),
    "batchtopk": ("BatchTopKTraining", {"k": 2.5}, True),
    "batchtopk_trained": ("BatchTopKTraining", {"k": 2.5}, False),
    "matryoshka": (
        "MatryoshkaBatchTopKTraining",
        {"k": 2.5, "matryoshka_widths": [4, D_SAE], "rescale_acts_by_decoder_norm": False},
        False,
    ),
    "matching_pursuit": ("MatchingPursuit", {"residual_threshold": 0.5}, None),
    "matching_pursuit_few": (
        "MatchingPursuit",
        {"max_iterations": 3, "stop_on_duplicate_support": False, "residual_threshold": 0.0},
        None,
    ),
    "transcoder": ("Transcoder", _TRANSCODER, None),
    "skip_transcoder": ("SkipTranscoder", _TRANSCODER, None),
    "jumprelu_transcoder": ("JumpReLUTranscoder", _TRANSCODER, None),
    "jumprelu_skip_transcoder": ("JumpReLUSkipTranscoder", _TRANSCODER, None),
}


def build(name, settings, seed):
    """Build an SAE with random weights."""
    sae = getattr(zoo, f"{name}SAE", None) or getattr(zoo, name)
    config = getattr(zoo, f"{name}SAEConfig", None) or getattr(zoo, f"{name}Config")
    metadata = zoo.sae.SAEMetadata(hook_name="blocks.1.hook_resid_post")
    made = sae(config(**{**_SIZES, "metadata": metadata, **settings}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, part in sorted(made.named_parameters()):
            noise = torch.randn(part.shape, generator=generator)
            part.copy_(0.3 + 0.2 * noise if key == "threshold" else 0.6 * noise)
        if "MatchingPursuit" in name:
            made.W_dec /= made.W_dec.norm(dim=1, keepdim=True)
        if hasattr(made, "topk_threshold"):
            made.topk_threshold.fill_(0.4)
    return made


def main(folder):
    """Write all cases."""
    tokens = torch.randn(9, D_IN, generator=torch.Generator().manual_seed(0)) * 2
    for seed, (case, (name, settings, for_inference)) in enumerate(CASES.items()):
        sae = build(name, settings, seed)
        (sae.save_inference_model if for_inference else sae.save_model)(folder / case)
        saved = folder / case
        if for_inference is not None:
            # A training SAE is judged by its inference twin.
            saved = folder / "twin"
            sae.save_inference_model(saved)
        twin = zoo.SAE.load_from_disk(saved)
        with torch.no_grad():
            codes = twin.encode(tokens).to_dense().float()
        pair = {"tokens": tokens, "codes": codes.contiguous()}
        save_file(pair, folder / case / "expected.safetensors")
    for file in (folder / "twin").iterdir():
        file.unlink()
    (folder / "twin").rmdir()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
