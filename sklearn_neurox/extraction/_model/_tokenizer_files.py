# SPDX-License-Identifier: BSD-3-Clause
"""Check that a folder holds the files of its tokenizer, which transformers otherwise makes up."""

import re
from pathlib import Path

# Files that hold a whole vocabulary, whatever the class of the tokenizer.
_VOCABULARY_FILE = re.compile(
    r"tokenizer(?!_config)[^/]*\.json|tokenizer\.model.*|tekken\.json|tiktoken\.model|.*\.(spm|gguf)"
)


def check_tokenizer_files(tokenizer, source, *, parameter):
    """Return a tokenizer loaded from a folder, after checking that the folder has its vocabulary.

    Without these files, transformers returns a tokenizer that knows only its special tokens, or
    splits words into characters. Tokenizers of bytes or characters need no file, and names that are
    not folders are left to `check_vocabulary_size`.
    """
    names = dict(getattr(type(tokenizer), "vocab_files_names", {}))
    folder = Path(source)
    if not names or not folder.is_dir():
        return tokenizer
    present = {file.name for file in folder.iterdir()}
    if any(_VOCABULARY_FILE.fullmatch(name) for name in present):
        return tokenizer
    for key in ("tokenizer_file", "tokenizer_config_file"):
        names.pop(key, None)
    needed = [names["merges_file"]] if "merges_file" in names else []
    lacking = [name for name in needed if name not in present]
    if not lacking and present & set(names.values()):
        return tokenizer
    own = " and ".join(lacking or names.values())
    raise ValueError(
        f"The {parameter!r} parameter of ActivationExtractor is {source!r}, a folder that lacks "
        f"the files of its tokenizer: tokenizer.json{f' (or {own})' if own else ''}. transformers "
        f"would make up a {type(tokenizer).__name__} of {len(tokenizer)} tokens. Save the model's "
        "tokenizer there with tokenizer.save_pretrained(folder), or pass it as tokenizer=."
    )
