# SPDX-License-Identifier: BSD-3-Clause
"""Damaged and crafted files, written without the package, each with what its error must say."""

import io
import json
import os
import pickle
import struct
import zipfile

import h5py
import numpy as np
import torch

SECRET = b"a line of another file that must not be read\n" * 100


def sentence(**changes):
    layer = {"index": 0, "values": [0.5, 2.0]}
    content = {"linex_index": 0, "features": [{"token": "a", "layers": [layer]}]}
    return json.dumps(content | changes)


def with_layers(*layers):
    return sentence(features=[{"token": "a", "layers": list(layers)}])


def raw(values):
    return with_layers({"index": 0, "values": "VALUES"}).replace('"VALUES"', values)


JSON_FILES = {
    "empty": ("", "is empty"),
    "blank": ("\n", "is empty"),
    "text": ("hello", ":1 is not a sentence"),
    "null": ("null", "holds null"),
    "number": ("3", "holds a number"),
    "list": ("[1]", "holds a list"),
    "binary": (b"\x80\x02\xff\xfe", ":1 is not a sentence"),
    "holes": (b"\0" * 4096, ":1 contains NUL"),
    "deep list": ("[" * 100_000, "too deeply nested"),
    "deep object": ('{"a":' * 100_000, "too deeply nested"),
    "deep values": (raw("[" * 50_000 + "]" * 50_000), "too deeply nested"),
    "1e400": (raw("[1e400, 1]"), "too large for float64"),
    "integer of 400 digits": (raw(f"[{10**400}, 1]"), ":1 is not a sentence"),
    "integer of 9,000 digits": (raw("[" + "9" * 9000 + "]"), ":1 is not a sentence"),
    "1e300": (raw("[1e300, 1]"), "1e[+]300 does not fit into float32"),
    "null value": (raw("[null, 1]"), "a value is not a number"),
    "text value": (raw('["0.5", 1]'), "a value is not a number"),
    "true value": (raw("[true, 1]"), "a value is not a number"),
    "value is a list": (raw("[[1], [2]]"), "a value is not a number"),
    "values null": (raw("null"), ":1 is not a sentence"),
    "no values": (raw("[]"), "each with values"),
    "no words": (sentence(features=[]), "no words"),
    "features null": (sentence(features=None), "no words"),
    "features number": (sentence(features=3), ":1 is not a sentence"),
    "no layers": (with_layers(), ":1 is not a sentence"),
    "ragged layers": (
        with_layers({"index": 0, "values": [1.0]}, {"index": 1, "values": [1.0, 2.0]}),
        ":1 is not a sentence",
    ),
    "layer twice": (with_layers(*[{"index": 1, "values": [1.0]}] * 2), "a layer twice"),
    "layer is text": (with_layers({"index": "1", "values": [1.0]}), "index of a layer"),
    "layer is infinite": (with_layers({"index": 1e999, "values": [1.0]}), "index of a layer"),
    "layer below zero": (with_layers({"index": -1, "values": [1.0]}), "index of a layer"),
    "token number": (
        sentence(features=[{"token": 3, "layers": [{"index": 0, "values": [1.0]}]}]),
        "a token is not a string",
    ),
    "sentence 1e400": (
        sentence().replace('"linex_index": 0', '"linex_index": 1e400'),
        "linex_index",
    ),
    "sentence -1": (sentence(linex_index=-1), "linex_index"),
    "sentence null": (sentence(linex_index=None), "linex_index"),
    "sentence twice": (f"{sentence()}\n{sentence()}", "linex_index 0 in more than one line"),
    "other layers": (
        f"{sentence()}\n"
        + with_layers({"index": 4, "values": [1.0, 2.0]}).replace('x_index": 0', 'x_index": 1'),
        ":2 has the layers",
    ),
    "cut": (sentence()[:-20], ":1 is not a sentence"),
}


def write_json(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _index(file, content='{"a b": "0"}'):
    text = file.create_dataset("sentence_to_index", (1,), dtype=h5py.string_dtype())
    text[0] = content


def _plain(file, name="0"):
    file.create_dataset(name, data=np.ones((1, 2, 3), np.float32))


def _elsewhere(folder):
    with h5py.File(folder / "other.hdf5", "w") as file:
        _plain(file)
        file["sentence_to_index"] = "x"
    (folder / "secret.txt").write_bytes(SECRET)


def _virtual(file, folder):
    layout = h5py.VirtualLayout((1, 2, 3), np.float32)
    layout[:] = h5py.VirtualSource(folder / "other.hdf5", "0", (1, 2, 3))
    file.create_virtual_dataset("0", layout)


def _external(file, folder):
    name = str(folder / "secret.txt")
    file.create_dataset("0", (1, 2, 3), np.float32, external=[(name, 0, 24)])


def _vast(file, shape=(3, 2, 10**12), **options):
    file.create_dataset("0", shape, np.float32, **options)


def _one_chunk(file):
    data = file.create_dataset("0", (1, 2, 2**29), np.float32, chunks=(1, 1, 2**28))
    data.id.write_direct_chunk((0, 0, 0), b"x" * 8, filter_mask=0)


# Each writes to an open file; the second argument is a folder with two other files.
HDF5_FILES = {
    "no index": (lambda f, d: _plain(f), "no dataset 'sentence_to_index'"),
    "empty file": (lambda f, d: None, "no dataset 'sentence_to_index'"),
    "external link": (
        lambda f, d: (_index(f), f.__setitem__("0", h5py.ExternalLink(d / "other.hdf5", "0"))),
        "'0' is a link to another file",
    ),
    "external link for the index": (
        lambda f, d: (
            _plain(f),
            f.__setitem__(
                "sentence_to_index", h5py.ExternalLink(d / "other.hdf5", "sentence_to_index")
            ),
        ),
        "'sentence_to_index' is a link to another file",
    ),
    "soft link": (
        lambda f, d: (
            _plain(f, "x"),
            _index(f),
            f.__setitem__("0", h5py.SoftLink("/x")),
            f.__delitem__("x"),
        ),
        "'0' is a link to another entry",
    ),
    "dangling link": (
        lambda f, d: (_index(f), f.__setitem__("0", h5py.SoftLink("/nowhere"))),
        "'0' is a link to another entry",
    ),
    "virtual dataset": (lambda f, d: (_index(f), _virtual(f, d)), "'0' is a virtual dataset"),
    "external storage": (
        lambda f, d: (_index(f), _external(f, d)),
        "'0' is a dataset in other files",
    ),
    "external storage for the index": (
        lambda f, d: (
            _plain(f),
            f.create_dataset(
                "sentence_to_index", (1,), "S64", external=[(str(d / "secret.txt"), 0, 64)]
            ),
        ),
        "'sentence_to_index' is a dataset in other files",
    ),
    "same data twice": (
        lambda f, d: (
            _index(f, json.dumps({f"a {i}": str(i) for i in range(50)})),
            f.create_dataset("0", data=np.ones((1, 2, 3000), np.float32)),
            [f.__setitem__(str(i), f["0"]) for i in range(1, 50)],
        ),
        "declares .* of values",
    ),
    "group": (lambda f, d: (_index(f), f.create_group("0")), "'0' is a group"),
    "index is a group": (
        lambda f, d: (_plain(f), f.create_group("sentence_to_index")),
        "is a group",
    ),
    "named type": (
        lambda f, d: (_index(f), f.__setitem__("0", np.dtype("f4"))),
        "'0' is a datatype",
    ),
    "text": (lambda f, d: (_index(f), f.__setitem__("0", "text")), "sentence 0 has the shape"),
    "empty dataspace": (
        lambda f, d: (_index(f), f.__setitem__("0", h5py.Empty("f4"))),
        "sentence 0 has the shape None",
    ),
    "flat": (
        lambda f, d: (_index(f), f.__setitem__("0", np.ones(3))),
        r"sentence 0 has the shape \(3,\)",
    ),
    "no neurons": (
        lambda f, d: (_index(f), f.__setitem__("0", np.ones((1, 2, 0)))),
        "has the shape",
    ),
    "complex": (
        lambda f, d: (_index(f), f.__setitem__("0", np.ones((1, 2, 3), complex))),
        "complex128",
    ),
    "strings": (
        lambda f, d: (_index(f), f.__setitem__("0", np.full((1, 2, 3), b"x"))),
        "not numbers",
    ),
    "compound": (
        lambda f, d: (_index(f), f.__setitem__("0", np.ones((1, 2, 3), [("a", "f4")]))),
        "not numbers",
    ),
    "vast": (lambda f, d: (_index(f), _vast(f)), r"declares 24,000.* GB"),
    "vast, in chunks": (lambda f, d: (_index(f), _vast(f, chunks=(1, 1, 64))), "declares"),
    "vast, packed": (
        lambda f, d: (_index(f), _vast(f, chunks=(1, 1, 64), compression=9)),
        "declares",
    ),
    "never filled": (lambda f, d: (_index(f), _vast(f, (1, 2, 3))), "never filled"),
    "one chunk of many": (lambda f, d: (_index(f), _one_chunk(f)), "declares"),
    "index null": (lambda f, d: (_plain(f), _index(f, "null")), "holds null"),
    "index list": (lambda f, d: (_plain(f), _index(f, '["a b"]')), "holds a list"),
    "index number": (lambda f, d: (_plain(f), _index(f, "3")), "holds a number"),
    "index text": (lambda f, d: (_plain(f), _index(f, "a b")), "is not JSON"),
    "index empty": (lambda f, d: (_plain(f), _index(f, "")), "is not JSON"),
    "index deep": (lambda f, d: (_plain(f), _index(f, "[" * 100_000)), "too deeply nested"),
    "index without sentences": (lambda f, d: _index(f, "{}"), "lists 0 sentences"),
    "index not a string": (
        lambda f, d: (_plain(f), f.__setitem__("sentence_to_index", np.ones(1))),
        "is not one string",
    ),
    "index of two strings": (
        lambda f, d: (_plain(f), f.__setitem__("sentence_to_index", ["a", "b"])),
        "is not one string",
    ),
    "index of no string": (
        lambda f, d: (_plain(f), f.__setitem__("sentence_to_index", h5py.Empty("S4"))),
        "is not one string",
    ),
    "index not UTF-8": (
        lambda f, d: (_plain(f), f.__setitem__("sentence_to_index", np.array([b"\xff\x00\xff"]))),
        "is not JSON",
    ),
    "sentence null": (lambda f, d: (_plain(f), _index(f, '{"a b": null}')), "number None"),
    "sentence list": (lambda f, d: (_plain(f), _index(f, '{"a b": [0]}')), r"number \[0\]"),
    "sentence -1": (lambda f, d: (_plain(f), _index(f, '{"a b": "-1"}')), "number '-1'"),
    "sentence x": (lambda f, d: (_plain(f), _index(f, '{"a b": "x"}')), "number 'x'"),
    "sentence shared": (
        lambda f, d: (_plain(f), _index(f, '{"a b": "0", "c d": "0"}')),
        "share one",
    ),
    "sentence missing": (
        lambda f, d: (_plain(f), _index(f, '{"a b": "0", "c d": "1"}')),
        "'1' is missing",
    ),
    "words differ": (
        lambda f, d: (_plain(f), _index(f, '{"a": "0"}')),
        "2 words, but its text has 1",
    ),
    "float64 beyond float32": (
        lambda f, d: (_index(f), f.__setitem__("0", np.full((1, 2, 3), 1e300))),
        "1e[+]300 does not fit into float32",
    ),
    "layers stated twice": (
        lambda f, d: (_plain(f), _index(f), f.attrs.__setitem__("sklearn_neurox_layers", [1, 1])),
        "not a list of layers",
    ),
    "layers stated as text": (
        lambda f, d: (_plain(f), _index(f), f.attrs.__setitem__("sklearn_neurox_layers", "1")),
        "not a list of layers",
    ),
    "too many layers stated": (
        lambda f, d: (_plain(f), _index(f), f.attrs.__setitem__("sklearn_neurox_layers", [1, 2])),
        "holds 1 layers",
    ),
}


def write_hdf5(path, make):
    folder = path.parent / "elsewhere"
    if not folder.exists():
        folder.mkdir()
        _elsewhere(folder)
    with h5py.File(path, "w") as file:
        make(file, folder)


def _saved(content, **options):
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def _values(*shape):
    return [[[torch.ones(shape)]]]


def _claiming(n_values):
    """Return an archive of torch whose pickle claims more values than its record has."""
    source, target = io.BytesIO(_saved(_values(3))), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for record in old.infolist():
            content = old.read(record)
            if record.filename.endswith("data.pkl"):
                content = content.replace(b"K\x03", b"J" + struct.pack("<i", n_values))
            new.writestr(record.filename, content)
    return target.getvalue()


def _packed():
    source, target = io.BytesIO(_saved(_values(1000))), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))
    return target.getvalue()


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


PT_FILES = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"hello\n", "is not a file of torch"),
    "number": (lambda: b"3", "is not a file of torch"),
    "null": (lambda: b"null", "is not a file of torch"),
    "pickle of a number": (lambda: _saved(3), "holds a int"),
    "None": (lambda: _saved(None), "holds a NoneType"),
    "dict": (lambda: _saved({"a": torch.ones(3)}), "holds a dict"),
    "tensor": (lambda: _saved(torch.ones(2, 2, 2)), "holds a Tensor"),
    "no sentences": (lambda: _saved([]), "holds no sentences"),
    "no words": (lambda: _saved([[]]), "sentence 0 is not"),
    "list of numbers": (lambda: _saved([1, 2]), "sentence 0 is not"),
    "list of None": (lambda: _saved([None]), "sentence 0 is not"),
    "numbers as layers": (lambda: _saved([[[1.0, 2.0]]]), "sentence 0 is not"),
    "matrices as layers": (lambda: _saved(_values(2, 3)), "differ in size"),
    "integers": (lambda: _saved([[[torch.ones(3, dtype=torch.int64)]]]), "not floating-point"),
    "complex": (lambda: _saved([[[torch.ones(3, dtype=torch.complex64)]]]), "not floating-point"),
    "sparse": (lambda: _saved([[[torch.ones(3).to_sparse()]]]), "pt"),
    "ragged": (lambda: _saved([[[torch.ones(3), torch.ones(2)]]]), "sentence 0 is not"),
    "other sizes": (lambda: _saved(_values(3) + _values(4)), "differ in size"),
    "expanded": (lambda: _saved([[[torch.ones(1).expand(10**12)]]]), "declares 4,000.* GB"),
    "claims more than it holds": (lambda: _claiming(2**30), "more than the file holds"),
    "compressed": (_packed, "damaged archive"),
    "cut": (lambda: _saved(_values(5000))[:-300], "pt"),
    "cut, old format": (
        lambda: _saved(_values(5000), _use_new_zipfile_serialization=False)[:-300],
        "is damaged",
    ),
    "archive of something else": (lambda: _archive("x.txt"), "is damaged"),
    "bomb": (lambda: _saved([Bomb()]), "more than lists of tensors"),
    "bomb, old format": (
        lambda: _saved([Bomb()], _use_new_zipfile_serialization=False),
        "more than lists of tensors",
    ),
    "plain pickle": (lambda: pickle.dumps([Bomb()], protocol=4), "is not a file of torch"),
}


def _archive(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "x")
    return stream.getvalue()


def write_pt(path, make):
    path.write_bytes(make())


def setting(**changes):
    def change(folder):
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def content(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def _header(folder, change):
    file = folder / "model.safetensors"
    data = file.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = change(json.loads(data[8 : 8 + length]))
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def _far(header):
    name = next(name for name in header if name != "__metadata__")
    header[name]["data_offsets"] = [0, 2**60]
    return header


MODEL_FOLDERS = {
    **{
        f"{file} {kind}": (content(file, data), f"{file} {message}")
        for file in ("config.json", "tokenizer_config.json")
        for kind, data, message in [
            ("empty", b"", "is empty"),
            ("text", b"hello", "is not JSON"),
            ("binary", b"\xff\xfe\x00\x80", "is not JSON"),
            ("null", b"null", "holds null"),
            ("number", b"3", "holds a number"),
            ("list", b"[1]", "holds a list"),
            ("deep", b"[" * 100_000, "is not JSON"),
        ]
    },
    **{
        f"{name} {value!s:.12}": (
            setting(**{name: value}),
            "config.json states|could not be loaded",
        )
        for name, value in [
            ("hidden_size", 10**9),
            ("hidden_size", 10**400),
            ("hidden_size", 10**6),
            ("hidden_size", 24_000),
            ("hidden_size", 0),
            ("hidden_size", -1),
            ("hidden_size", "many"),
            ("hidden_size", None),
            ("num_hidden_layers", 10**9),
            ("num_hidden_layers", 5000),
            ("num_hidden_layers", -1),
            ("num_attention_heads", 0),
            ("num_attention_heads", 10**12),
            ("vocab_size", 10**12),
            ("max_position_embeddings", 10**12),
            ("intermediate_size", 10**12),
            ("model_type", 3),
            ("model_type", "no-such-type"),
        ]
    },
    "config is a folder": (
        lambda d: ((d / "config.json").unlink(), (d / "config.json").mkdir()),
        "config.json is a folder",
    ),
    "config leads nowhere": (
        lambda d: ((d / "config.json").unlink(), os.symlink(d / "gone", d / "config.json")),
        "config.json: there is no such file",
    ),
    "config is a pipe": (
        lambda d: ((d / "config.json").unlink(), os.mkfifo(d / "config.json")),
        "config.json is a pipe",
    ),
    "weights empty": (content("model.safetensors", b""), "model.safetensors is empty"),
    "weights text": (content("model.safetensors", b"hello world, hello"), "not a complete"),
    "weights of 3 bytes": (content("model.safetensors", b"abc"), "not a complete"),
    "weights header vast": (content("model.safetensors", b"\xff" * 8 + b"{}"), "not a complete"),
    "weights header list": (
        content("model.safetensors", struct.pack("<Q", 2) + b"[]"),
        "is not a safetensors file",
    ),
    "weights header deep": (
        content("model.safetensors", struct.pack("<Q", 50_000) + b"[" * 50_000),
        "too deeply nested",
    ),
    "weights far away": (lambda d: _header(d, _far), "is cut short"),
    "weights cut": (
        lambda d: (d / "model.safetensors").write_bytes(
            (d / "model.safetensors").read_bytes()[:-1000]
        ),
        "is cut short",
    ),
    "weights are a pipe": (
        lambda d: ((d / "model.safetensors").unlink(), os.mkfifo(d / "model.safetensors")),
        "is a pipe",
    ),
    "tokenizer empty": (content("tokenizer.json", b""), "a tokenizer could not be loaded"),
    "tokenizer null": (content("tokenizer.json", b"null"), "a tokenizer could not be loaded"),
    "tokenizer list": (content("tokenizer.json", b"[]"), "a tokenizer could not be loaded"),
    "tokenizer deep": (
        content("tokenizer.json", b"[" * 100_000),
        "a tokenizer could not be loaded",
    ),
}
