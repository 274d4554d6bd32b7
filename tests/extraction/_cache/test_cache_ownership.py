# SPDX-License-Identifier: BSD-3-Clause
"""A cache removes only what it has written, and believes nothing else."""

import ast
import os
import socket
import warnings
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import sklearn_neurox
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
from sklearn_neurox.extraction._cache import _cache_folder, _shard_header
from sklearn_neurox.extraction._cache._shard_index import forget_indices

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

MARKER = "sklearn-neurox-cache.txt"


def pool(model, words, cache):
    return (
        ActivationExtractor(model, cache=cache, max_batch_tokens=20).transform(words).pool("last")
    )


def shards_of(folder):
    return sorted(path for path in folder.glob("v4-*/*.safetensors") if path.is_file())


def tree(folder):
    """Describe everything below a folder, without following links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[str(path.relative_to(folder))] = stat.st_ino, stat.st_mode, content
    return found


@pytest.fixture
def filled(tiny, words, tmp_path):
    folder = tmp_path / "work"
    return ActivationCache(folder), pool(tiny("bert"), words, folder)


# What prune leaves alone


def _make_users_files(folder):
    """Put everything into a folder that a user might keep there, all of it old."""
    fingerprint = next(folder.glob("v4-*"))
    shard = next(fingerprint.glob("*.safetensors"))
    (folder / "my-bert").mkdir()
    save_file({"weight": np.ones((2, 2))}, folder / "my-bert" / "model.safetensors")
    (folder / "my-bert" / "download.tmp").write_bytes(b"half")
    (folder / "notes.tmp").write_text("mine")
    run = folder / ("ab" * 16)  # as some tools name their runs
    run.mkdir()
    save_file({"weight": np.ones((2, 2))}, run / "model.safetensors")
    save_file({"weight": np.ones((2, 2))}, run / ("cd" * 16 + ".safetensors"))
    alike = folder / ("v4-" + "ef" * 16)
    alike.mkdir()
    save_file({"weight": np.ones((2, 2))}, alike / ("cd" * 16 + ".safetensors"))
    (alike / f".{'cd' * 16}.safetensors.{'0' * 32}.tmp").write_bytes(b"not a shard")
    (fingerprint / "readme.txt").write_text("mine")
    (fingerprint / "old.tmp").write_text("mine")
    save_file({"weight": np.ones((2, 2))}, fingerprint / "weights.safetensors")
    save_file({"weight": np.ones((2, 2))}, fingerprint / ("cd" * 16 + ".safetensors"))
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / shard.name).write_bytes(shard.read_bytes())
    (folder / ("v4-" + "0" * 32)).symlink_to(elsewhere)
    (fingerprint / ("0" * 32 + ".safetensors")).symlink_to(elsewhere / shard.name)
    (fingerprint / ("1" * 32 + ".safetensors")).mkdir()
    for path in [*folder.rglob("*"), *elsewhere.rglob("*")]:
        if not path.is_symlink():
            os.utime(path, (0, 0))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The cache:UserWarning", "ignore:.*keeps:UserWarning")
def test_prune_and_compact_leave_everything_else(filled, tiny, words, tmp_path):
    cache, H = filled
    own = {str(path.relative_to(tmp_path)) for path in shards_of(cache.folder)}
    _make_users_files(cache.folder)
    fingerprint = next(iter(own)).split("/")[1]
    before = tree(tmp_path)
    assert cache.prune() == 0
    assert tree(tmp_path) == before
    with pytest.raises(ValueError, match="holds no fingerprint 'my-bert'"):
        cache.prune(["my-bert"])
    assert cache.info()["fingerprint"].tolist() == [fingerprint]
    cache.verify()
    assert tree(tmp_path) == before
    cache.compact()
    assert {name for name in before if name not in tree(tmp_path)} <= own
    np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
    merged = {name for name in tree(tmp_path).keys() - before.keys() if fingerprint in name}
    after = tree(tmp_path)
    with pytest.warns(UserWarning, match=r"prune keeps .*v4-.* has not written .*readme\.txt"):
        assert cache.prune([fingerprint]) > 0
    assert after.keys() - tree(tmp_path).keys() == merged
    assert {name: after[name] for name in tree(tmp_path)} == tree(tmp_path)


@pytest.mark.slow
def test_a_folder_without_the_marker_is_refused(filled, tiny, words, tmp_path):
    cache, H = filled
    marker = cache.folder / MARKER
    text = marker.read_text()
    others = {
        "gone": lambda: None,
        "empty": marker.touch,
        "other": lambda: marker.write_text("My cache"),
        "folder": marker.mkdir,
        "link": lambda: marker.symlink_to(tmp_path / "text"),
        "pipe": lambda: os.mkfifo(marker),
    }
    (tmp_path / "text").write_text(text)
    for make in others.values():
        if marker.is_dir() and not marker.is_symlink():
            marker.rmdir()
        marker.unlink(missing_ok=True)
        make()
        before = [path.name for path in sorted(cache.folder.rglob("*"))]
        for remove in (cache.prune, cache.compact, lambda: cache.prune(["x"])):
            with pytest.raises(ValueError, match=rf"'{cache.folder}' is not marked as a cache"):
                remove()
        assert [path.name for path in sorted(cache.folder.rglob("*"))] == before
        assert len(cache.info()) == 1  # reading needs no marker
        np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
    marker.unlink()
    ActivationExtractor(tiny("bert"), cache=cache).fill_cache(["A new text"])
    assert marker.read_text() == text and cache.prune() == 0
    (tmp_path / "nothing").mkdir()
    assert ActivationCache(tmp_path / "nothing").prune() == 0
    assert ActivationCache(tmp_path / "nowhere").compact() == 0


@pytest.mark.slow
def test_every_removal_in_the_package_says_why_it_is_safe():
    """Each call that removes or replaces a path stands here, below a comment that says why."""
    removing = {"unlink", "rmtree", "rmdir", "rename", "renames", "remove", "removedirs", "move"}
    found = {}
    source = Path(sklearn_neurox.__file__).parent
    for path in sorted(source.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Attribute):
                continue
            of = ast.unparse(node.value)
            is_path = node.attr == "replace" and of in ("os", "scratch", "shutil")
            if node.attr not in removing and not is_path:
                continue
            if node.attr in ("rename", "remove") and of not in ("os", "path", "scratch", "folder"):
                continue  # of a frame, an axis, a list or a hook
            above = lines[node.lineno - 4 : node.lineno]
            found.setdefault(path.name, []).append(any("# Only" in line for line in above))
    assert found == {
        "_cache_folder.py": [True] * 2,
        "_tiny_models.py": [True],
        "_output_files.py": [True] * 2,
    }


# Another model's shard, another format


@pytest.mark.slow
def test_another_models_shard_is_not_believed(filled, tiny, words, tmp_path):
    cache, H = filled
    H2 = pool(tiny("gpt2"), words, cache)
    names = dict(cache.info()[["model", "fingerprint"]].values.tolist())
    bert, gpt2 = (cache.folder / names[os.path.basename(tiny(f))] for f in ("bert", "gpt2"))
    for path in sorted(gpt2.glob("*.safetensors")):
        (bert / path.name).write_bytes(path.read_bytes())
    alien = {str(bert / path.name) for path in gpt2.glob("*.safetensors")}
    with pytest.warns(UserWarning, match="belongs to another model.*prune.. leaves it") as caught:
        np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
    assert len(caught) == len(alien)
    assert set(cache.verify()["path"]) == alien
    cache.prune()
    assert all(Path(path).exists() for path in alien)
    # In place of its own shards, too.
    for path in set(map(str, bert.glob("*.safetensors"))) - alien:
        Path(path).unlink()
    with pytest.warns(UserWarning, match="belongs to another model"):
        forget_indices()
        np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
    np.testing.assert_array_equal(pool(tiny("gpt2"), words, cache), H2)


@pytest.mark.slow
@pytest.mark.parametrize("version", [3, 5])
def test_a_folder_of_another_format_is_listed_and_left_alone(
    version, tiny, words, tmp_path, monkeypatch
):
    cache = ActivationCache(tmp_path / "cache")
    with monkeypatch.context() as patch:
        for module in (_cache_folder, _shard_header):
            patch.setattr(module, "FORMAT", version)
        pool(tiny("bert"), words, cache)
    folder = next(cache.folder.glob(f"v{version}-*"))
    if version == 3:  # names had no version then
        folder = folder.rename(folder.with_name(folder.name.removeprefix("v3-")))
    n_shards = len(list(folder.glob("*.safetensors")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        H = pool(tiny("bert"), words, cache)
        assert cache.prune() == cache.compact() * 0
        info = cache.info().set_index("fingerprint")
        assert cache.verify().empty
    np.testing.assert_array_equal(H, pool(tiny("bert"), words, None))
    assert info["format"].to_dict()[folder.name] == version and len(info) == 2
    assert info.loc[folder.name, ["shards", "sentences"]].tolist() == [n_shards, 0]
    assert cache.prune([folder.name]) == info.loc[folder.name, "bytes"] > 0
    assert not folder.exists() and cache.info()["format"].tolist() == [4]


def test_a_shard_of_another_format_in_this_folder_is_passed_over(filled, tiny, words, monkeypatch):
    cache, H = filled
    for path in shards_of(cache.folder):
        header = path.read_bytes()
        size = int.from_bytes(header[:8], "little")
        text = header[8 : 8 + size].replace(b"sklearn-neurox 4", b"sklearn-neurox 3")
        name = _shard_header._digest(text) + ".safetensors"
        path.with_name(name).write_bytes(header[:8] + text + header[8 + size :])
        path.unlink()
    n = len(shards_of(cache.folder))
    with pytest.warns(UserWarning, match="its format is 'sklearn-neurox 3'.*leaves it"):
        np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
    cache.prune()
    assert len(shards_of(cache.folder)) == 2 * n


# Foreign entries with the name of a shard


def _sparse(path):
    with open(path, "wb") as file:
        file.truncate(50 << 30)


def _bound(path):
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # the path of a socket must be short
        server.bind(path.name)


_FOREIGN = {
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "loop": (lambda path: path.symlink_to(path), "is a symbolic link"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
    "link": (lambda path: path.symlink_to("/etc/passwd"), "is a symbolic link"),
    "pipe": (os.mkfifo, "is a named pipe"),
    "socket": (_bound, "is a socket"),
    "sparse": (_sparse, "not a safetensors file"),
    "empty": (lambda path: path.touch(), "not a safetensors file"),
    "text": (lambda path: path.write_text("hello " * 50), "not a safetensors file"),
}


@pytest.mark.parametrize("kind", _FOREIGN)
def test_a_foreign_entry_is_named_once_and_passed_over(
    kind, filled, tiny, words, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    cache, H = filled
    make, reason = _FOREIGN[kind]
    path = shards_of(cache.folder)[0]
    spare = path.with_name("f" * 32 + ".safetensors")
    path.rename(tmp_path / "aside")
    make(path)  # where a shard must be written
    make(spare)
    identity = lambda each: (each.lstat().st_ino, each.lstat().st_mode)  # noqa: E731
    before = {each: identity(each) for each in (path, spare)}
    with pytest.warns(UserWarning) as caught:
        np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
        assert len(cache.info()) == 1
        np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2 and all(reason in message for message in messages)
    messages.sort(key=lambda message: str(spare) in message)
    for each, message in zip((path, spare), messages, strict=True):
        assert str(each) in message and "leaves it. Move or delete it" in message
    assert str(spare) in cache.verify()["path"].tolist()
    cache.prune()
    assert identity(spare) == before[spare]
    if "not a safetensors file" not in reason:  # else the shard of this name replaced it
        assert identity(path) == before[path]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)


@pytest.mark.slow
def test_a_fingerprint_folder_that_is_no_folder(filled, tiny, words, tmp_path):
    cache, H = filled
    folder = next(cache.folder.glob("v4-*"))
    folder.rename(tmp_path / "moved")
    kept = tree(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(OSError, match="is a link, which is not followed"):
        pool(tiny("bert"), words, cache)
    assert cache.info().empty and cache.prune() == 0 and tree(tmp_path / "moved") == kept
    folder.unlink()
    folder.write_text("in the way")
    with pytest.raises(OSError, match="cannot be created or written to"):
        pool(tiny("bert"), words, cache)
    assert cache.info().empty and cache.prune() == 0 and folder.read_text() == "in the way"


@pytest.mark.slow
def test_crafted_headers_are_damage_not_crashes(filled, tiny, words):
    """Each header is named by its digest, so nothing but its content gives it away."""
    import json

    cache, H = filled
    stored = shards_of(cache.folder)[0].read_bytes()
    folder = shards_of(cache.folder)[0].parent
    size = int.from_bytes(stored[:8], "little")
    good = json.loads(stored[8 : 8 + size])

    def change(*path, to):
        def apply(header):
            for step in path[:-1]:
                header = header[step]
            if to is ...:
                del header[path[-1]]
            else:
                header[path[-1]] = to

        return apply

    facts = json.loads(good["__metadata__"]["facts"])
    crafted = [
        change("table.key", to=...),
        change("table.ptr", "shape", to=[1 << 60]),
        change("table.ptr", "shape", to=[-1]),
        change("table.ptr", "shape", to=[2.5]),
        change("table.ptr", "shape", to=["9"]),
        change("table.ptr", "shape", to=[True]),
        change("table.ptr", "shape", to=None),
        change("table.ptr", "dtype", to="F64"),
        change("table.role", "shape", to=[[]]),
        change("hidden.0", "shape", to=[10**400, 16]),
        change("hidden.0", "shape", to=[]),
        change("hidden.0", "dtype", to="I64"),
        change("hidden.0", to=7),
        change("hidden.0", to={}),
        change("extra", to={"dtype": "F32", "shape": [0, 1], "data_offsets": [0, 0]}),
        change("__metadata__", "checks", to="{}"),
        change("__metadata__", "checks", to="[" * 100_000),
        change("__metadata__", "facts", to="{"),
        change("__metadata__", "facts", to="[]"),
        change("__metadata__", "facts", to="[" * 100_000),
        change("__metadata__", "facts", to=json.dumps({**facts, "stacks": {"": 5}})),
        change("__metadata__", "facts", to=json.dumps({**facts, "stacks": {"": {}}})),
        change("__metadata__", "facts", to=json.dumps({**facts, "causal": "no"})),
        change("__metadata__", "note", to=None),
    ]
    raw = stored[8 : 8 + size]
    texts = [raw[:200] + b"[" * 200_000, raw.rstrip() + b"}" * 9, raw[:-1] + b"\xff", raw[:300]]
    for apply in crafted:
        header = json.loads(stored[8 : 8 + size])
        apply(header)
        texts.append(json.dumps(header, separators=(",", ":")).encode())
    for text in texts:
        path = folder / (_shard_header._digest(text) + ".safetensors")
        path.write_bytes(len(text).to_bytes(8, "little") + text + stored[8 + size :])
        with pytest.warns(UserWarning, match=rf"{path.name} is damaged"):
            np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
        assert cache.verify()["path"].tolist() == [str(path)], text[:400]
        assert len(cache.info()) == 1
        path.unlink()


# Descriptors


def test_nothing_stays_open(filled, tiny, words):
    cache, H = filled
    open_files = lambda: {  # noqa: E731
        target
        for name in os.listdir("/proc/self/fd")
        if os.path.lexists(link := f"/proc/self/fd/{name}")
        and str(cache.folder) in (target := os.readlink(link))
    }
    plan = ActivationExtractor(tiny("bert"), cache=cache).transform(words)
    np.testing.assert_array_equal(plan.pool("last"), H)
    assert open_files() == set()
    assert str(cache.folder) not in Path("/proc/self/maps").read_text()
