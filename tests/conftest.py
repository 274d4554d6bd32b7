# SPDX-License-Identifier: BSD-3-Clause
import functools
import os

# Before transformers is imported anywhere: no test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"
# Nor may workers that share the cores fight for them, each with threads for all.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from sklearn_neurox.extraction._run._repeated_reads import forget_passes


@pytest.fixture(autouse=True, scope="session")
def _one_vocabulary_of_canine():
    """Share the 1.1 million characters that every tokenizer of CANINE lists twice when it loads."""
    from transformers import CanineTokenizer

    @functools.cache
    def characters(size):
        return {chr(i): i for i in range(size)}

    def get_vocab(self):
        return characters(self.vocab_size) | self.added_tokens_encoder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CanineTokenizer, "get_vocab", get_vocab)
        yield


@pytest.fixture(autouse=True)
def _fresh_pass_count():
    # Tests read the same few texts again and again, which users are warned about.
    forget_passes()


@pytest.fixture(autouse=True, scope="session")
def _nothing_left_behind(request):
    """Fail if a test wrote into the folder the tests are run from, such as a cache it named."""
    where = request.config.rootpath
    before = set(os.listdir(where))
    yield
    new = {name for name in set(os.listdir(where)) - before if not name.startswith(".")}
    assert not new, f"the tests left {sorted(new)} in {where}"


@pytest.fixture(scope="session")
def treebank():
    """Path of a real treebank, where there is one."""
    path = os.environ.get("SKLEARN_NEUROX_CONLLU")
    if not path:
        pytest.skip("SKLEARN_NEUROX_CONLLU does not name a CoNLL-U file")
    return path
