# SPDX-License-Identifier: BSD-3-Clause
"""Accuracy and description length by layer (Voita and Titov 2020, table 1)."""

import pandas as pd

from benchmarks._papers._treebank import Treebank, linear_probe, with_interval
from sklearn_neurox.evaluation import control_labels, layer_profile, online_codelength


def make(*, quick):
    """Return the table of layers, for the task and the control task."""
    data = Treebank.read(quick=quick)
    H = data.activations(layers=[0, 2] if quick else None)
    tasks = {"PoS": data.labels(), "control": control_labels(data.words, data.labels())}
    rows = []
    profiles = {
        task: layer_profile(linear_probe(), H, y, groups=data.groups, cv=[data.split])
        for task, y in tasks.items()
    }
    for place, name in enumerate(profiles["PoS"]["name"]):
        row = {"layer": name}
        for task, y in tasks.items():
            code = online_codelength(
                linear_probe(),
                H.filter(regex=rf"^{name}[.]"),
                y,
                groups=data.groups,
                random_state=0,
            )
            kilo = [value / 1000 for value in (code.codelength, code.low, code.high)]
            row |= {
                f"{task}: accuracy": with_interval(profiles[task].iloc[place]),
                f"{task}: kbit": "{:.1f} ({:.1f} to {:.1f})".format(*kilo),
                f"{task}: compression": f"{code.compression:.1f}",
            }
        rows.append(row)
    uniform = code.uniform_codelength / 1000
    title = f"accuracy: {data.sizes}; online code of all words, whose uniform code takes "
    return {f"{title}{uniform:.1f} kbit": pd.DataFrame(rows)}
