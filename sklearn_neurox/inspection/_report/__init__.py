# SPDX-License-Identifier: BSD-3-Clause
"""The parts of `NeuronReport`: gathering from matrices, packing, and rendering a page."""
