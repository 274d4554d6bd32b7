# SPDX-License-Identifier: BSD-3-Clause
"""Name the folder of the activations of a request."""

from dataclasses import fields, replace

from sklearn_neurox.extraction._cache._cache_folder import folder_name
from sklearn_neurox.extraction._model._fingerprint import fingerprint, tokenizer_fingerprint
from sklearn_neurox.extraction._model._loading import load_model
from sklearn_neurox.extraction._run._extraction_request import ExtractionRequest
from sklearn_neurox.utils._full_float32 import lowered_float32

# The parameters that decide which blocks are read, from which inputs, and how they are used, but
# not the states of a token. Any other parameter is part of the name.
_INCIDENTAL = frozenset(
    "spec component stack layers special_tokens missing overflow max_batch_tokens n_jobs verbose "
    "store".split()
)
_PARAMETERS = [each.name for each in fields(ExtractionRequest) if each.name not in _INCIDENTAL]


def identify_tokenizer(request):
    """Return a digest of what texts are tokenized with now; None if it is not on this machine."""
    return tokenizer_fingerprint(request.spec, request.store.folder)


def identify(request, *, load=False, tokenizer=None):
    """Return the name of the folder of these activations, for the current weights.

    ``tokenizer`` is what `identify_tokenizer` has just returned, if that is known.
    None if the model is not on this machine yet, unless ``load`` allows loading it.
    """
    store, spec = request.store, request.spec
    options = {name: getattr(request, name) for name in _PARAMETERS} | {"dtype": store.dtype}
    if store.pooled:  # with any strategy, which the key of each row includes
        options["pooled"] = True
    if lowered := lowered_float32():
        options["float32_products"] = lowered
    digest = fingerprint(spec, options, store.folder, tokenizer=tokenizer)
    if digest is None and load:
        model = load_model(spec)
        digest = fingerprint(spec, options)
        digest = digest or fingerprint(replace(spec, model=model), options)
    return None if digest is None else folder_name(digest)
