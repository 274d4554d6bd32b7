# SPDX-License-Identifier: BSD-3-Clause
"""The parts of `NeuronReport`: gather from matrices, pack and render a page."""
