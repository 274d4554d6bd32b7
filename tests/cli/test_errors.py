# SPDX-License-Identifier: BSD-3-Clause
"""Every error of the command is one line that says what is wrong, and changes no file."""

import subprocess
import sys

import pytest

from sklearn_neurox.cli import main
from sklearn_neurox.datasets import make_tiny_model

TAGS = ["DET", "NOUN", "VERB"]


def sentence(number, tags=TAGS, feature="Number=Sing"):
    words = "the", f"dog{number}", "barks"
    return "".join(
        f"{i}\t{word}\t_\t{tag}\t_\t{feature}\t0\troot\t_\t_\n"
        for i, (word, tag) in enumerate(zip(words, tags, strict=True), start=1)
    )


def treebank(*sentences):
    return "\n".join([*sentences, ""]).encode()


GOOD = treebank(*map(sentence, range(12)))
FILES = {
    "good.conllu": GOOD,
    "empty.conllu": b"",
    "blank.conllu": b"\n\n\n",
    "one.conllu": treebank(sentence(0)),
    "nine.conllu": treebank(*map(sentence, range(9))),
    "latin.conllu": GOOD.replace(b"the", b"th\xe9"),
    "binary.conllu": bytes(range(256)),
    "cut.conllu": GOOD[:-40],
    "equal.conllu": treebank(*(sentence(i, ["X"] * 3) for i in range(12))),
    "none.conllu": treebank(*(sentence(i, ["_"] * 3) for i in range(12))),
    # Most words and sentences have no label.
    "rare.conllu": treebank(*(sentence(i, TAGS if i < 5 else ["_"] * 3) for i in range(12))),
    # The other label occurs only in the first sentence, which is held out.
    "held.conllu": treebank(*(sentence(i, ["X", "X", "Y" if i == 0 else "X"]) for i in range(12))),
    "plain.conllu": treebank(*(sentence(i, feature="_") for i in range(12))),
    "empty.txt": b"",
    "gap.txt": b"a b\n\nc\n",
    "latin.txt": b"caf\xe9\n",
    "good.txt": b"the dog barks\n",
    "page.html": b"old",
}
REPORT = [
    ("nowhere.conllu page.html", "No such file or directory: 'nowhere.conllu'"),
    ("folder page.html", "Is a directory: 'folder'"),
    ("empty.conllu page.html", "empty.conllu: no sentences in this file"),
    ("blank.conllu page.html", "blank.conllu: no sentences in this file"),
    ("one.conllu page.html", "in at least ten different sentences are needed, but one.conllu has"),
    ("nine.conllu page.html", "but nine.conllu has them in 9"),
    ("rare.conllu page.html", "but rare.conllu has them in 5"),
    ("latin.conllu page.html", "latin.conllu:1: this file is not utf-8"),
    ("binary.conllu page.html", "binary.conllu:1: 2 tab-separated columns instead of 10"),
    ("cut.conllu page.html", "cut.conllu:"),
    ("equal.conllu page.html", "all 36 labeled words have the label 'X'"),
    ("none.conllu page.html", "no word of none.conllu has one"),
    ("held.conllu page.html", "--label upos: the sentences to train on have only the label 'X'"),
    (
        "good.conllu page.html --label uposs",
        "--label uposs: good.conllu has no such column or feature. Did you mean upos? The columns "
        "are lemma, upos, xpos, head, deprel, deps, misc; the features are Number.",
    ),
    ("good.conllu page.html --label number", "Did you mean Number?"),
    ("good.conllu page.html --label word", "--label word: good.conllu has no such column"),
    ("good.conllu page.html --label=", "--label : good.conllu has no such column"),
    ("plain.conllu page.html --label Number", "; the features are none."),
    ("good.conllu folder.html", "folder.html is a folder"),
    ("good.conllu nowhere/page.html", "there is no folder nowhere. Create it first"),
    ("good.conllu page.txt", "page.txt must end with .html"),
    ("good.conllu page.html --layers 9", "but there is no layer 9"),
    ("good.conllu page.html --layers=-9", "but there is no layer -9"),
    ("good.conllu page.html --layers 1,1", "must name at least one layer, all distinct"),
    ("good.conllu page.html --layers one", "'one' is not a comma-separated list of numbers"),
    ("good.conllu page.html --n-detailed=-1", "'-1' is not a whole number of at least 0"),
    ("good.conllu page.html --model nowhere", "It is not a local folder"),
    ("good.conllu page.html --model folder", "It has no config.json"),
    ("good.conllu page.html --cache good.txt", "good.txt cannot be a cache folder"),
    ("good.conllu", "the following arguments are required: OUT.html"),
    ("good.conllu page.html --nonsense", "unrecognized arguments: --nonsense"),
]
ARCS = [
    ("nowhere.conllu", "No such file or directory: 'nowhere.conllu'"),
    ("empty.conllu", "empty.conllu: no sentences in this file"),
    ("good.conllu", "at least two labels"),
    ("good.conllu --min-count 0", "'0' is not a whole number of at least 1"),
]
EXTRACT = [
    ("MODEL nowhere.txt acts.npy", "No such file or directory: 'nowhere.txt'"),
    ("MODEL empty.txt acts.npy", "empty.txt: every line must contain a sentence"),
    ("MODEL gap.txt acts.npy", "gap.txt:2 is blank"),
    ("MODEL latin.txt acts.npy", "latin.txt:1: this file is not utf-8"),
    ("MODEL good.txt nowhere/acts.npy", "there is no folder nowhere"),
    ("MODEL good.txt acts.csv", "acts.csv must end with .hdf5, .json or .npy"),
    ("MODEL good.txt acts.npy --layers 9", "but there is no layer 9"),
    ("MODEL good.txt good.conllu/cache", "cannot be a cache folder, because good.conllu is a file"),
    ("folder good.txt acts.npy", "It has no config.json"),
]
CALLS = [
    (command, arguments, message)
    for command, calls in (("report", REPORT), ("arcs", ARCS), ("extract", EXTRACT))
    for arguments, message in calls
]


@pytest.fixture(scope="module")
def model():
    return make_tiny_model("bert", n_layers=1, hidden_size=8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    for name in ("folder", "folder.html"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.mark.slow
def test_every_error_is_one_line_and_nothing_is_lost(folder, model, capfd):
    before = contents(folder)
    for command, arguments, message in CALLS:
        given = [model if one == "MODEL" else one for one in arguments.split()]
        if command != "extract" and "--model" not in arguments:
            given += ["--model", model]
        try:
            status = main([command, *given])
        except SystemExit as stop:
            status = stop.code
        lines = capfd.readouterr().err.splitlines()
        errors = [line for line in lines if line.startswith("sklearn-neurox")]
        assert status in (1, 2), arguments
        assert len(errors) == 1 and errors[0] == lines[-1], (arguments, lines)
        assert message in errors[0], (arguments, errors[0])
        assert "Errno" not in errors[0] and "Traceback" not in "".join(lines)
        assert contents(folder) == before, arguments


@pytest.mark.slow
def test_line_ends_and_marks_change_nothing(folder, model, capfd):
    files = {
        "unix": GOOD,
        "windows": GOOD.replace(b"\n", b"\r\n"),
        "mark": b"\xef\xbb\xbf" + GOOD,
    }
    printed = []
    for name, content in files.items():
        (folder / "own.conllu").write_bytes(content)
        options = ["--no-ablation", "--model", model, "--layers", "1"]
        assert main(["report", "own.conllu", f"{name}.html", *options]) == 0
        lines = capfd.readouterr().out.splitlines()
        printed.append([line for line in lines if not line.strip().startswith(("(", "Done", name))])
    summaries = [[line for line in lines if "report  " not in line] for lines in printed]
    assert summaries[0] == summaries[1] == summaries[2]


def test_an_interruption_during_the_import_is_one_line():
    code = (
        "import sys\n"
        "class Key:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'sklearn_neurox.ablation':\n"
        "            raise {error}\n"
        "sys.meta_path.insert(0, Key())\n"
        "sys.argv = ['{program}', 'demo']\n"
        "import sklearn_neurox\n"
    )
    for program, error, n_lines in (
        ("/usr/bin/sklearn-neurox", "KeyboardInterrupt", 1),
        ("C:/Scripts/sklearn-neurox.exe", "KeyboardInterrupt", 1),
        ("/usr/bin/sklearn-neurox", "ImportError('torn')", 5),
        ("own.py", "KeyboardInterrupt", 5),
    ):
        script = code.format(error=error, program=program)
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        lines = done.stderr.splitlines()
        if n_lines == 1:
            assert lines == ["sklearn-neurox: interrupted"]
        else:
            assert len(lines) >= n_lines and "Traceback" in lines[0], (program, error)
        assert done.returncode != 0
