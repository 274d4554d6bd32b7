# SPDX-License-Identifier: BSD-3-Clause
"""Trick a cache into losing good activations, or into believing what it did not write."""

import errno
import json
import os
import shutil
import subprocess
import time
import warnings
import zlib

import numpy as np
import pytest

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
from sklearn_neurox.extraction._cache import _activation_cache, _shard
from sklearn_neurox.extraction._cache._compaction import superseded
from sklearn_neurox.extraction._cache._shard_header import _digest
from sklearn_neurox.extraction._cache._shard_index import forget_indices
from sklearn_neurox.extraction._model import _fingerprint
from sklearn_neurox.utils._files._foreign_files import expanded
from sklearn_neurox.utils._files._output_files import check_writable, write_whole

posix = pytest.mark.skipif(os.name != "posix", reason="needs pipes, links and devices")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A filled cache of four shards, with its model and the activations."""
    from sklearn_neurox.datasets import make_tiny_model
    from sklearn_neurox.words import words_frame

    model, folder = make_tiny_model("bert"), tmp_path_factory.mktemp("pristine") / "cache"
    words = words_frame([f"The old dog barked at {n} cats".split() for n in ("two", "no", "six")])
    extract(model, folder, words)
    assert len(shards_of(folder)) > 1
    return folder, model, words, extract(model, None, words)


@pytest.fixture
def folder(pristine, tmp_path):
    shutil.copytree(pristine[0], tmp_path / "cache")
    forget_indices()
    return tmp_path / "cache"


def extract(model, folder, words):
    extractor = ActivationExtractor(model, cache=folder, max_batch_tokens=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return extractor.transform(words).pool("mean")


def shards_of(folder):
    return sorted(folder.glob("v4-*/[!.]*.safetensors"))


# Removing


def _cannot_be_mapped(monkeypatch):
    def fails(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(_shard.mmap, "mmap", fails)


def _cannot_be_opened(monkeypatch, code):
    def fails(path):
        raise OSError(code, os.strerror(code), str(path))

    for name in ("open_regular", "descriptor_of_regular"):
        monkeypatch.setattr(_shard, name, fails)


@pytest.mark.parametrize("code", [None, errno.EMFILE, errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.filterwarnings("ignore:The cache shard .* cannot be read:UserWarning")
def test_prune_leaves_what_it_could_not_read(code, folder, monkeypatch):
    """No memory, no descriptor or a network drive that stumbles is no damage."""
    before = shards_of(folder)
    if code is None:
        _cannot_be_mapped(monkeypatch)
    else:
        _cannot_be_opened(monkeypatch, code)
    assert ActivationCache(folder).prune() == 0
    assert shards_of(folder) == before
    assert len(ActivationCache(folder).verify()) == len(before)
    monkeypatch.undo()
    forget_indices()
    assert ActivationCache(folder).verify().empty


def test_prune_leaves_a_shard_that_was_repaired_meanwhile(folder, monkeypatch):
    path = shards_of(folder)[0]
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    look = _activation_cache._damage

    def look_and_repair(own):
        found = look(own)
        assert path in found
        path.with_name("new").write_bytes(good)
        path.with_name("new").replace(path)
        return found

    monkeypatch.setattr(_activation_cache, "_damage", look_and_repair)
    ActivationCache(folder).prune()
    assert path.read_bytes() == good


class _Copy:
    def __init__(self, path, keys):
        self.path, self.keys, self.blocks = path, list(keys), ["hidden.0"]

    def __len__(self):
        return len(self.keys)


def test_processes_with_different_views_never_remove_all_copies():
    """Each process sees some of the shards, in some order, and removes what it finds useless."""
    rng = np.random.default_rng(0)
    for _ in range(500):
        shards = [
            _Copy(f"{i}", rng.choice(list("uvwxyz"), rng.integers(1, 5), replace=False))
            for i in range(rng.integers(2, 7))
        ]
        removed = set()
        for _ in range(4):
            view = rng.permutation(len(shards))[: rng.integers(1, len(shards) + 1)]
            removed |= superseded([shards[i] for i in view])
        kept = [shard for shard in shards if shard.path not in removed]
        held, left = (set().union(*(s.keys for s in some)) for some in (shards, kept))
        assert held == left


def test_compact_keeps_the_good_one_of_two_copies(folder, pristine):
    """The larger copy would be kept, but its activations are damaged."""
    _, model, words, expected = pristine
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    ActivationCache(other).compact()
    (merged,) = shards_of(other)
    content = bytearray(merged.read_bytes())
    content[len(content) // 2] ^= 1
    small = shards_of(folder)
    (small[0].parent / merged.name).write_bytes(content)
    with pytest.warns(UserWarning, match=f"{merged.name} is damaged"):
        ActivationCache(folder).compact(max_bytes=2)
    assert set(small) <= set(shards_of(folder))
    np.testing.assert_allclose(extract(model, folder, words), expected, atol=1e-6)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="mounts a file system")
def test_leftovers_are_removed_from_a_disk_without_a_free_inode(folder, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=8m,nr_inodes=60", "tmpfs", str(disk)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        shutil.copytree(folder, disk / "cache")
        shard = shards_of(disk / "cache")[0]
        leftover = shard.with_name(f".{shard.name}.{'a' * 32}.tmp")
        shutil.copy(shard, leftover)
        os.utime(leftover, (time.time() - 4000,) * 2)
        with pytest.raises(OSError, match="No space left"):
            for i in range(100):
                (disk / str(i)).touch()
        assert ActivationCache(disk / "cache").prune() == shard.stat().st_size
        assert shard.exists() and not leftover.exists()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_drive_that_cannot_flush_holds_a_cache(pristine, tmp_path, monkeypatch):
    _, model, words, expected = pristine

    def fsync(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    np.testing.assert_allclose(extract(model, tmp_path / "new", words), expected, atol=1e-6)


# Telling


def test_verify_names_a_shard_without_its_first_bytes(folder):
    """Even if it is the only file of its folder, which is then no longer like a cache's."""
    ActivationCache(folder).compact()
    (path,) = shards_of(folder)
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    forget_indices()
    assert ActivationCache(folder).verify()["path"].tolist() == [str(path)]


@posix
def test_a_folder_that_may_not_be_read_is_passed_over_and_named(folder, monkeypatch):
    other = folder / f"v4-{'a' * 32}"
    other.mkdir()
    listdir = os.listdir

    def denied(path):
        if str(path) == str(other):
            raise PermissionError(errno.EACCES, "Permission denied", str(other))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", denied)
    cache = ActivationCache(folder)
    for call in (cache.info, cache.prune, cache.compact):
        with pytest.warns(UserWarning, match=f"passes over {other}.*Permission denied"):
            call()
    assert len(shards_of(folder)) == 1
    assert cache.verify().values.tolist() == [[str(other), "it cannot be read (Permission denied)"]]


def test_paths_without_a_place_are_named(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="'folder' parameter.*~nobody-of-this-name"):
        ActivationCache("~nobody-of-this-name/cache").info()
    (tmp_path / "removed").mkdir()
    monkeypatch.chdir(tmp_path / "removed")
    (tmp_path / "removed").rmdir()
    with pytest.raises(FileNotFoundError, match="'cache' cannot be found: the folder"):
        ActivationCache("cache").info()
    with pytest.raises(ValueError, match="has no home folder"):
        expanded(tmp_path.__class__("~nobody-of-this-name"), "A file")


# Believing


def craft(path, change):
    """Change the header and the tables of a shard, with checksums and a name that fit."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header, body = json.loads(raw[8 : 8 + size]), bytearray(raw[8 + size :])
    metadata = header["__metadata__"]
    facts = json.loads(metadata["facts"])

    def fill(table, value):
        start, stop = header[f"table.{table}"]["data_offsets"]
        body[start:stop] = np.full((stop - start) // 4, value, dtype="<i4").tobytes()

    change(facts, fill)
    metadata["facts"] = json.dumps(facts, sort_keys=True)
    checks = json.loads(metadata["checks"])
    for name in checks:
        checks[name] = zlib.crc32(body[slice(*header[f"table.{name}"]["data_offsets"])])
    metadata["checks"] = json.dumps(checks, sort_keys=True)
    text = json.dumps(header, separators=(",", ":")).encode()
    path.unlink()
    path = path.with_name(f"{_digest(text)}.safetensors")
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def blocks(change):
    def act(facts, _):
        for own in facts["stacks"][""]["components"].values():
            change(own)

    return act


def set_width(width):
    return blocks(lambda own: [block.__setitem__(3, width) for block in own])


CRAFTED = {
    "more windows than memory": lambda facts, fill: fill("n_windows", 2**31 - 1),
    "no windows": lambda facts, fill: fill("n_windows", 0),
    "negative windows": lambda facts, fill: fill("n_windows", -3),
    "a window that is not there": lambda facts, fill: fill("window", 1),
    "a negative window": lambda facts, fill: fill("window", -1),
    "a limit of a whole text": lambda facts, fill: fill("limit", 7),
    "no limit": lambda facts, fill: facts["stacks"][""].update(limit=0),
    "a negative limit": lambda facts, fill: facts["stacks"][""].update(limit=-7),
    "an immense limit": lambda facts, fill: facts["stacks"][""].update(limit=10**30),
    "a boolean limit": lambda facts, fill: facts["stacks"][""].update(limit=True),
    "immense blocks": set_width(10**12),
    "narrow blocks": set_width(1),
    "fewer blocks": blocks(lambda own: own.__delitem__(slice(1, None))),
    "no blocks": lambda facts, fill: facts["stacks"][""].update(components={}),
    "an unknown stack": lambda facts, fill: facts.update(stacks={"x": facts["stacks"][""]}),
    "no stacks": lambda facts, fill: facts.update(stacks={}),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The cache shard .* is damaged:UserWarning")
def test_crafted_tables_are_damage(pristine, tmp_path):
    """Their checksums fit, but what they say cannot be."""
    source, model, words, expected = pristine
    for i, (name, change) in enumerate(CRAFTED.items()):
        folder = tmp_path / str(i)
        shutil.copytree(source, folder)
        for path in shards_of(folder):
            craft(path, change)
        n = len(shards_of(folder))
        assert len(ActivationCache(folder).verify()) == n, name
        if i % 4 == 0:
            np.testing.assert_allclose(extract(model, folder, words), expected, atol=1e-6)


@posix
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "flipped digit", "cut", "text"])
def test_a_stored_digest_that_is_not_ours_is_computed_again(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(_fingerprint, "_WORTH_KEEPING", 1)
    weights, memo = tmp_path / "model.safetensors", tmp_path / "memo"
    weights.write_bytes(b"weights")
    os.utime(weights, (1e9, 1e9))
    digest = lambda: _fingerprint._digest([weights], memo)  # noqa: E731
    expected = digest()
    (stored,) = (memo / ".digests").iterdir()
    content = stored.read_bytes()
    stored.unlink()
    if kind == "pipe":
        os.mkfifo(stored)
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        stored.symlink_to(tmp_path / "pipe")
    else:
        first = b"0" if content[:1] != b"0" else b"1"
        stored.write_bytes(
            {"flipped digit": first + content[1:], "cut": content[:32], "text": b"hello"}[kind]
        )
    assert digest() == expected
    if "pipe" in kind:
        assert stored.exists() and not stored.is_file()  # neither read nor replaced
    else:
        assert stored.read_bytes() == content


@posix
def test_no_digest_is_written_through_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr(_fingerprint, "_WORTH_KEEPING", 1)
    weights, memo, other = tmp_path / "model.safetensors", tmp_path / "memo", tmp_path / "other"
    weights.write_bytes(b"weights")
    os.utime(weights, (1e9, 1e9))
    memo.mkdir()
    other.mkdir()
    (memo / ".digests").symlink_to(other)
    assert _fingerprint._digest([weights], memo) and not list(other.iterdir())


# Outputs


@posix
def test_a_device_is_not_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="a pipe, a socket or a device"):
        check_writable(pipe, "The report")
    with pytest.raises(OSError, match="a folder or a device, not a file"):
        write_whole(pipe, lambda name: pytest.fail("written"))
    assert pipe.is_fifo()


@posix
def test_a_matrix_is_that_of_its_own_call(pristine, tmp_path, monkeypatch):
    """Another process may put its own under the same name a moment later."""
    from sklearn_neurox.extraction._run import _output_matrix

    folder, model, words, expected = pristine
    file = tmp_path / "X.npy"

    def write(path, act):
        write_whole(path, act)
        np.save(tmp_path / "other.npy", np.full(expected.shape, 7, dtype=np.float32))
        (tmp_path / "other.npy").replace(path)

    monkeypatch.setattr(_output_matrix, "write_whole", write)
    found = ActivationExtractor(model, cache=folder).transform(words).pool("mean", memmap=file)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (np.load(file) == 7).all()
