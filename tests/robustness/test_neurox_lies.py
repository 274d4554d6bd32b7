# SPDX-License-Identifier: BSD-3-Clause
"""Reading and writing NeuroX's files never mixes two runs, loses a file, or crashes or hangs."""

import errno
import json
import os
import shutil

import joblib
import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.io import read_neurox, write_neurox
from sklearn_neurox.words import words_frame

WORDS = words_frame([["The", "cat"], ["Dogs", "bark"]]).assign(tag=["D", "N", "N", "V"])
OTHERS = words_frame([["A", "man"], ["She", "saw"]])
H = np.arange(16, dtype=np.float32).reshape(4, 4)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# Writing


def test_no_output_overwrites_another(tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "below").mkdir()
    write_neurox(tmp_path / "acts.hdf5", H, WORDS, n_layers=2)
    before, own = contents(tmp_path), str(tmp_path)
    for options in (
        {"parallel": {"word": f"{own}/acts.hdf5"}},
        {"parallel": {"word": f"{own}/link/acts.hdf5"}},
        {"parallel": {"word": f"{own}/a.txt", "tag": f"{own}/below/../a.txt"}},
        {"parallel": {"word": f"{own}/a.txt", "tag": f"{own}/link/a.txt"}},
        {"parallel": {"tag": f"{own}/acts-layer1.hdf5"}, "decompose_layers": True},
    ):
        with pytest.raises(ValueError, match="a file of their own"):
            write_neurox(tmp_path / "acts.hdf5", H, WORDS, n_layers=2, **options)
        assert contents(tmp_path) == before


@pytest.mark.parametrize("suffix", ["hdf5", "json"])
def test_a_failed_call_leaves_all_files_of_the_last(suffix, tmp_path):
    pytest.importorskip("h5py")
    path, text = tmp_path / f"acts.{suffix}", tmp_path / "words.txt"
    options = {"n_layers": 2, "decompose_layers": True, "parallel": {"word": text}}
    write_neurox(path, H, WORDS, **options)
    before = contents(tmp_path)
    late = -H
    late[3, 3] = np.nan
    lone = WORDS.assign(word=pd.Series(["a\ud800", "cat", "Dogs", "bark"], dtype=object))
    for values, words, match in (
        (late, WORDS, "NaN"),
        (-H, lone, "Sentence 0 has a lone surrogate .* in the column 'word'"),
    ):
        with pytest.raises(ValueError, match=match):
            write_neurox(path, values, words, **options)
        assert contents(tmp_path) == before
    # The format itself holds such a word.
    write_neurox(path, -H, lone, n_layers=2)
    np.testing.assert_array_equal(read_neurox(path, lone)[0].pool("last"), -H)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="sets the limits of a child process")
@pytest.mark.parametrize("suffix", ["hdf5", "json"])
def test_a_full_disk_is_an_error_that_names_the_file(suffix, tmp_path):
    pytest.importorskip("h5py")
    import resource

    path, words = tmp_path / f"acts.{suffix}", words_frame([["a", "b"]] * 100)
    values = np.random.default_rng(0).random((200, 8), dtype=np.float32)
    write_neurox(path, values, words, n_layers=2)
    before = contents(tmp_path)
    size = len(before[path.name])
    for limit in (1, 100, 900, 3000, size // 2, size - 1):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            said = "nothing"
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                write_neurox(path, -values, words, n_layers=2)
            except OSError as error:
                said = f"{error.errno} {error.filename}"
            finally:
                os.write(writing, said.encode())
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            said = stream.read()
        assert os.waitpid(child, 0)[1] == 0
        assert said == f"{errno.EFBIG} {path}"
        assert contents(tmp_path) == before


def test_a_file_name_may_be_as_long_as_the_system_allows(tmp_path):
    for name in ("n" * 250 + ".json", "é" * 120 + ".json"):
        write_neurox(tmp_path / name, H, WORDS, n_layers=2)
        assert read_neurox(tmp_path / name)[0].shape == (4,)


# Reading


def test_files_of_layers_that_hold_other_words_are_not_mixed(tmp_path):
    pytest.importorskip("h5py")
    for suffix in ("hdf5", "json"):
        path = tmp_path / f"acts.{suffix}"
        write_neurox(path, np.hstack([H, H[:, :2]]), WORDS, n_layers=3, decompose_layers=True)
        write_neurox(path, -H, OTHERS, n_layers=2, decompose_layers=True)
        with pytest.raises(ValueError, match="their words .*acts-layer2.* different runs"):
            read_neurox(path)
        assert read_neurox(path, layers=[0, 1])[0].shape == (4,)


def test_two_files_of_one_layer_are_an_error(tmp_path):
    write_neurox(tmp_path / "acts.json", H, WORDS, n_layers=2, decompose_layers=True)
    shutil.copy(tmp_path / "acts-layer0.json", tmp_path / "acts-layer01.json")
    with pytest.raises(ValueError, match=r"acts-layer0?1\.json both say layer 1"):
        read_neurox(tmp_path / "acts.json")


def overwritten(path):
    write_neurox(path, -H, OTHERS, n_layers=2)


def changed_in_place(path):
    data, times = path.read_bytes(), os.stat(path)
    with open(path, "r+b") as file:
        file.seek(data.index(H[:2, :2].tobytes()[8:16]))
        file.write(np.float32([7, 7]).tobytes())
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def in_another_folder(path):
    other = path.parent / "other"
    other.mkdir()
    overwritten(other / path.name)
    os.chdir(other)


@pytest.mark.parametrize("change", [overwritten, changed_in_place, in_another_folder])
def test_a_file_that_changes_before_its_values_are_read(change, tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    write_neurox("acts.hdf5", H, WORDS, n_layers=2)
    activations, _ = read_neurox("acts.hdf5")
    np.testing.assert_array_equal(activations.pool("last"), H)
    hashed = joblib.hash(activations)
    assert joblib.hash(read_neurox("acts.hdf5")[0]) == hashed
    change(tmp_path / "acts.hdf5")
    with pytest.raises(ValueError, match="acts.hdf5 has changed since read_neurox read it"):
        activations.pool("last")
    # joblib.Memory must not take the new file for the old one.
    assert joblib.hash(read_neurox("acts.hdf5")[0]) != hashed


def test_layers_are_whole_numbers(tmp_path):
    write_neurox(tmp_path / "acts.json", H, WORDS, n_layers=2)
    for wrong in (1.0, True, "1", -1, None, np.float64(1), np.bool_(True), [1]):
        for parameter in ("layers", "stored_layers"):
            with pytest.raises(ValueError, match=f"{parameter!r} parameter of read_neurox must"):
                read_neurox(tmp_path / "acts.json", **{parameter: [0, wrong]})
    for layers in ([1], (1,), np.array([1]), [np.uint8(1)], pd.Series([1])):
        activations, _ = read_neurox(tmp_path / "acts.json", layers=layers)
        assert list(activations.get_feature_names()) == ["hidden.1.0", "hidden.1.1"]


def test_a_pickle_of_lists_in_lists_ends(tmp_path):
    torch = pytest.importorskip("torch")
    itself = [[[torch.ones(2)]]]
    itself.append(itself)
    many = [torch.ones(2)]
    for _ in range(9):
        many = [many] * 10
    for stored in (itself, many):
        torch.save(stored, tmp_path / "acts.pt")
        with pytest.raises(ValueError, match=r"acts.pt declares over .* items"):
            read_neurox(tmp_path / "acts.pt", WORDS)
    # Lists may share their items.
    torch.save([[[torch.ones(2)] * 2] * 2] * 2, tmp_path / "acts.pt")
    assert read_neurox(tmp_path / "acts.pt", WORDS)[0].pool("last").tolist() == [[1.0] * 4] * 4


def test_a_number_of_a_sentence_with_thousands_of_digits(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "acts.hdf5", "w") as file:
        file.create_dataset("0", data=np.zeros((1, 1, 2)))
        text = file.create_dataset("sentence_to_index", (1,), dtype=h5py.string_dtype())
        text[0] = json.dumps({"a": "1" * 5000})
    with pytest.raises(ValueError, match=r"acts.hdf5.* gives the sentence 'a' the number '11"):
        read_neurox(tmp_path / "acts.hdf5")
