# SPDX-License-Identifier: BSD-3-Clause
"""Damage a cache in every way that comes to mind: no wrong value ever, and no silence about it."""

import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
from sklearn_neurox.extraction._cache._shard_header import _digest
from sklearn_neurox.extraction._cache._shard_index import forget_indices

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")


def _patch(path, place, content):
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(content)


def _flip(path, rng, n):
    stored = bytearray(path.read_bytes())
    for place in rng.integers(0, len(stored), n):
        stored[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(stored)


def _resize(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


def _instead(path, make):
    path.unlink()
    make(path)


def _exchange(path, other):
    ours, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(ours)


def _split(path):
    stored = path.read_bytes()
    size = 8 + int.from_bytes(stored[:8], "little")
    return stored[:size], stored[size:]


def _splice(path, other):
    """Join the header of one shard and the body of another."""
    path.write_bytes(_split(path)[0] + _split(other)[1])


def _move_bytes(path, rng):
    header, body = _split(path)
    a, b = sorted(rng.choice(len(body) // 64, 2, replace=False) * 64)
    moved = body[:a] + body[b : b + 64] + body[a + 64 : b] + body[a : a + 64] + body[b + 64 :]
    path.write_bytes(header + moved)


def _craft(path, rng):
    """Change the header, and name the file by it."""
    header, body = _split(path)
    changed = json.loads(header[8:])
    names = [name for name in changed if name != "__metadata__"]
    entry = changed[names[rng.integers(len(names))]]
    field = ("dtype", "shape", "shape", "data_offsets")[rng.integers(4)]
    entry[field] = {
        "dtype": ["F32", "U8", "X", 3][rng.integers(4)],
        "shape": [[], [0], [-1, 2], [1 << 50], [3, 3], None, "x"][rng.integers(7)],
        "data_offsets": [[0, 0], [5, 2], [0, 1 << 60], "x"][rng.integers(4)],
    }[field]
    text = json.dumps(changed, separators=(",", ":")).encode()
    path.unlink()
    path = path.with_name(_digest(text) + ".safetensors")
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def _renamed(path, name):
    return path.rename(path.with_name(name))


def _copied(path, name, source=None):
    shutil.copyfile(source or path, path.with_name(name))
    return path.with_name(name)


# Each damages the shard ``a``, with the help of ``b`` of the same model and ``c`` of another model,
# and returns the damaged path if it is not ``a``.
DAMAGES = {
    "cut": lambda a, b, c, rng: _resize(a, int(rng.integers(0, a.stat().st_size))),
    "cut by one": lambda a, b, c, rng: _resize(a, a.stat().st_size - 1),
    "emptied": lambda a, b, c, rng: _resize(a, 0),
    "extended": lambda a, b, c, rng: _resize(a, a.stat().st_size + int(rng.integers(1, 9000))),
    "one bit": lambda a, b, c, rng: _flip(a, rng, 1),
    "many bits": lambda a, b, c, rng: _flip(a, rng, 40),
    "zeros": lambda a, b, c, rng: _patch(a, int(rng.integers(a.stat().st_size - 512)), bytes(512)),
    "all zeros": lambda a, b, c, rng: a.write_bytes(bytes(a.stat().st_size)),
    "noise": lambda a, b, c, rng: a.write_bytes(rng.bytes(a.stat().st_size)),
    "exchanged": lambda a, b, c, rng: _exchange(a, b),
    "spliced": lambda a, b, c, rng: _splice(a, b),
    "bytes moved": lambda a, b, c, rng: _move_bytes(a, rng),
    "crafted header": lambda a, b, c, rng: _craft(a, rng),
    "another model's": lambda a, b, c, rng: a.write_bytes(c.read_bytes()),
    "another model's beside": lambda a, b, c, rng: _copied(a, c.name, c),
    "another name": lambda a, b, c, rng: _renamed(a, rng.bytes(16).hex() + a.suffix),
    "no name": lambda a, b, c, rng: _renamed(a, "model.safetensors"),
    "copied": lambda a, b, c, rng: _copied(a, "0" * 32 + a.suffix),
    "removed": lambda a, b, c, rng: a.unlink(),
    "folder": lambda a, b, c, rng: _instead(a, os.mkdir),
    "pipe": lambda a, b, c, rng: _instead(a, os.mkfifo),
    "loop": lambda a, b, c, rng: _instead(a, lambda path: path.symlink_to(path)),
    "link to its like": lambda a, b, c, rng: _instead(a, lambda path: path.symlink_to(b)),
    "sparse": lambda a, b, c, rng: _resize(a, 50 << 30),
    "older": lambda a, b, c, rng: os.utime(a, (0, 0)),
}
# These leave nothing wrong in the folder, so there is nothing to say.
_HARMLESS = {"removed", "older"}


@pytest.fixture
def pristine(tiny, words, tmp_path):
    """Return a full cache, and another model's shard."""
    ActivationExtractor(tiny("bert"), cache=tmp_path / "full", max_batch_tokens=20).fill_cache(
        words
    )
    ActivationExtractor(tiny("bert", n_layers=3), cache=tmp_path / "other").fill_cache(words)
    return tmp_path / "full", next((tmp_path / "other").glob("v4-*/*.safetensors"))


def damage_and_read(kind, seed, pristine, model, words, expected, folder, *, open_before):
    """Damage a copy of a cache; check the values, and that the damage is named."""
    full, alien = pristine
    shutil.copytree(full, folder, symlinks=True)
    rng = np.random.default_rng(seed)
    extractor = ActivationExtractor(model, cache=folder, max_batch_tokens=20)
    if open_before:  # what was checked before it was damaged is checked again
        extractor.transform(words).pool("mean")
    a, b = rng.permutation(sorted(folder.glob("v4-*/*.safetensors")))[:2]
    before = a.name, a.read_bytes()
    damaged = DAMAGES[kind](a, b, alien, rng)
    path = damaged if isinstance(damaged, Path) else a
    same = path.is_file() and not path.is_symlink() and path.stat().st_size == len(before[1])
    same = same and before == (path.name, path.read_bytes())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = extractor.transform(words).pool("mean")
        where = f"{kind}, seed {seed}"
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5, err_msg=where)
        assert len(ActivationCache(folder).info()) == 1, where
        intact = ActivationCache(folder).verify().empty
    named = any(path.name in str(warning.message) for warning in caught)
    assert named or same or intact, where
    assert not (named and kind in _HARMLESS), where
    # Nobody is disturbed by what is gone, and nothing is lost by cleaning up.
    ActivationCache(folder).prune()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = extractor.transform(words).pool("mean")
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5, err_msg=where)
    forget_indices()
    shutil.rmtree(folder)


def test_one_damage_of_each_kind(pristine, tiny, words, tmp_path):
    expected = ActivationExtractor(tiny("bert")).transform(words).pool("mean")
    for seed, kind in enumerate(DAMAGES):
        damage_and_read(
            kind, seed, pristine, tiny("bert"), words, expected, tmp_path / "copy",
            open_before=bool(seed % 2),
        )  # fmt: skip


@pytest.mark.slow
def test_three_hundred_damages(pristine, tiny, words, tmp_path):
    expected = ActivationExtractor(tiny("bert")).transform(words).pool("mean")
    kinds = list(DAMAGES)
    for seed in range(300):
        damage_and_read(
            kinds[seed % len(kinds)], 1000 + seed, pristine, tiny("bert"), words, expected,
            tmp_path / "copy", open_before=seed // len(kinds) % 2 == 0,
        )  # fmt: skip
