# SPDX-License-Identifier: BSD-3-Clause
"""Summarize the predictions of a model and of its variants, over words and for each word."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._scores._group_intervals import mean_interval

# The measures that get an interval, with the scale of the interval.
_SCALES = {
    "loss_change": "linear",
    "subword_loss_change": "linear",
    "kl": "log",
    "top1_changed": "logit",
    "metric_change": "linear",
}


class Scored:
    """The rows that `causal_effect` scores, and how they are summarized.

    Parameters
    ----------
    predictor : WordPredictor

    carries, is_scored : ndarray of bool, of shape (n_rows,)

    groups : ndarray of int, of shape (n_rows,)
        The group of each row, numbered from 0.
    """

    def __init__(self, predictor, carries, is_scored, groups):
        self.carries, self.is_scored, self.groups = carries, is_scored, groups
        self.word_of_row = predictor.word_of_row
        self.n_subwords = predictor.n_subwords[predictor.word_of_row]

    def of_rows(self, after, before):
        """Return the measures of each row; NaN in rows that are not scored."""
        word = self.word_of_row
        rows = pd.DataFrame(
            {
                "loss": after.loss[word],
                "loss_change": (after.loss - before.loss)[word],
                "kl": after.kl[word],
                "top1_accuracy": after.is_right[word].astype(float),
                "top1_changed": after.is_changed[word].astype(float),
            }
        )
        if after.metric is not None:
            rows["metric"] = after.metric
            rows["metric_change"] = after.metric - before.metric
        rows.loc[~self.is_scored] = np.nan
        return rows

    def summary(self, rows, confidence):
        """Return a dict of numbers for the words that carry the property, and one for the others.

        ``confidence`` is None for the model as it is, which does not differ from itself.
        """
        summaries = []
        for carries in (True, False):
            of_group = self.carries == carries
            own = of_group & self.is_scored
            n_unscored = int((of_group & ~self.is_scored).sum())
            sizes = {"carries": carries, "n_words": int(own.sum()), "n_unscored": n_unscored}
            summaries.append(sizes | self._measures(rows[own], own, confidence))
        return summaries

    def _measures(self, rows, own, confidence):
        found = {}
        for measure in ("loss", "loss_change", "subword_loss", "subword_loss_change", *rows):
            if measure in found:
                continue
            per_word = measure.removeprefix("subword_")
            sizes = self.n_subwords[own] if measure != per_word else None
            if sizes is None:
                found[measure] = rows[measure].mean()
            else:
                total = rows[per_word].sum()
                found[measure] = total / sizes.sum() if sizes.sum() else np.nan
            if measure in _SCALES:
                low, high = 0.0, 0.0
                if confidence is not None or not len(rows):
                    _, low, high = mean_interval(
                        rows[per_word].to_numpy(),
                        self.groups[own],
                        sizes=sizes,
                        scale=_SCALES[measure],
                        confidence=confidence or 0.95,
                    )
                found |= {f"{measure}_low": low, f"{measure}_high": high}
        return found

    def words_frame(self, of_choices, index):
        """Stack the measures of each row in each run, as one frame.

        Parameters
        ----------
        of_choices : list of (dict, DataFrame)
            The labels of each run, and its measures of each row.

        index : Index
            Of the rows.
        """
        own = pd.DataFrame(
            {
                "row": np.arange(len(self.carries)),
                "group": self.groups,
                "carries": self.carries,
                "n_subwords": np.where(self.is_scored, self.n_subwords, 0),
            }
        )
        stacked = pd.concat(
            [pd.concat([own.assign(**labels), rows], axis=1) for labels, rows in of_choices],
            ignore_index=True,
        )
        labels = list(of_choices[0][0])
        stacked.index = index.append([index] * (len(of_choices) - 1))
        return stacked[[*labels, *(name for name in stacked if name not in labels)]]
