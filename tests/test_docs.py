# SPDX-License-Identifier: BSD-3-Clause
"""The documentation: complete, with correct names, and built without warnings."""

import html
import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_neurox
from sklearn_neurox import ActivationExtractor, SparseAutoencoderEncoder, SubwordAggregator
from tests.instances import numeric_estimators
from tests.public_names import SUBPACKAGES, public_names

_ROOT = Path(__file__).parent.parent
_DOCS = _ROOT / "docs"
_EXAMPLES = sorted((_ROOT / "examples").glob("*/*.py"))

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
    """Build the documentation once, without executing the examples; every warning is an error.

    The environment variable SKLEARN_NEUROX_BUILT_DOCS may name a folder that was built before.
    """
    if folder := os.environ.get("SKLEARN_NEUROX_BUILT_DOCS"):
        return Path(folder)
    if not os.environ.get("SKLEARN_NEUROX_CONLLU"):
        for package in (
            "sphinx",
            "myst_parser",
            "numpydoc",
            "pydata_sphinx_theme",
            "sphinx_gallery",
        ):
            pytest.importorskip(package, reason="the extra 'docs' is not installed")
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    command += ["-D", "plot_gallery=0"]
    doctrees = ["-d", str(folder / "doctrees")]
    done = subprocess.run(
        [*command, *doctrees, str(_DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def _article(page):
    """Return the markup of a page without the navigation."""
    return re.search("<article.*</article>", page.read_text(encoding="utf-8"), re.S)[0]


def _text(markup):
    """Return the text without its markup."""
    return html.unescape(re.sub("<[^>]*>", "", markup))


def _links(page):
    """Return the files that the article of a page links to."""
    links = re.findall(r'<a [^>]*href="([^"#:]+)', _article(page))
    return {(page.parent / link).resolve() for link in links}


def _page_of(package, name):
    """Return the page of a name; the one function that differs from a class in case is marked."""
    return f"api/{package}/{name}{'-function' if name == 'highlight' else ''}.html"


@pytest.mark.slow
def test_every_public_name_has_a_page(built):
    table = (built / "api.html").read_text(encoding="utf-8")
    for package, name in public_names():
        page, anchor = _page_of(package, name), f"sklearn_neurox.{package}.{name}"
        text = (built / page).read_text(encoding="utf-8")
        assert f'id="{anchor}"' in text and f"<h1>{name}<" in text
        lines = [line.split(" # ")[0].split() for line in _text(text).splitlines()]
        assert ["from", f"sklearn_neurox.{package}", "import", name] in lines
        is_short = name in sklearn_neurox.__all__
        assert (["from", "sklearn_neurox", "import", name] in lines) == is_short
        assert f'href="{page}#{anchor}"' in table
    # No page is left of a name that is gone, and no two overwrite each other on any disk.
    pages = {page.relative_to(built).as_posix() for page in built.glob("api/*/*.html")}
    assert pages == {_page_of(*pair) for pair in public_names()}
    assert len({page.lower() for page in pages}) == len(pages)


@pytest.mark.slow
def test_page_of_a_name_links_to_the_pages_that_mention_it(built):
    names = {_page_of(*pair): pair[1] for pair in public_names()}
    told = {page: _links(built / page) for page in names}
    ends = {page: _text(_article(built / page)).partition("Gallery examples")[2] for page in names}
    n_mentions = 0
    for page in [*built.glob("guide/*.html"), built / "tutorial.html", built / "methods.html"]:
        linked = _links(page)
        mentioned = {name for name in names if built / name in linked}
        assert all(page in told[name] for name in mentioned), page
        n_mentions += len(mentioned)
    assert n_mentions > len(names)
    for example in _EXAMPLES:
        code = example.read_text(encoding="utf-8")
        imports = re.findall(r"^from sklearn_neurox[\w.]* import (\([^)]*\)|.*)$", code, re.M)
        imported = set(re.findall(r"\w+", " ".join(imports)))
        title = re.search(r'^"""\n(.+)\n=+$', code, re.M)[1]
        for page, name in names.items():
            assert (title in ends[page]) == (name in imported), (page, example.name)


def test_mentions_are_imports_and_code(monkeypatch):
    monkeypatch.syspath_prepend(str(_DOCS / "_ext"))
    mentions = importlib.import_module("mentions")
    names = {"annotate", "highlight", "top_words", "LCARanker"}
    text = """
Call `annotate(...)` or `top_words.of(1)`, not `highlight=True` nor LCARanker.
```python
from sklearn_neurox import LCARanker
from elsewhere import highlight
LCARanker(top_words=3).fit(highlight)
```
```text
`highlight`
```
"""
    assert mentions.in_markdown(text, names) == {"annotate": 1, "top_words": 1, "LCARanker": 2}
    found = mentions.by_name({"a": {"x": 1}, "b": {"x": 2, "y": 1}, "c": {"x": 1}})
    assert found == {"x": ["b", "a", "c"], "y": ["b"]}


def _other_projects(monkeypatch):
    pytest.importorskip("numpydoc", reason="the extra 'docs' is not installed")
    monkeypatch.syspath_prepend(str(_DOCS / "_ext"))
    return importlib.import_module("other_projects")


def test_inventories_contain_the_list(monkeypatch):
    load = _other_projects(monkeypatch)
    inventory = pytest.importorskip("sphinx.util.inventory")
    text = (_DOCS / "_ext" / "other_projects.txt").read_text(encoding="utf-8")
    indented = re.findall(r"^    (\S+)$", text, re.M)
    found = []
    for project, (address, locations) in load.PROJECTS.items():
        content = load.inventory(project, locations)
        data = inventory.InventoryFile.loads(content, uri=address).data
        for kind, items in data.items():
            for name, item in items.items():
                found.append(name)
                assert item.uri.startswith(address) and item.uri.endswith(name), name
                assert (kind == "std:term") == ("." not in name), name
    assert sorted(found) == sorted(set(indented)) and len(indented) == len(set(indented))
    short = load.short_names()
    assert short["GridSearchCV"] == "sklearn.model_selection.GridSearchCV"
    assert short["cross_validate"] == "sklearn.model_selection.cross_validate"
    assert short["np.load"] == short["numpy.load"] == "numpy.load" and "load" not in short
    assert short["DataFrame.to_parquet"] == "pandas.DataFrame.to_parquet"
    # A short name stands for one name only, and never for one of ours.
    own = {name for _, name in public_names()}
    assert not own & set(short)
    ends = [name.rpartition(".")[2] for name in found if name.startswith("sklearn.")]
    assert len(set(ends)) == len(ends)


@pytest.mark.slow
def test_names_of_other_projects_exist_and_are_linked(built, monkeypatch):
    pages = [page.read_text(encoding="utf-8") for page in built.rglob("*.html")]
    links = {link for page in pages for link in re.findall(r'<a [^>]*href="(https:[^"]+)', page)}
    for address, locations in _other_projects(monkeypatch).PROJECTS.values():
        for name, location in locations.items():
            assert address + location.replace("$", name) in links, name
            if "#term-" not in location:
                pkgutil.resolve_name(f"builtins.{name}" if name.startswith("str.") else name)


@pytest.mark.slow
def test_citations_show_the_numbers_of_references(built):
    cited = 0
    for page in built.glob("api/*/*.html"):
        text = page.read_text(encoding="utf-8")
        labels = re.findall(r'class="reference internal" href="#\w+-(\w+)"[^>]*>(.*?)</a>', text)
        cited += sum(_text(label) == f"[{number}]" for number, label in labels)
        assert not re.search(r"\[R[0-9a-f]{9,}-\w+\]", _text(text)), page.name
    assert cited > 20


@pytest.mark.slow
def test_no_page_shows_markup(built):
    for page in [*built.glob("*.html"), *built.glob("*/**/*.html")]:
        if found := re.search("<article.*</article>", page.read_text(encoding="utf-8"), re.S):
            prose = re.sub(r"<(pre|code|math|svg|style|script)\b.*?</\1>", "", found[0], flags=re.S)
            shown = re.findall(r".*(?:`|\]\(|:\w+:``?|\.\. \w+::).*", _text(prose))
            assert not shown, (page.name, shown)


@pytest.mark.slow
def test_examples_have_pages_with_downloads_and_figures(built):
    is_executed = bool(os.environ.get("SKLEARN_NEUROX_BUILT_DOCS"))
    cards = _article(built / "examples" / "index.html")
    for example in _EXAMPLES:
        page = built / "examples" / example.parent.name / f"{example.stem}.html"
        assert f'href="{example.parent.name}/{example.stem}.html"' in cards
        downloads = {link.name: link for link in _links(page) if "_downloads" in link.parts}
        script = downloads[example.name].read_text(encoding="utf-8")
        assert script == example.read_text(encoding="utf-8")
        cells = json.loads(downloads[f"{example.stem}.ipynb"].read_text(encoding="utf-8"))["cells"]
        assert {"code", "markdown"} == {cell["cell_type"] for cell in cells}
        figures = re.findall(r'<img src="([^"]+)" [^>]*alt="([^"]+)"', _article(page))
        described = re.findall(r"^# Figure: (\w+)", script, re.M)
        assert [alt.split()[0] for _, alt in figures] == (described if is_executed else [])
        for source, _ in figures:
            assert (page.parent / source).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_types_and_code_link_to_other_projects(built):
    page = _article(built / "api" / "ablation" / "ablate_model.html")
    types = re.findall(r'<span class="classifier">(.*?)</span></dt>', page, re.S)
    links = dict(re.findall(r'href="([^"]+)"[^>]*>(.*?)</a>', " ".join(types)))
    links = {_text(label): link for link, label in links.items()}
    assert links["DataFrame"].endswith("/pandas.DataFrame.html#pandas.DataFrame")
    assert links["array-like"].endswith("/glossary.html#term-array-like")
    assert links["ActivationExtractor"].startswith("../extraction/ActivationExtractor.html#")
    assert not {"str", "None", "float"} & set(links)
    report = _article(built / "guide" / "report.html")
    assert "NeuronReport.html#sklearn_neurox.inspection.NeuronReport.from_pipeline" in report
    guide = _article(built / "guide" / "probes.html")
    assert "https://scikit-learn.org/stable/modules/generated/sklearn.model_selection.Grid" in guide


@pytest.mark.slow
def test_names_that_are_not_listed_are_warnings(tmp_path, monkeypatch):
    _other_projects(monkeypatch)
    page = "Title\n=====\n\n`sklearn.pipeline.Pipeline`, `x.y`, `sklearn.nowhere.Thing`.\n"
    (tmp_path / "index.rst").write_text(page, encoding="utf-8")
    options = "extensions=sphinx.ext.intersphinx,numpydoc,other_projects"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-C",
        "-D",
        options,
        "-D",
        "default_role=py:obj",
    ]
    environment = os.environ | {"PYTHONPATH": str(_DOCS / "_ext")}
    done = subprocess.run(
        [*command, str(tmp_path), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "index.rst:4: WARNING: sklearn.nowhere.Thing is not listed in" in done.stderr
    assert done.stderr.count("WARNING") == 1
    linked = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    assert "/modules/generated/sklearn.pipeline.Pipeline.html#" in linked


@pytest.mark.slow
def test_diagrams_link_to_pages(built, monkeypatch):
    monkeypatch.setenv("SKLEARN_NEUROX_DOCS", str(built))
    steps = [ActivationExtractor("model"), SparseAutoencoderEncoder("sae"), SubwordAggregator()]
    # The tests' own subclasses of estimators have no page.
    own = [e for e in numeric_estimators() if type(e).__module__.startswith("sklearn_neurox")]
    scaler = StandardScaler()
    for estimator in [*steps, *own]:
        diagram = make_pipeline(clone(estimator), scaler)._repr_html_()
        links = re.findall(r'<a class="sk-estimator-doc-link[^>]*href="([^"]+)"', diagram)
        ours = [link for link in links if link.startswith("file:")]
        name = type(estimator).__name__
        assert ours[0].endswith(f"/{name}.html")
        for link in ours:
            page = Path(unquote(urlsplit(link).path))
            package, class_name = page.parent.name, page.stem
            anchor = f'id="sklearn_neurox.{package}.{class_name}"'
            assert anchor in page.read_text(encoding="utf-8")
        # Parameters link to the text of their entry: the name, and the type after it.
        for page, start, end in re.findall(r'href="file:([^"#]+)#:~:text=(\w+),-([^"]+)"', diagram):
            text = _text(_article(Path(unquote(page))))
            assert unquote(start + end) in text
        assert scaler._get_doc_link() in links and "scikit-learn.org" in scaler._get_doc_link()


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
