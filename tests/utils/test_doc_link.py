# SPDX-License-Identifier: BSD-3-Clause
"""Diagrams link to the documentation if it is known where it is, and never fail."""

import importlib
import inspect
import pickle
import re
import sys
import types
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_neurox.evaluation._baselines._type_baseline import TypeLabelClassifier
from sklearn_neurox.probes import ElasticNetProbeClassifier, GaussianProbeClassifier
from sklearn_neurox.ranking import LCARanker
from tests.instances import numeric_estimators
from tests.public_names import public_names

_PAGE = "api/probes/GaussianProbeClassifier.html"


def _public_estimators():
    for package, name in public_names():
        thing = getattr(importlib.import_module(f"sklearn_neurox.{package}"), name)
        if inspect.isclass(thing) and issubclass(thing, BaseEstimator):
            yield package, name, thing


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv("SKLEARN_NEUROX_DOCS", raising=False)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs metadata with some lines before those of the package."""

    def install_metadata(*lines):
        folder = tmp_path / "site" / "sklearn_neurox-0.1.0.dist-info"
        folder.mkdir(parents=True)
        head = ["Metadata-Version: 2.1", "Name: sklearn-neurox", "Version: 0.1.0"]
        (folder / "METADATA").write_text("\n".join([*head, *lines, ""]), encoding="utf-8")
        monkeypatch.syspath_prepend(str(folder.parent))

    return install_metadata


def _folder_with_page(parent, name="html"):
    page = parent / name / _PAGE
    page.parent.mkdir(parents=True)
    page.write_text("a page", encoding="utf-8")
    return parent / name


def test_without_an_address_there_is_no_link(install):
    install("Project-URL: Source, https://host/source")
    for _, _, estimator in _public_estimators():
        assert object.__new__(estimator)._get_doc_link() == ""
    html = make_pipeline(GaussianProbeClassifier(), LogisticRegression())._repr_html_()
    assert not re.search('href="[^"]*GaussianProbe', html)
    assert re.search('href="https://scikit-learn.org/[^"]*LogisticRegression', html)


def test_every_public_estimator_links_to_its_page(monkeypatch):
    monkeypatch.setenv("SKLEARN_NEUROX_DOCS", "https://host/docs")
    links = {
        name: (object.__new__(estimator)._get_doc_link(), package)
        for package, name, estimator in _public_estimators()
    }
    assert {"ActivationExtractor", "ElasticNetProbeRegressorCV", "LayerSelector"} < set(links)
    own = {type(e) for e in numeric_estimators()}
    assert {e.__name__ for e in own if not e.__name__.startswith("_")} <= set(links)
    for name, (link, package) in links.items():
        assert link == f"https://host/docs/api/{package}/{name}.html"


def test_classes_without_a_page_have_no_link(monkeypatch):
    class GaussianProbeClassifierOfMine(GaussianProbeClassifier):
        pass

    monkeypatch.setenv("SKLEARN_NEUROX_DOCS", "https://host/docs")
    assert GaussianProbeClassifierOfMine()._get_doc_link() == ""
    assert TypeLabelClassifier()._get_doc_link() == ""


@pytest.mark.parametrize("package", ["__main__", "theirs", "theirs.probes", "sklearn_neurox_more"])
def test_subclasses_in_other_packages_have_no_link(package, monkeypatch):
    names = {"__module__": f"{package}._probe" if "." in package else package}
    theirs = type("GaussianProbeClassifier", (GaussianProbeClassifier,), names)
    module = types.ModuleType(package)
    module.GaussianProbeClassifier = theirs
    monkeypatch.setitem(sys.modules, package, module)
    monkeypatch.setenv("SKLEARN_NEUROX_DOCS", "https://host/docs")
    assert theirs()._get_doc_link() == ""


def test_links_are_taken_from_the_metadata_unless_the_variable_is_set(install, monkeypatch):
    install(
        "Project-URL: Source, https://host/source",
        "Project-URL: documentation , https://host/a {b}/",
    )
    probe = GaussianProbeClassifier()
    for blank in (None, "", "  "):
        if blank is not None:
            monkeypatch.setenv("SKLEARN_NEUROX_DOCS", blank)
        assert probe._get_doc_link() == f"https://host/a%20%7Bb%7D/{_PAGE}"
    monkeypatch.setenv("SKLEARN_NEUROX_DOCS", "https://lab/")
    assert probe._get_doc_link() == f"https://lab/{_PAGE}"


@pytest.mark.parametrize("entry", ["Documentation", "Documentation,", "Documentation, somewhere"])
def test_metadata_without_an_address_give_no_link(install, entry):
    install(f"Project-URL: {entry}")
    assert GaussianProbeClassifier()._get_doc_link() == ""


def test_values_of_the_variable(tmp_path, monkeypatch):
    folder = _folder_with_page(tmp_path, "my docs {0} ü")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    uri = (folder / _PAGE).as_uri()
    assert " " not in uri and "{" not in uri
    expected = {
        "https://host/docs": f"https://host/docs/{_PAGE}",
        " HTTP://host/docs// ": f"HTTP://host/docs/{_PAGE}",
        "http://localhost:8001": f"http://localhost:8001/{_PAGE}",
        'https://host/{}{x}{"<a>': f"https://host/%7B%7D%7Bx%7D%7B%22%3Ca%3E/{_PAGE}",
        "https://host/a%20b": f"https://host/a%20b/{_PAGE}",
        f"file://{folder.as_posix()}": uri,
        str(folder): uri,
        f"{folder}/": uri,
        folder.name: uri,
        f"./{folder.name}/": uri,
        f"~/{folder.name}": uri,
        str(tmp_path): "",  # The page does not exist.
        "no/such/folder": "",
        "https://": "",
        "host/docs": "",
        "javascript:alert(1)": "",
        "{": "",
        "{}{0}{x}": "",
        "~nobody-of-this-name/docs": "",
        "x" * 5000: "",
        "\n": "",
    }
    for value, link in expected.items():
        monkeypatch.setenv("SKLEARN_NEUROX_DOCS", value)
        assert GaussianProbeClassifier()._get_doc_link() == link, value
        html = GaussianProbeClassifier()._repr_html_()
        assert (f'href="{link}"' in html) if link else (_PAGE not in html), value


def test_a_working_directory_that_is_gone_gives_no_link(monkeypatch):
    with TemporaryDirectory() as gone:
        monkeypatch.chdir(gone)
    monkeypatch.setenv("SKLEARN_NEUROX_DOCS", "html")
    with pytest.raises(FileNotFoundError):
        Path.cwd()
    assert GaussianProbeClassifier()._get_doc_link() == ""


def test_the_link_is_no_parameter_and_no_state(monkeypatch):
    ranker = LCARanker(ElasticNetProbeClassifier())
    before = ranker.get_params(deep=False), vars(ranker).copy(), pickle.dumps(ranker)
    monkeypatch.setenv("SKLEARN_NEUROX_DOCS", "https://host")
    assert ranker._get_doc_link() and ranker._repr_html_()
    assert (ranker.get_params(deep=False), vars(ranker), pickle.dumps(ranker)) == before
    assert clone(ranker)._get_doc_link() == ranker._get_doc_link()
    assert pickle.loads(before[2])._get_doc_link() == ranker._get_doc_link()
