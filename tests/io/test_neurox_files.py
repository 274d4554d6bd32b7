# SPDX-License-Identifier: BSD-3-Clause
"""NeuroX files, written by hand in the format of NeuroX 1.0.9, and round trips with our own."""

import json
import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_neurox.extraction import SubwordAggregator
from sklearn_neurox.io import read_neurox, write_neurox
from sklearn_neurox.words import read_parallel, words_frame

SENTENCES = [["the", "dogs", "bark"], ["Hello"], ["the", "dogs", "bark"], ["a", "b"]]
LABELS = [["D", "N", "V"], ["I"], ["D", "N", "V"], ["X", "X"]]
N_LAYERS, N_UNITS = 3, 4


@pytest.fixture
def words():
    return words_frame(SENTENCES, {"upos": LABELS})


@pytest.fixture
def H(words):
    rng = np.random.default_rng(0)
    return rng.normal(size=(len(words), N_LAYERS * N_UNITS)).astype(np.float32)


def by_hand(path, H, sentences=SENTENCES, *, keys=None):
    """Write a file as NeuroX does; see its module ``data.writer``."""
    blocks, start = [], 0
    for sentence in sentences:
        rows = H[start : start + len(sentence)]
        blocks.append(rows.reshape(len(sentence), N_LAYERS, N_UNITS).swapaxes(0, 1))
        start += len(sentence)
    if path.suffix == ".hdf5":
        keys = keys or ["the dogs bark", "Hello", "the dogs bark (Occurrence 2)", "a b"]
        with h5py.File(path, "w") as file:
            for i, block in enumerate(blocks):
                file.create_dataset(str(i), block.shape, dtype="float32", data=block)
            index = {key: str(i) for i, key in enumerate(keys)}
            text = file.create_dataset("sentence_to_index", (1,), dtype=h5py.string_dtype())
            text[0] = json.dumps(index)
        return path
    with open(path, "w") as file:
        for i, (sentence, block) in enumerate(zip(sentences, blocks, strict=True)):
            features = [
                {
                    "token": word,
                    "layers": [
                        {"index": k, "values": [round(float(v), 8) for v in block[k, j]]}
                        for k in range(N_LAYERS)
                    ],
                }
                for j, word in enumerate(sentence)
            ]
            print(json.dumps({"linex_index": i, "features": features}), file=file)
    return path


def pooled(activations):
    return SubwordAggregator("mean").set_output(transform="pandas").fit_transform(activations)


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
def test_reads_what_neurox_writes(tmp_path, H, suffix):
    activations, words = read_neurox(by_hand(tmp_path / f"acts{suffix}", H))
    assert words.groupby("sentence_id")["word"].agg(list).tolist() == SENTENCES
    frame = pooled(activations)
    np.testing.assert_allclose(frame, H, rtol=0, atol=0 if suffix == ".hdf5" else 1e-8)
    assert frame.columns[[0, 4, 11]].tolist() == ["hidden.0.0", "hidden.1.0", "hidden.2.3"]


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
@pytest.mark.parametrize("decompose_layers", [False, True])
def test_there_and_back_is_exact(tmp_path, H, words, suffix, decompose_layers):
    path = tmp_path / f"acts{suffix}"
    write_neurox(path, H, words, n_layers=N_LAYERS, decompose_layers=decompose_layers)
    assert len(list(tmp_path.iterdir())) == (N_LAYERS if decompose_layers else 1)
    assert path.exists() is not decompose_layers
    activations, back = read_neurox(path, words)
    pd.testing.assert_frame_equal(back, words)
    np.testing.assert_array_equal(pooled(activations), H)
    stored = read_neurox(path)[1]
    assert stored["word"].tolist() == words["word"].tolist()


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
@pytest.mark.parametrize("decompose_layers", [False, True])
def test_layers_are_chosen_by_number_and_in_order(tmp_path, H, words, suffix, decompose_layers):
    columns = [f"hidden.{layer}.{unit}" for layer in (0, 6, 12) for unit in range(N_UNITS)]
    frame = pd.DataFrame(H, columns=columns)
    path = tmp_path / f"acts{suffix}"
    write_neurox(path, frame, words, decompose_layers=decompose_layers)
    stored = None if decompose_layers else [0, 6, 12]
    activations, _ = read_neurox(path, words, layers=[12, 0], stored_layers=stored)
    expected = frame[columns[8:] + columns[:4]]
    pd.testing.assert_frame_equal(pooled(activations), expected, check_exact=True)
    with pytest.raises(ValueError, match=r"no layer 7; it holds \[0, 6, 12\]"):
        read_neurox(path, words, layers=[0, 7], stored_layers=stored)


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
def test_rows_are_chosen_before_anything_is_read(tmp_path, H, words, suffix):
    activations, _ = read_neurox(by_hand(tmp_path / f"acts{suffix}", H), words)
    rows = [7, 0, 0, 4]
    np.testing.assert_array_equal(activations[rows].pool("last"), activations.pool("last")[rows])
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(activations[rows])).pool("first"), activations[rows].pool("last")
    )


def test_many_batches_are_put_in_their_places(tmp_path, monkeypatch, H, words):
    monkeypatch.setattr("sklearn_neurox.io._hdf5._BATCH_WORDS", 2)
    activations, _ = read_neurox(by_hand(tmp_path / "acts.hdf5", H), words)
    np.testing.assert_array_equal(activations.pool("last"), H)
    assert len(activations[[]].pool("last")) == 0


def test_stored_activations_are_cross_validated(tmp_path, H, words):
    write_neurox(tmp_path / "acts.hdf5", H, words, n_layers=N_LAYERS)
    activations, words = read_neurox(tmp_path / "acts.hdf5", words)
    pipe = make_pipeline(SubwordAggregator(), LogisticRegression())
    arguments = {"groups": words["sentence_id"], "cv": GroupKFold(2), "error_score": "raise"}
    y = (words["upos"] == "D").astype(int)
    y[[3, 7]] = 1
    ours = cross_val_score(pipe, activations, y, **arguments)
    np.testing.assert_array_equal(ours, cross_val_score(LogisticRegression(), H, y, **arguments))


def test_sentences_come_by_number_and_marks_of_repetition_are_told_from_words(tmp_path, H):
    sentences = [["x", "(Occurrence", "2)"], ["x"], ["x"]]
    keys = ["x (Occurrence 2)", "x", "x (Occurrence 3)"]
    path = by_hand(tmp_path / "acts.hdf5", H[:5], sentences, keys=keys)
    assert read_neurox(path)[1].groupby("sentence_id")["word"].agg(list).tolist() == sentences
    write_neurox(tmp_path / "ours.hdf5", H[:5], words_frame(sentences), n_layers=N_LAYERS)
    with h5py.File(tmp_path / "ours.hdf5") as file:
        index = json.loads(file["sentence_to_index"][0])
    assert list(index.values()) == ["0", "1", "2"]
    assert read_neurox(tmp_path / "ours.hdf5")[1]["word"].tolist() == [*sentences[0], "x", "x"]
    lines = by_hand(tmp_path / "acts.json", H[:5], sentences).read_text().splitlines(True)
    (tmp_path / "acts.json").write_text("".join(lines[::-1]))
    activations, words = read_neurox(tmp_path / "acts.json")
    assert words["word"].tolist() == [*sentences[0], "x", "x"]
    np.testing.assert_allclose(activations.pool("last"), H[:5], atol=1e-8)


def test_pt_files_are_lists_of_tensors(tmp_path, H, words):
    path, start, stored = tmp_path / "acts.pt", 0, []
    for sentence in SENTENCES:
        rows = H[start : start + len(sentence)].reshape(-1, N_LAYERS, N_UNITS)
        stored.append([[torch.from_numpy(layer) for layer in word.copy()] for word in rows])
        start += len(sentence)
    torch.save(stored, path)
    activations, _ = read_neurox(path, words, layers=[2])
    np.testing.assert_array_equal(activations.pool("last"), H[:, 8:])
    with pytest.raises(ValueError, match="stores no words"):
        read_neurox(path)


class _Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


@pytest.mark.parametrize("suffix", [".pt", ".acts", ".t7"])
def test_no_pickle_is_run(tmp_path, words, suffix):
    path = tmp_path / f"acts{suffix}"
    if suffix == ".pt":
        torch.save([_Bomb()], path)
    else:
        path.write_bytes(pickle.dumps(_Bomb()))
    message = "more than lists of tensors" if suffix == ".pt" else "cannot be read: it is a"
    with pytest.raises(ValueError, match=message):
        read_neurox(path, words)


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
def test_other_words_are_an_error_that_names_the_sentence(tmp_path, H, suffix):
    path = by_hand(tmp_path / f"acts{suffix}", H)
    longer = words_frame([*SENTENCES[:3], ["a", "b", "c"]], sentence_ids=list("wxyz"))
    message = r"1 of 4 .*sentence 3 \(sentence_id 'z'\) with 2 stored words and 3 rows"
    with pytest.raises(ValueError, match=message):
        read_neurox(path, longer)
    with pytest.warns(UserWarning, match=r"1 of 4.*dropped"):
        activations, words = read_neurox(path, longer, mismatched="drop")
    assert words["sentence_id"].unique().tolist() == ["w", "x", "y"]
    np.testing.assert_allclose(activations.pool("last"), H[:7], atol=1e-8)
    with pytest.raises(ValueError, match="holds 4 sentences, but the frame of words has 3"):
        read_neurox(path, longer[longer["sentence_id"] != "z"])


def test_a_dropped_word_asks_for_the_words(tmp_path, H):
    keys = ["the  bark", "Hello", "the dogs bark", "a b"]
    path = by_hand(tmp_path / "acts.hdf5", H, keys=keys)
    with pytest.raises(
        ValueError, match="word 1 of sentence 0 is stored as an empty string.*words="
    ):
        read_neurox(path)


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
def test_a_damaged_file_is_named(tmp_path, H, suffix):
    path = by_hand(tmp_path / f"acts{suffix}", H)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"acts\{suffix}(:3| is not a complete HDF5 file)"):
        read_neurox(path)


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
def test_layers_of_two_runs_are_not_put_together(tmp_path, H, words, suffix):
    for layer, width in ((0, 4), (1, 3)):
        frame = pd.DataFrame(H[:, :width]).add_prefix(f"hidden.{layer}.")
        write_neurox(tmp_path / f"acts{suffix}", frame, words, decompose_layers=True)
    with pytest.raises(
        ValueError, match=r"layer sizes in .*acts-layer1.*differ from those in .*acts-layer0"
    ):
        read_neurox(tmp_path / f"acts{suffix}")


def test_unclosed_and_foreign_hdf5_files_are_named(tmp_path):
    with h5py.File(tmp_path / "acts.hdf5", "w") as file:
        file["0"] = np.zeros((1, 2, 3))
    with pytest.raises(ValueError, match="no dataset 'sentence_to_index'"):
        read_neurox(tmp_path / "acts.hdf5")


def test_float16_halves_the_file_and_never_saturates(tmp_path, H, words):
    paths = [tmp_path / f"{dtype}.hdf5" for dtype in ("float32", "float16")]
    big = np.tile(H, (1, 300))
    for path in paths:
        write_neurox(path, big, words, n_layers=N_LAYERS, dtype=path.stem)
    assert paths[1].stat().st_size < 0.6 * paths[0].stat().st_size
    back = read_neurox(paths[1], words)[0].pool("last")
    np.testing.assert_array_equal(back, big.astype(np.float16).astype(np.float32))
    H[4, 2] = 1e5
    with pytest.raises(ValueError, match=r"sentence 2: the value 100000 does not fit into float16"):
        write_neurox(tmp_path / "acts.hdf5", H, words, n_layers=N_LAYERS, dtype="float16")
    with pytest.raises(
        ValueError, match=r"acts.json:3: the value 100000 does not fit into float16"
    ):
        read_neurox(by_hand(tmp_path / "acts.json", H), dtype="float16")
    assert not (tmp_path / "acts.hdf5").exists()


def test_words_are_a_frame(tmp_path, H):
    sentences = [["a", "b"], ["c"]]
    with pytest.raises(TypeError, match=r"of type list.*words_frame\(sentences\)"):
        read_neurox(by_hand(tmp_path / "acts.json", H), sentences)
    with pytest.raises(TypeError, match=r"of type list.*words_frame\(sentences\)"):
        write_neurox(tmp_path / "acts.hdf5", H, sentences, n_layers=N_LAYERS)


def test_parallel_files_are_those_read_parallel_reads(tmp_path, H, words):
    files = {"word": tmp_path / "acts.word", "upos": tmp_path / "acts.upos"}
    write_neurox(tmp_path / "acts.hdf5", H, words, n_layers=N_LAYERS, parallel=files)
    back = read_parallel(files["word"], files["upos"], name="upos")
    pd.testing.assert_frame_equal(back, words)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda H, w: (H, w.iloc[[0, 3, 1, 2, 4, 5, 6, 7, 8]]), "Sentence 0 continues at row 2"),
        (lambda H, w: (H[:-1], w), "H has 8 rows, but there are 9 words"),
        (lambda H, w: (H * np.nan, w), "sentence 0 contain NaN"),
        (lambda H, w: (H, w.assign(word=w["word"].replace("b", "b c"))), "Row 8 has 'b c'"),
        (lambda H, w: (pd.DataFrame(H).add_prefix("x"), w), "layer of every column"),
        (
            lambda H, w: (pd.DataFrame(H[:, :3], columns=[f"hidden.{n}" for n in names_of(3)]), w),
            "layers of equal size",
        ),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, H, words, change, message):
    H, words = change(H, words)
    n_layers = None if isinstance(H, pd.DataFrame) else N_LAYERS
    with pytest.raises(ValueError, match=message):
        write_neurox(tmp_path / "acts.json", H, words, n_layers=n_layers)
    assert not list(tmp_path.iterdir())


def names_of(n):
    return ["0.0", "0.1", "1.0"][:n]


def test_blank_lines_of_json_files_are_skipped(tmp_path, H, words):
    path = tmp_path / "acts.json"
    write_neurox(path, H, words, n_layers=N_LAYERS)
    plain = path.read_bytes()
    for text in (plain + b"\n\n", plain.replace(b"\n", b"\n \r\n"), b"\n" + plain.rstrip()):
        path.write_bytes(text)
        np.testing.assert_allclose(read_neurox(path, words)[0].pool("last"), H, rtol=1e-6)
    path.write_bytes(b"\n \n")
    with pytest.raises(ValueError, match="acts.json is empty"):
        read_neurox(path, words)


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
def test_float16_values_are_the_same_in_every_format(tmp_path, suffix):
    """The shortest digits that identify a float16 do not give the same value as a float32."""
    bits = np.arange(0, 2**16, 97, dtype=np.uint16).view(np.float16)
    values = bits[np.isfinite(bits)][:, None]
    words = words_frame([["w"] * len(values)])
    write_neurox(tmp_path / f"acts{suffix}", values, words, n_layers=1, dtype="float16")
    back = read_neurox(tmp_path / f"acts{suffix}", words)[0].pool("last")
    np.testing.assert_array_equal(back, values.astype(np.float32))
