# SPDX-License-Identifier: BSD-3-Clause
"""Permissions, as an ordinary user meets them."""

import contextlib
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
from sklearn_neurox.extraction._cache._shard_index import forget_indices

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

_NOBODY = 65534


@contextlib.contextmanager
def ordinary_user():
    """Give up the rights of the superuser within the context, if there are any."""
    if os.getuid():
        yield
        return
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def shared():
    """Return a folder that everyone may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


def _lock(folder, what):
    fingerprint = next(folder.glob("v4-*"))
    shards = sorted(fingerprint.glob("*.safetensors"))
    for path in [folder, fingerprint]:
        path.chmod(0o555)
    for path in shards:
        path.chmod(0o444)
    if what == "one shard":
        shards[0].chmod(0)
    elif what == "all shards":
        for path in shards:
            path.chmod(0)
    elif what == "fingerprint":
        fingerprint.chmod(0)
    elif what == "everything":
        folder.chmod(0)
    elif what == "unsearchable":
        folder.chmod(0o444)
    elif what == "marker":
        (folder / "sklearn-neurox-cache.txt").chmod(0)


# What is protected beyond the folders themselves, and how many of six texts can still be read.
_LOCKS = {
    "nothing": 6,
    "marker": 6,
    "one shard": None,
    "all shards": 0,
    "fingerprint": 0,
    "everything": 0,
    "unsearchable": 0,
}


@pytest.mark.slow
@pytest.mark.parametrize("what", _LOCKS)
def test_what_may_be_read_is_read_and_the_rest_is_computed(
    what, live, words, shared, count_forwards
):
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, max_batch_tokens=20)
    expected = extractor.transform(words).pool("mean")
    extractor.set_params(cache=shared / "cache").fill_cache(words)
    _lock(shared / "cache", what)
    before = sorted(os.listdir(shared / "cache"))
    forget_indices()
    count_forwards.clear()
    with ordinary_user():
        if what in ("nothing", "marker"):
            found = extractor.transform(words).pool("mean")
        else:
            with pytest.warns(UserWarning) as caught:
                found = extractor.transform(words).pool("mean")
            *unreadable, lacking = [
                str(warning.message) for warning in caught if "third" not in str(warning.message)
            ]
            assert re.search(r"is read-only and lacks \d of 6 texts", lacking)
            assert all("cannot be read (Permission denied)" in each for each in unreadable)
            assert bool(unreadable) == ("shard" in what)
        with pytest.raises(OSError, match=r"cache"):
            extractor.fill_cache(["A new text"])
        if what == "nothing":
            assert ActivationCache(shared / "cache").prune() == 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    if _LOCKS[what] is not None:
        assert sum(count_forwards) == 6 - _LOCKS[what]
    (shared / "cache").chmod(0o755)
    assert sorted(os.listdir(shared / "cache")) == before


@pytest.mark.slow
def test_removing_what_one_may_not_remove_is_an_error(live, words, shared):
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=shared / "cache")
    extractor.fill_cache(words)
    cache = ActivationCache(shared / "cache")
    _lock(shared / "cache", "nothing")
    with ordinary_user(), pytest.raises(PermissionError, match=r"\.safetensors"):
        cache.prune(cache.info()["fingerprint"])
    assert cache.verify().empty and cache.info()["sentences"].tolist() == [6]


def test_files_that_others_may_read_stay_so(live, words, shared):
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=shared / "cache")
    before = os.umask(0o022)
    try:
        extractor.fill_cache(words)
    finally:
        os.umask(before)
    for path in [shared / "cache", *(shared / "cache").rglob("*")]:
        assert path.stat().st_mode & stat.S_IROTH
