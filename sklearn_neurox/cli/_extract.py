# SPDX-License-Identifier: BSD-3-Clause
"""``sklearn-neurox extract``: write the activations of a text file to a file or a cache."""

from pathlib import Path

import pandas as pd

from sklearn_neurox.cli._reading import (
    add_pair_options,
    add_reading_options,
    check_pair_options,
    make_extractor,
)
from sklearn_neurox.extraction import SubwordAggregator
from sklearn_neurox.io import write_neurox
from sklearn_neurox.io._write_neurox import plan_files
from sklearn_neurox.utils._files._output_files import write_whole
from sklearn_neurox.words import pair_frame, read_conllu, words_frame
from sklearn_neurox.words._readers._lines import iterate_lines, read_lines

_NEUROX = (".hdf5", ".json")
# The files beside a .npy file.
_ROWS, _COLUMNS = ".words.csv", ".neurons.txt"


def add_extract(commands):
    """Add the ``extract`` command."""
    parser = commands.add_parser("extract", help="write the activations of a text file")
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model's name or folder")
    add(
        "input",
        metavar="INPUT",
        help="a treebank (.conllu) or a text file with one sentence per line and words separated "
        "by white space",
    )
    add(
        "output",
        metavar="OUTPUT",
        help="a .hdf5 or .json file in NeuroX's format; a .npy file, with its rows described in "
        "OUTPUT.words.csv and its columns in OUTPUT.neurons.txt; or a cache folder (no suffix). "
        "An existing file is replaced; an existing cache is extended",
    )
    add_reading_options(add)
    add(
        "--rows",
        default="words",
        choices=["words", "texts", "pairs"],
        help="one row per word; one per sentence; or one per arc of a treebank, a dependent with "
        "its head (sentences and arcs only for a .npy file or a cache) (default: %(default)s)",
    )
    add_pair_options(add)
    add(
        "--negatives",
        choices=["all", "matched"],
        help="pairs to add that are not arcs: all pairs of words of a sentence, or as many of each "
        "distance and direction as there are arcs (default: none)",
    )
    add(
        "--output-dtype",
        default="float32",
        choices=["float32", "float16"],
        help="the dtype of the values in the file (default: %(default)s)",
    )
    add("--decompose-layers", action="store_true", help="write one .hdf5 or .json file per layer")
    add(
        "--n-jobs",
        type=int,
        metavar="N",
        help="the number of processes that fill a cache (default: 1)",
    )
    parser.set_defaults(run=_extract)


def _extract(arguments):
    output = Path(arguments.output)
    check_pair_options(arguments)
    to_cache = _is_cache(output, arguments)
    in_portions = to_cache and _is_text(arguments) and arguments.rows != "pairs"
    rows = _Sentences(arguments) if in_portions else _read_rows(arguments)
    extractor = make_extractor(
        arguments,
        arguments.model,
        cache=output if to_cache else arguments.cache,
        n_jobs=arguments.n_jobs,
    )
    names = extractor.get_feature_names_out()
    if not to_cache and output.suffix in _NEUROX:
        plan_files(output, rows, names, len(names))
    if extractor.cache is not None:
        print(f"{extractor.cache} stores the results; if interrupted, run the same command again")
        extractor.fill_cache(rows)
    if not to_cache:
        names = _write(output, arguments, extractor.transform(rows), rows)
    n_rows, n_texts = _count(rows)
    print(f"{output}: {n_rows:,} {arguments.rows} of {n_texts:,} distinct texts", end="")
    print("" if to_cache else f", {len(names):,} neurons ({names[0]} to {names[-1]})")


def _is_cache(output, arguments):
    """Return whether the output is a cache folder, and reject conflicting arguments."""
    if output.suffix == "" or output.is_dir():
        if arguments.cache is not None:
            raise ValueError(f"OUTPUT {output} is itself a cache folder: omit --cache.")
        return True
    for file in (output, output.with_suffix(_ROWS), output.with_suffix(_COLUMNS)):
        if file.exists() and Path(arguments.input).exists() and file.samefile(arguments.input):
            raise ValueError(
                f"OUTPUT {output} would replace the input {arguments.input}. Name another file."
            )
    if output.suffix not in (*_NEUROX, ".npy"):
        raise ValueError(f"OUTPUT {output} must end with .hdf5, .json or .npy, or be a folder.")
    if arguments.rows != "words" and output.suffix != ".npy":
        raise ValueError(
            f"OUTPUT {output}: NeuroX files store words. Use .npy for --rows {arguments.rows}."
        )
    if not output.parent.is_dir():
        raise ValueError(f"OUTPUT {output}: there is no folder {output.parent}. Make it first.")
    return False


def _is_text(arguments):
    return Path(arguments.input).suffix != ".conllu"


class _Sentences:
    """The lines of a text file, read anew on each pass, so that they need not fit in memory."""

    def __init__(self, arguments):
        self.path, self.whole = arguments.input, arguments.rows == "texts"
        self.n_rows, distinct, blank, number = 0, set(), [], 0
        for number, line in enumerate(iterate_lines(self.path, encoding="utf-8"), start=1):
            words = line.split()
            self.n_rows += 1 if self.whole else len(words)
            distinct.add(hash(line if self.whole else " ".join(words)))
            blank += [] if words else [number]
        _check_blank(self.path, blank, number)
        self.n_texts = len(distinct)

    def __iter__(self):
        for line in iterate_lines(self.path, encoding="utf-8"):
            # Joined as words_frame joins them.
            yield line if self.whole else " ".join(line.split())


def _count(rows):
    if isinstance(rows, _Sentences):
        return rows.n_rows, rows.n_texts
    return len(rows), rows["text"].nunique()


def _check_blank(path, blank, n_lines):
    if blank or not n_lines:
        where = f"{path}:{blank[0]} is blank ({len(blank)} blank lines)" if blank else path
        raise ValueError(f"{where}: every line must contain a sentence.")


def _read_rows(arguments):
    path = Path(arguments.input)
    if arguments.rows == "pairs":
        return _read_pairs(path, arguments)
    if not _is_text(arguments):
        words = read_conllu(path)
    else:
        lines, _ = read_lines(path, encoding="utf-8")
        blank = [number for number, line in enumerate(lines, start=1) if not line.strip()]
        _check_blank(path, blank, len(lines))
        if arguments.rows == "texts":
            return pd.DataFrame({"text": lines, "sentence_id": range(len(lines))})
        words = words_frame([line.split() for line in lines])
    if arguments.rows == "words":
        return words
    return words.drop_duplicates("sentence_id")[["text", "sentence_id"]].reset_index(drop=True)


def _read_pairs(path, arguments):
    if _is_text(arguments):
        raise ValueError(f"{path}: --rows pairs reads the heads of a treebank (.conllu).")
    words = read_conllu(path, columns=["upos", "head", "deprel"])
    pairs = pair_frame(words, heads="head", negatives=arguments.negatives, random_state=0)
    if not len(pairs):
        raise ValueError(f"{path} has no arcs: every word is the root of its sentence.")
    return pairs


def _write(output, arguments, activations, rows):
    """Write the activations and what describes them, and return the names of the neurons."""
    aggregator = SubwordAggregator(arguments.aggregation, pair=arguments.pair or "concat")
    if output.suffix in _NEUROX:
        H = aggregator.set_output(transform="pandas").fit_transform(activations)
        options = {"decompose_layers": arguments.decompose_layers, "dtype": arguments.output_dtype}
        write_neurox(output, H, rows, **options)
        return list(H.columns)
    # Directly into the file, which may be larger than memory.
    aggregator.set_params(dtype=arguments.output_dtype, memmap=output).fit_transform(activations)
    write_whole(output.with_suffix(_ROWS), lambda to: rows.to_csv(to, index=False))
    names = "".join(f"{name}\n" for name in aggregator.feature_names_)
    write_whole(output.with_suffix(_COLUMNS), lambda to: Path(to).write_text(names))
    return aggregator.feature_names_.tolist()
