# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params

from sklearn_neurox.extraction import ActivationExtractor, token_frame
from sklearn_neurox.extraction._model._loading import load_tokenizer
from sklearn_neurox.utils._containers import describe, read_frame, to_pandas
from sklearn_neurox.utils._unique_in_order import unique_in_order

_METHODS = ("decision_function", "predict_proba", "predict")


_NO_TOKEN = "The 'texts' parameter of score_tokens contains no token. Pass some text."


@validate_params(
    {
        "pipeline": [HasMethods(["predict"])],
        "texts": "no_validation",  # may be a table of any library
        "response_method": [StrOptions({"auto", *_METHODS})],
    },
    prefer_skip_nested_validation=True,
)
def score_tokens(
    pipeline: BaseEstimator, texts: object, *, response_method: str = "auto"
) -> pd.DataFrame:
    """Compute the score of a fitted probe on every token of running text.

    Parameters
    ----------
    pipeline : fitted Pipeline
        A pipeline that starts with an `ActivationExtractor` and a `SubwordAggregator` and ends with
        a probe; or a search over such a pipeline, whose best one is used.

    texts : array-like of str, or table with the column ``text``
        The texts. Of a table, such as one of `chat_frame`, each distinct text is read once.

    response_method : {"auto", "decision_function", "predict_proba", "predict"}, default="auto"
        The method of the pipeline that scores. ``"auto"`` takes the first of these that it has; a
        regressor predicts.

    Returns
    -------
    scores : DataFrame of shape (n_tokens, 8 + n_scores)
        The columns of `token_frame`, one row per token of the model, and ``score``. For two
        classes, it is the score of the second one, ``pipeline.classes_[1]``. For more classes or
        several targets, there is a column for each instead, such as ``score_NOUN``.

    Raises
    ------
    ValueError
        If the pipeline does not start with an `ActivationExtractor`, lacks the method, or is a
        classifier that has only ``predict``, or if the texts have no token.

    See Also
    --------
    highlight : Color the tokens by their scores.
    sklearn_neurox.extraction.token_frame : Build a frame of tokens.

    Notes
    -----
    Each token gets the state of that token alone, so all strategies of the aggregator but ``"cls"``
    give the same scores. The tokens of a text that the probe was trained on in other units, such as
    last subwords of words or whole answers, are not the rows that it was trained on: validate such
    a probe on tokens before you trust their scores.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_neurox import ActivationExtractor, SubwordAggregator
    >>> from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
    >>> from sklearn_neurox.inspection import highlight, score_tokens
    >>> words = make_tagged_words(20, random_state=0)
    >>> pipe = make_pipeline(
    ...     ActivationExtractor(make_tiny_model("gpt2"), layers=[1]),
    ...     SubwordAggregator(),
    ...     LogisticRegression(),
    ... )
    >>> pipe = pipe.fit(words, words["upos"] == "NOUN")
    >>> scores = score_tokens(pipe, ["The old dog barks."])
    >>> list(scores.columns[-3:])
    ['token', 'token_index', 'score']
    >>> highlight(scores)
    <Highlight of ['score'] in 8 words of 1 sentences>
    """
    pipeline = getattr(pipeline, "best_estimator_", pipeline)
    extractor = _extractor_of(pipeline)
    frame = token_frame(
        _read_texts(texts),
        load_tokenizer(extractor._spec()),
        split_special_tokens=bool(extractor.split_special_tokens),
    )
    if not len(frame):
        raise ValueError(_NO_TOKEN)
    method = _method_of(pipeline, response_method)
    scores = np.asarray(getattr(pipeline, method)(frame))
    if scores.ndim == 1:
        return frame.assign(score=scores)
    labels = pipeline.classes_ if is_classifier(pipeline) else range(scores.shape[1])
    if len(labels) == 2 and is_classifier(pipeline):
        return frame.assign(score=scores[:, 1])
    columns = [f"score_{label}" for label in labels]
    return pd.concat([frame, pd.DataFrame(scores, columns=columns, index=frame.index)], axis=1)


def _extractor_of(pipeline):
    step = pipeline
    while hasattr(step, "steps"):
        step = step.steps[0][1]
    if not isinstance(step, ActivationExtractor):
        raise ValueError(
            f"score_tokens needs a pipeline that starts with an ActivationExtractor, which reads "
            f"the tokens; this one starts with {type(step).__name__}. Fit "
            "make_pipeline(ActivationExtractor(...), SubwordAggregator(), probe) on the words."
        )
    return step


def _read_texts(texts):
    texts = to_pandas(texts)
    if not isinstance(texts, pd.DataFrame):
        if not isinstance(texts, Iterable):
            raise TypeError(
                f"The 'texts' parameter of score_tokens must be a list of texts, got "
                f"{describe(texts)}."
            )
    else:
        texts = read_frame(texts, ["text"], caller="score_tokens", name="texts")["text"]
        texts = unique_in_order(texts.to_numpy(dtype=object))[0]
    # Some tokenizers fail on no text.
    if hasattr(texts, "__len__") and not len(texts):
        raise ValueError(_NO_TOKEN)
    return texts


def _method_of(pipeline, response_method):
    asked = _METHODS if response_method == "auto" else (response_method,)
    if response_method == "auto" and not is_classifier(pipeline):
        asked = ("predict",)
    method = next((name for name in asked if hasattr(pipeline, name)), None)
    if method is None or (method == "predict" and is_classifier(pipeline)):
        raise ValueError(
            f"score_tokens: the {type(pipeline).__name__} has no scores of tokens with "
            f"response_method={response_method!r}. End the pipeline with a probe that has "
            "decision_function or predict_proba, or with a regressor."
        )
    return method
