# SPDX-License-Identifier: BSD-3-Clause
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from numbers import Integral
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    validate_parameter_constraints,
)
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.inspection._report._contents import MOST_DRAWN, pack_tables, page_data, unfrozen
from sklearn_neurox.inspection._report._gathering import gather
from sklearn_neurox.inspection._report._input import check_title, model_name, read_inputs
from sklearn_neurox.inspection._report._ranking import read_ranking
from sklearn_neurox.inspection._report._rendering import frame_for_notebook, render
from sklearn_neurox.utils._files._foreign_files import as_path
from sklearn_neurox.utils._files._output_files import check_writable, write_whole
from sklearn_neurox.utils._warn_user import warn_user

_COUNT = Interval(Integral, 0, None, closed="left")
_CONSTRAINTS = {
    "ranker": [HasMethods(["fit"])],
    "X": ["array-like", "sparse matrix"],
    "y": ["array-like"],
    "words": "no_validation",  # may be a table of any library
    "probe": [HasMethods(["fit"]), None],
    "input_features": ["array-like", None],
    "ablation": "no_validation",  # may be a table of any library
    "layer_profile": "no_validation",
    "baselines": "no_validation",
    "model": [str, None],
    "title": [str],
    "n_detailed": [_COUNT, None],
    "n_top_words": [_COUNT],
    "n_contexts": [_COUNT],
    "min_count": [Interval(Integral, 1, None, closed="left")],
}
# Larger pages open slowly, and notebooks that hold them save slowly.
_LARGE_BYTES = 15_000_000
_N_DETAILED = 1000


class NeuronReport:
    """Interactive HTML page about all neurons and labels of a ranking.

    The page is self-contained: it needs no network and no server, and can be sent by email. It
    opens with an overview of the data, the probe, its score and its baselines. Readers can search
    it for neurons, layers, labels and words. For a neuron, the page shows the rank, the label it
    is high or low for, the score and the weight for each class, the distribution of activations
    over the words of each class, the words with the highest and the lowest mean activation, and
    sentences colored by activation. Two neurons can be shown side by side. For a label, the page
    shows the ranking of the neurons.

    In a notebook, a report displays itself when it is the last expression of a cell.

    Parameters
    ----------
    ranker : fitted ranker
        The ranker that orders the neurons. If it has ``class_scores_``, the page also shows one
        ranking per label. A scikit-learn selector with ``scores_`` or ``ranking_`` works too.

    X : array-like or sparse matrix of shape (n_samples, n_neurons)
        The activations. float16 and memory-mapped arrays are read in blocks and never copied as a
        whole. The report does not keep them.

    y : array-like of shape (n_samples,)
        The label of each row, or numbers for a regression. For numbers, the page shows the
        correlation of each neuron with them, and the distributions in five ranges with about
        equally many rows. Whole numbers count as such if the ranker or the probe is a regressor.

    words : table of n_samples rows, or sequence of str
        The words of the rows, in the format of `sklearn_neurox.words.words_frame`, with the
        columns ``text``, ``start`` and ``end``; or texts, if each row is a whole text. The words
        of a whole text are found as in `top_words`. The rows can be in any order.

    probe : fitted classifier or regressor, or None, default=None
        A linear probe whose ``coef_`` is shown as weights, fitted on all columns or on those that
        the ranker selects. None takes the probe that the ranker fitted, if any.

    input_features : array-like of str of shape (n_neurons,) or None, default=None
        The names of the neurons. None takes those that the ranker was fitted with, or else the
        column names of X, or else ``x0``, ``x1``, ...

    ablation : DataFrame or None, default=None
        A frame returned by `sklearn_neurox.ablation.ablation_curve` or
        `sklearn_neurox.ablation.ablation_table`, to show in the report.

    layer_profile : DataFrame or None, default=None
        A table of scores by layer, shown unchanged. One with the columns ``layer`` and ``score``,
        such as `sklearn_neurox.evaluation.layer_profile` returns, is drawn as well, with the
        intervals ``low`` to ``high`` if present.

    baselines : DataFrame, dict of str to float, or None, default=None
        A frame returned by `sklearn_neurox.evaluation.baseline_table`, or a dict of names and
        scores. The row or key ``"probe"`` is shown as the score of the probe, beside those of the
        baselines.

    model : str or None, default=None
        The name of the language model that the activations come from, to show on the overview.
        `from_pipeline` finds it in the pipeline.

    title : str, default="Neuron report"
        The title of the page.

    n_detailed : int or None, default=None
        The number of best-ranked neurons with top words and sentences. None includes all, or the
        best 1000 if there are more than 10,000 neurons. The other neurons still have ranks,
        weights and, up to 10,000 neurons, distributions, and their pages say what is missing.

    n_top_words : int, default=10
        The number of words with the highest mean activation to show, and of words with the lowest.

    n_contexts : int, default=5
        The number of sentences with the highest activation to show, and of those with the lowest.

    min_count : int, default=5
        The minimum number of occurrences of a top word; a single occurrence is not a pattern.

    Raises
    ------
    ValueError
        If lengths differ, a label is missing, the target is continuous but the ranker or the probe
        is a classifier, values are not finite, spans lie outside their texts, neuron names are not
        unique, or the probe does not match the ranker.

    See Also
    --------
    sklearn_neurox.ranking.LCARanker : Rank neurons by the weights of a probe.
    sklearn_neurox.ablation.ablation_curve : Score a probe on only the best neurons.

    Notes
    -----
    Colors and mean activations of words are in standard deviations from the neuron's mean over the
    rows of X. The mean of a word is over its occurrences; upper and lower case are distinct. A text
    that occurs several times is shown once. Distributions are histograms with 32 bins, shared by
    the classes of a neuron and scaled to the fullest bin of each class. The boxes show the
    quantiles 0.05, 0.25, 0.5, 0.75 and 0.95, to within 1/256 of the range. Values beyond five
    standard deviations are counted in the outermost bins. The AUC is computed from 256 bins, so
    values in the same bin count as ties. With more than 10,000 neurons, class scores and weights
    are rounded to 11 bits.

    A Content-Security-Policy prevents the page from loading or sending anything, and words and
    labels are never interpreted as markup. The page works in browsers from 2023 or later.

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
        baselines: pd.DataFrame | Mapping[str, float] | None = None,
        model: str | None = None,
        title: str = "Neuron report",
        n_detailed: int | None = None,
        n_top_words: int = 10,
        n_contexts: int = 5,
        min_count: int = 5,
    ):
        given = {name: value for name, value in locals().items() if name in _CONSTRAINTS}
        validate_parameter_constraints(_CONSTRAINTS, given, caller_name="NeuronReport")
        check_title(title)
        inputs = read_inputs(ranker, X, y, words, probe, input_features)
        is_numeric = inputs.targets is not None
        order, ranking = read_ranking(ranker, inputs.probe, inputs.classes, is_numeric)
        is_large = len(order) > MOST_DRAWN
        if n_detailed is None and is_large:
            n_detailed = _N_DETAILED
        detailed = np.sort(order[:n_detailed])
        drawn = detailed if is_large else np.arange(len(order))
        gathered = gather(inputs, detailed, drawn, n_top_words, n_contexts, min_count)
        self.title = title
        self._data = {
            **page_data(inputs, ranking, gathered),
            "title": title,
            "model": model,
            "detailed": None if len(detailed) == len(order) else detailed.tolist(),
            "all_drawn": len(drawn) == len(order),
            "min_count": min_count,
            "ranker": type(ranker).__name__,
            "probe": None if inputs.probe is None else type(unfrozen(inputs.probe)).__name__,
            "tables": pack_tables(ablation, layer_profile, baselines),
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
        """Create a report from the ranker and the probe in a fitted pipeline.

        Parameters
        ----------
        pipeline : Pipeline
            A fitted pipeline with a ranker; the steps before the ranker turn words into
            activations. If the last step is a linear classifier directly after the ranker, its
            weights are shown.

        words : DataFrame
            The input of the pipeline.

        y : array-like of shape (n_samples,)
            The label of each word.

        **parameters : dict
            The other parameters of `NeuronReport`.

        Returns
        -------
        report : NeuronReport
            The report.

        Raises
        ------
        ValueError
            If the pipeline has no ranker.
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
        is_linear = hasattr(last, "coef_") and (hasattr(last, "classes_") or is_regressor(last))
        if place == len(pipeline) - 2 and is_linear:
            parameters.setdefault("probe", last)
        X = words
        if place > 0:
            features = pipeline[:place]
            parameters.setdefault("model", model_name(features))
            X = features.transform(words)
            if not hasattr(ranker, "feature_names_in_") and not hasattr(X, "columns"):
                parameters.setdefault("input_features", features.get_feature_names_out())
        return cls(ranker, X, y, words, **parameters)

    def __repr__(self):
        data = self._data
        return (
            f"<NeuronReport {self.title!r}: {len(data['neurons'])} neurons, {data['n_words']} "
            f"{data['unit']}s, {len(data['classes'])} {'ranges' if data['numeric'] else 'labels'}>"
        )

    def to_html(self) -> str:
        """Return the page as HTML.

        Returns
        -------
        page : str
            A complete HTML document.
        """
        return render(self.title, self._data)

    def _repr_html_(self):
        return frame_for_notebook(self.to_html(), self.title)

    def write_html(self, path: str | PathLike) -> None:
        """Write the page to a file.

        Parameters
        ----------
        path : str or path-like
            The file. An existing file is replaced atomically, so it is never incomplete.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        path = as_path(path, "The 'path' parameter of NeuronReport.write_html")
        check_writable(path, "The report")
        page = self.to_html().encode("utf-8")
        write_whole(path, lambda scratch: Path(scratch).write_bytes(page))

    def open(self) -> Path:
        """Open the page in a browser.

        Returns
        -------
        path : Path
            The file of the page, in a new temporary folder that is not removed.

        Raises
        ------
        RuntimeError
            If no browser is found, for example on a server.
        """
        path = Path(tempfile.mkdtemp(prefix="neuron-report-")) / "report.html"
        self.write_html(path)
        if not webbrowser.open(path.as_uri()):
            raise RuntimeError(
                f"No browser was found. The report is in {path}. Use write_html to write it to "
                "another file."
            )
        return path

    def _warn_if_large(self):
        size = sum(len(packed["data"]) for packed in self._data["arrays"].values())
        if size > _LARGE_BYTES:
            warn_user(
                f"The report takes {size / 1e6:.0f} MB, so browsers open it slowly. Include words "
                "and sentences for fewer neurons, for example with n_detailed=1000, or fewer "
                "sentences, for example with n_contexts=2.",
            )
