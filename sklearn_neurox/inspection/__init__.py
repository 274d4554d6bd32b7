# SPDX-License-Identifier: BSD-3-Clause
"""What neurons respond to: tables, text views, plots and a report."""

from sklearn_neurox.inspection._neuron_table import neuron_table
from sklearn_neurox.inspection._predictions_frame import predictions_frame
from sklearn_neurox.inspection._top_contexts import top_contexts
from sklearn_neurox.inspection._top_words import top_words

__all__ = ["neuron_table", "predictions_frame", "top_contexts", "top_words"]
