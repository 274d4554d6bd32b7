# SPDX-License-Identifier: BSD-3-Clause
import tempfile
import webbrowser
from collections.abc import Sequence
from numbers import Integral
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    validate_parameter_constraints,
)
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.inspection._report._contents import (
    constants,
    describe_labels,
    describe_neurons,
    pack_gathered,
    pack_ranking,
    pack_tables,
)
from sklearn_neurox.inspection._report._gathering import Choice, gather
from sklearn_neurox.inspection._report._input import (
    check_labels,
    check_matrix,
    check_words,
    inner,
    neuron_names,
    own_probe,
)
from sklearn_neurox.inspection._report._ranking import read_ranking
from sklearn_neurox.inspection._report._rendering import frame_for_notebook, render
from sklearn_neurox.utils._output_files import check_writable, write_whole
from sklearn_neurox.utils._warn_user import warn_user

_COUNT = Interval(Integral, 0, None, closed="left")
_CONSTRAINTS = {
    "ranker": [HasMethods(["fit"])],
    "probe": [HasMethods(["fit"]), None],
    "input_features": ["array-like", None],
    "ablation": [pd.DataFrame, None],
    "layer_profile": [pd.DataFrame, None],
    "title": [str],
    "n_detailed": [_COUNT, None],
    "n_top_words": [_COUNT],
    "n_contexts": [_COUNT],
    "min_count": [Interval(Integral, 1, None, closed="left")],
}
# From there on a page opens slowly, and a notebook that holds it saves slowly.
_LARGE_BYTES = 15_000_000


class NeuronReport:
    """One HTML page to look into every neuron and every label of a ranking.

    The page holds all it shows: it needs no network and no server, and can be mailed. It searches
    neurons and labels. Of a neuron it shows the rank, the score and weight by class, how its
    activations are distributed over the words of each class, the words it responds to most and
    least, and sentences coloured by its activation. Of a label it shows the ranking of the neurons.

    In a notebook the report shows itself as the last expression of a cell.

    Parameters
    ----------
    ranker : fitted ranker
        What orders the neurons; with ``class_scores_`` there are rankings by label too. A selector
        of scikit-learn will do that has ``scores_`` or ``ranking_``.

    X : array-like of shape (n_samples, n_neurons)
        The activations; float16 and memory-mapped ones are read by blocks, never copied whole.
        Not kept.

    y : array-like of shape (n_samples,)
        The label of every row.

    words : DataFrame of n_samples rows, or sequence of str
        What the rows are, as `sklearn_neurox.words.words_frame` gives it: with the columns
        ``text``, ``start`` and ``end``; or texts, where a row is a whole text. Rows may stand in
        any order.

    probe : fitted classifier or None, default=None
        A linear probe, whose ``coef_`` are the weights shown, fitted on all columns or on those
        the ranker selects. None takes the one that the ranker fitted, if any.

    input_features : array-like of str of shape (n_neurons,) or None, default=None
        The names of the neurons. None takes those the ranker has seen, or those of the columns
        of X, or else ``x0``, ``x1``, ...

    ablation : DataFrame or None, default=None
        What `sklearn_neurox.ablation.ablation_curve` or
        `sklearn_neurox.ablation.ablation_table` returned, to be shown beside the ranking.

    layer_profile : DataFrame or None, default=None
        A table of scores by layer to be shown as it is.

    title : str, default="Neuron report"
        The title of the page.

    n_detailed : int or None, default=None
        How many neurons, the best first, get words and sentences; the page says which do. All
        others still have ranks, weights and distributions. None for all.

    n_top_words : int, default=10
        How many words of the highest, and of the lowest, mean activation to show.

    n_contexts : int, default=5
        How many sentences with the highest, and with the lowest, activation to show.

    min_count : int, default=5
        How often a word must occur to be among the top words, for one occurrence is no pattern.

    Raises
    ------
    ValueError
        For lengths that do not agree, a missing label, a target that is continuous, values that
        are not finite, spans outside of their texts, neurons of the same name, or a probe that
        does not fit.

    See Also
    --------
    sklearn_neurox.ranking.LCARanker : A ranking, by the weights of a probe.
    sklearn_neurox.ablation.ablation_curve : What the best neurons are worth.

    Notes
    -----
    Colours and mean activations of words are in standard deviations of the neuron from its mean,
    over the rows of X. A word is averaged over its occurrences, upper and lower case apart. Of
    equal texts one is shown. Distributions are histograms of 32 bins that the classes of a neuron
    share, each as high as its fullest bin; their boxes tell the quantiles 0.05, 0.25, 0.5, 0.75
    and 0.95 to a 256th of the range. Values beyond five standard deviations are in the outermost
    bins.

    The page forbids itself all loading and sending by a Content-Security-Policy, and words and
    labels never become markup. It opens in browsers from 2023 on.

    Examples
    --------
    >>> from sklearn_neurox.datasets import make_planted_neurons, make_tagged_words
    >>> from sklearn_neurox.inspection import NeuronReport
    >>> from sklearn_neurox.ranking import ProbelessRanker
    >>> words = make_tagged_words(50, random_state=0)
    >>> data = make_planted_neurons(len(words), 20, random_state=0)
    >>> ranker = ProbelessRanker().fit(data.X, data.y)
    >>> report = NeuronReport(ranker, data.X, data.y, words, title="Planted neurons")
    >>> report
    <NeuronReport 'Planted neurons': 20 neurons, 527 words, 3 labels>
    >>> report.write_html("neurons.html")  # doctest: +SKIP
    """

    def __init__(
        self,
        ranker: BaseEstimator,
        X: ArrayLike,
        y: ArrayLike,
        words: pd.DataFrame | Sequence[str],
        *,
        probe: BaseEstimator | None = None,
        input_features: ArrayLike | None = None,
        ablation: pd.DataFrame | None = None,
        layer_profile: pd.DataFrame | None = None,
        title: str = "Neuron report",
        n_detailed: int | None = None,
        n_top_words: int = 10,
        n_contexts: int = 5,
        min_count: int = 5,
    ):
        given = {name: value for name, value in locals().items() if name in _CONSTRAINTS}
        validate_parameter_constraints(_CONSTRAINTS, given, caller_name="NeuronReport")
        check_is_fitted(ranker)
        if probe is None:
            probe = own_probe(ranker)
        else:
            check_is_fitted(probe)
        names = neuron_names(ranker, X, input_features)
        X = check_matrix(X, names)
        classes, codes = check_labels(y, ranker, probe)
        words = check_words(words)
        check_consistent_length(X, codes, words)
        ranking = read_ranking(ranker, probe, classes)
        chosen = np.sort(ranking.order[:n_detailed])
        choice = Choice(chosen, n_top_words, n_contexts, min_count)
        neurons, layer_of = describe_neurons(names)
        data = pack_gathered(gather(X, codes, len(classes), words, choice))
        data["arrays"] |= pack_ranking(ranking) | {"layer_of": layer_of}
        self.title = title
        self._data = {
            **data,
            **neurons,
            **describe_labels(classes, codes, getattr(y, "name", None)),
            **constants(),
            "title": title,
            "detailed": None if len(chosen) == len(names) else chosen.tolist(),
            "min_count": min_count,
            "ranker": type(ranker).__name__,
            "probe": None if probe is None else type(inner(probe)).__name__,
            "tables": pack_tables(ablation, layer_profile),
        }
        self._warn_if_large()

    @classmethod
    def from_pipeline(
        cls,
        pipeline: Pipeline,
        words: pd.DataFrame,
        y: ArrayLike,
        **parameters,
    ) -> "NeuronReport":
        """Report on the ranker inside a fitted pipeline, and on the probe at its end.

        Parameters
        ----------
        pipeline : Pipeline
            Fitted; one step ranks, and what comes before it turns words into activations. If the
            last step is a linear classifier right behind the ranker, its weights are shown.

        words : DataFrame
            What the pipeline takes.

        y : array-like of shape (n_samples,)
            The label of every word.

        **parameters : dict
            The other parameters of `NeuronReport`.

        Returns
        -------
        report : NeuronReport

        Raises
        ------
        ValueError
            If no step of the pipeline ranks.
        """
        check_is_fitted(pipeline)
        ranks = [hasattr(step, "order_") for _, step in pipeline.steps]
        if True not in ranks:
            raise ValueError(
                "NeuronReport.from_pipeline needs a pipeline with a ranker, such as LCARanker(), "
                f"among its steps; got {[name for name, _ in pipeline.steps]}."
            )
        place = ranks.index(True)
        ranker, last = pipeline[place], pipeline[-1]
        if place == len(pipeline) - 2 and hasattr(last, "coef_") and hasattr(last, "classes_"):
            parameters.setdefault("probe", last)
        X = words
        if place > 0:
            features = pipeline[:place]
            X = features.transform(words)
            if not hasattr(ranker, "feature_names_in_") and not hasattr(X, "columns"):
                parameters.setdefault("input_features", features.get_feature_names_out())
        return cls(ranker, X, y, words, **parameters)

    def __repr__(self):
        data = self._data
        return (
            f"<NeuronReport {self.title!r}: {len(data['neurons'])} neurons, {data['n_words']} "
            f"words, {len(data['classes'])} labels>"
        )

    def to_html(self) -> str:
        """Give the page.

        Returns
        -------
        page : str
            A whole HTML document.
        """
        return render(self.title, self._data)

    def _repr_html_(self):
        return frame_for_notebook(self.to_html(), self.title)

    def write_html(self, path: str | PathLike) -> None:
        """Write the page into a file.

        Parameters
        ----------
        path : str or path-like
            The file. One that is there is replaced, at once, so that it is never there in part.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        path = Path(path)
        check_writable(path, "The report")
        page = self.to_html().encode("utf-8")
        write_whole(path, lambda scratch: Path(scratch).write_bytes(page))

    def open(self) -> Path:
        """Open the page in the browser.

        Returns
        -------
        path : Path
            The file it is in, in a new temporary folder of its own, which stays.

        Raises
        ------
        RuntimeError
            If there is no browser to be found, as on a server.
        """
        path = Path(tempfile.mkdtemp(prefix="neuron-report-")) / "report.html"
        self.write_html(path)
        if not webbrowser.open(path.as_uri()):
            raise RuntimeError(
                f"No browser was found. The report is in {path}; write_html puts it elsewhere."
            )
        return path

    def _warn_if_large(self):
        size = sum(len(packed["data"]) for packed in self._data["arrays"].values())
        if size > _LARGE_BYTES:
            warn_user(
                f"The report takes {size / 1e6:.0f} MB, which browsers open slowly. Give words and "
                "sentences to fewer neurons, with n_detailed=1000, or fewer sentences, with "
                "n_contexts=2.",
            )
