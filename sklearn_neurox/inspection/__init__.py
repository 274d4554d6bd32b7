# SPDX-License-Identifier: BSD-3-Clause
"""What neurons respond to: tables, text views, plots and a report."""

from sklearn_neurox.inspection._neuron_report import NeuronReport

__all__ = ["NeuronReport"]
