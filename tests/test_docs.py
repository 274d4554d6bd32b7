# SPDX-License-Identifier: BSD-3-Clause
"""The documentation: complete, with correct names, and built without warnings."""

import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.public_names import SUBPACKAGES, public_names

_ROOT = Path(__file__).parent.parent
_DOCS = _ROOT / "docs"

# The public functions and classes of NeuroX 1.0.9.
_NEUROX = """
    accuracy accuracy_and_f1 ActivationsWriter ActivationsWriterManager aggregate_repr
    annotate_data balance_binary_class_data balance_multi_class_data batch_generator
    bpe_get_avg_activations bpe_get_last_activations char_get_avg_activations
    char_get_last_activations compute_score count_target_words create_correlation_clusters
    create_tensors evaluate_probe extract_independent_neurons extract_representations
    extract_sentence_representations f1 filter_activations_by_layers
    filter_activations_keep_neurons filter_activations_remove_neurons get_bottom_neurons
    get_fixed_number_of_bottom_neurons get_model_and_tokenizer get_neuron_ordering
    get_neuron_ordering_for_all_tags get_neuron_ordering_for_tag get_neuron_ordering_granular
    get_progress_bar get_random_neurons get_top_neurons get_top_neurons_hard_threshold
    get_top_words HDF5ActivationsWriter idx2tok isnotebook JSONActivationsWriter
    keep_specific_neurons l1_penalty l2_penalty LinearProbe load_activations load_aux_data
    load_data load_probe load_sentence_data main matthews_corrcoef pearson pearson_and_spearman
    plot_accuracies plot_accuracies_per_tag plot_distributedness print_clusters
    print_machine_stats print_overall_stats save_files save_probe
    scikit_extract_independent_neurons sent_get_last_activations spearman tok2idx
    train_linear_regression_probe train_logistic_regression_probe TransformersVisualizer
    visualize_activations zero_out_activations_keep_neurons zero_out_activations_remove_neurons
""".split()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the documentation once; every warning is an error."""
    if not os.environ.get("SKLEARN_NEUROX_CONLLU"):
        for package in ("sphinx", "myst_parser", "numpydoc", "pydata_sphinx_theme"):
            pytest.importorskip(package, reason="the extra 'docs' is not installed")
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    doctrees = ["-d", str(folder / "doctrees")]
    done = subprocess.run(
        [*command, *doctrees, str(_DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.slow
def test_every_public_name_is_documented(built):
    table = (built / "api.html").read_text(encoding="utf-8")
    for package, name in public_names():
        page = (built / "api" / f"{package}.html").read_text(encoding="utf-8")
        assert f'id="sklearn_neurox.{package}.{name}"' in page
        assert f'href="api/{package}.html#sklearn_neurox.{package}.{name}"' in table


@pytest.mark.slow
def test_internal_links_resolve(built):
    anchors, broken, n_links = {}, [], 0
    pages = [page for page in built.rglob("*.html") if "_static" not in page.parts]
    for page in pages:
        anchors[page] = set(re.findall(r'\bid="([^"]+)"', page.read_text(encoding="utf-8")))
    for page in pages:
        for link in re.findall(r'<a [^>]*href="([^"]+)"', page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", link):
                continue
            n_links += 1
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in anchors[target]):
                broken.append(f"{page.relative_to(built)}: {link}")
    assert n_links > len(pages) and not broken


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(built):
    fetched = set()
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched |= set(
            re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"(https?://[^\"]+)", text)
        )
    assert not fetched


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("save model", "guide/io"),
        ("OpenNMT-py", "bring_your_own"),
        ("control tasks", "guide/evaluation"),
        ("pipeline memory", "guide/activations"),
        ("whole texts", "guide/texts"),
        ("regression", "guide/regression"),
    ],
)
def test_search_finds(built, query, page):
    # Sphinx lists the pages first that have the words in a title.
    script = (built / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(script[script.index("{") : script.rindex("}") + 1])
    stem = pytest.importorskip("sphinx.search.en").SearchEnglish({}).stem
    for word in re.findall(r"\w+", query.lower()):
        found = index["titleterms"].get(stem(word), [])
        pages = found if isinstance(found, list) else [found]
        assert page in [index["docnames"][number] for number in pages], word


def test_every_subpackage_has_a_page():
    assert sorted(page.stem for page in (_DOCS / "api").glob("*.md")) == SUBPACKAGES
    overview = (_DOCS / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\.\. public-names:: (\w+)$", overview, re.M)) == SUBPACKAGES


def _rows_from_neurox():
    page = (_DOCS / "coming_from_neurox.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    return [row for row in rows if len(row) == 3 and row[0].startswith("`")]


def test_every_neurox_name_is_covered():
    told = re.findall(r"`(?:\w+\.)*(\w+)`", " ".join(row[0] for row in _rows_from_neurox()))
    assert not set(_NEUROX) - set(told)


def _resolves(code):
    """Return whether the code is a public name of ours or of another package."""
    name = code.partition("(")[0]
    homes = {public: package for package, public in public_names()}
    if name.partition(".")[0] in homes:
        name = f"sklearn_neurox.{homes[name.partition('.')[0]]}.{name}"
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("row", _rows_from_neurox(), ids=lambda row: row[0].split("`")[1])
def test_named_replacements_exist(row):
    codes = [
        code
        for code in re.findall(r"`([^`]+)`", row[1])
        if not code.startswith(("sklearn-neurox ", "class_weight="))
    ]
    assert codes
    assert [code for code in codes if not _resolves(code)] == []


def test_parameters_of_replacements_exist():
    homes = dict(reversed(pair) for pair in public_names())
    seen = 0
    for _, here, _ in _rows_from_neurox():
        for name, arguments in re.findall(r"`(\w+)\(([^`]*)\)`", here):
            module = importlib.import_module(f"sklearn_neurox.{homes[name]}")
            keywords = re.findall(r"(\w+)=", arguments)
            inspect.signature(getattr(module, name)).bind_partial(**dict.fromkeys(keywords))
            seen += len(keywords)
    assert seen
