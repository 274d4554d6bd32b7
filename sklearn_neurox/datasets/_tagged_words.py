# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral
from random import Random

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.datasets._grammar import SentenceGrammar
from sklearn_neurox.words import words_frame


@validate_params(
    {
        "n_sentences": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_tagged_words(
    n_sentences: int = 1000, *, random_state: int | np.random.RandomState | None = None
) -> pd.DataFrame:
    """Generate English sentences labeled with part of speech, number and tense.

    A small grammar generates the sentences from a hand-written lexicon. Many words can be several
    parts of speech ("run", "light", "saw", "left", "that", "to"), so the most frequent tag of a
    word is not always right and context matters. The labels follow Universal Dependencies v2 for
    English: every form of "be" is ``AUX``, and so are "have" and "do" when they support another
    verb; "to" before a verb is ``PART``; a possessive such as "her" is ``PRON``; "that" is
    ``SCONJ``, ``DET`` or ``PRON``. Subjects and verbs agree, but the sentences make no sense.

    Parameters
    ----------
    n_sentences : int, default=1000
        The number of sentences. Short sentences may be repeated.

    random_state : int, RandomState instance or None, default=None
        Determines the sentences. Pass an int for reproducible output across calls.

    Returns
    -------
    words : DataFrame of shape (n_words, 9)
        One row per word, as in `sklearn_neurox.words.words_frame`, with the columns

        - ``text``, ``start``, ``end``, ``word``, ``position``, ``sentence_id``;
        - ``upos``: the part of speech;
        - ``number``: ``"Sing"`` or ``"Plur"`` for nouns, for pronouns and demonstratives that are
          marked for number, and for finite verbs, which have the number of their subject even if
          the form does not show it ("they ran"); missing elsewhere;
        - ``tense``: ``"Pres"`` or ``"Past"`` for finite verbs and participles; missing elsewhere,
          including infinitives, imperatives and modals.

    See Also
    --------
    make_planted_neurons : Generate a matrix whose informative neurons are known.
    sklearn_neurox.words.read_conllu : Read real annotated text.

    References
    ----------
    .. [1] M.-C. de Marneffe, C. Manning, J. Nivre, D. Zeman, "Universal Dependencies",
       Computational Linguistics 47(2), 2021.

    Examples
    --------
    >>> from sklearn_neurox.datasets import make_tagged_words
    >>> words = make_tagged_words(200, random_state=0)
    >>> words["sentence_id"].nunique()
    200
    >>> sorted(words.loc[words["word"] == "that", "upos"].unique())
    ['DET', 'PRON', 'SCONJ']
    """
    # The standard library draws single numbers several times faster than NumPy does.
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    grammar = SentenceGrammar(Random(seed).random)
    sentences = [grammar.sentence() for _ in range(n_sentences)]
    columns = [[[word[i] for word in words] for words in sentences] for i in range(4)]
    forms, upos, number, tense = columns
    return words_frame(forms, {"upos": upos, "number": number, "tense": tense})
