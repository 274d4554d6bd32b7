# SPDX-License-Identifier: BSD-3-Clause
import copy
import functools
import os
import sys

# Set before transformers is imported anywhere: no test may use the network.
os.environ["HF_HUB_OFFLINE"] = "1"
# Workers share the cores, so none may start a thread for each core.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from sklearn_neurox.extraction._run._repeated_reads import forget_passes
from tests.followed_advice import make_example
from tests.page_outputs import processes


def pytest_collection_modifyitems(config, items):
    """Run the tests of pages first: a process that took over the last ones would build again."""
    items.sort(key=lambda item: item.path.parent != config.rootpath / "tests")


@pytest.fixture(autouse=True, scope="session")
def _one_vocabulary_of_canine():
    """Share the 1.1 million characters that every CANINE tokenizer lists twice when it loads."""
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
    # Tests read the same few texts again and again, which would otherwise raise a warning.
    forget_passes()


@pytest.fixture(autouse=True)
def _same_draws(request, monkeypatch):
    """Start each test with the same random numbers, whichever tests ran before."""
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    for name, value in list(vars(request.module).items()):
        if isinstance(value, np.random.RandomState | np.random.Generator):
            monkeypatch.setattr(request.module, name, copy.deepcopy(value))


@pytest.fixture(autouse=True, scope="session")
def _nothing_left_behind(request):
    """Fail if a test left a file, such as a cache, in the folder the tests are run from."""
    where = request.config.rootpath
    before = set(os.listdir(where))
    yield
    new = {name for name in set(os.listdir(where)) - before if not name.startswith(".")}
    assert not new, f"the tests left {sorted(new)} in {where}"


@pytest.fixture(scope="session")
def decoder():
    """Folder of a real decoder, if there is one; tests/decoder.txt says how to make it."""
    folder = os.environ.get("SKLEARN_NEUROX_DECODER")
    if not folder:
        pytest.skip("SKLEARN_NEUROX_DECODER does not name the folder of a decoder")
    return folder


@pytest.fixture(scope="session")
def treebank():
    """Path of a real treebank, if there is one."""
    path = os.environ.get("SKLEARN_NEUROX_CONLLU")
    if not path:
        pytest.skip("SKLEARN_NEUROX_CONLLU does not name a CoNLL-U file")
    return path


@pytest.fixture(scope="session")
def run_fresh():
    """Return a function that runs code in a process of its own, without repeating slow imports."""
    with processes() as run:
        yield run


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """Return words and their activations, for the tests of advice."""
    return make_example(tmp_path_factory.mktemp("example"))
