# SPDX-License-Identifier: BSD-3-Clause
"""The results of a command in a few lines, which it ends with."""


def print_summary(*, n_test, baselines, profile, best, curve, report):
    """Print the scores of the probe, its baselines and layers, the best neuron and the ablation.

    Parameters
    ----------
    n_test : int
        The number of words that the scores are computed on.

    baselines : DataFrame
        The columns ``name`` and ``score``, with a row ``"probe"``.

    profile : DataFrame
        A frame returned by `layer_profile`.

    best : DataFrame
        A frame returned by `neuron_summary`, best first.

    curve : DataFrame or None
        A frame returned by `ablation_curve`.

    report : path-like
        The file of the report.
    """
    scores = baselines.set_index("name")["score"].sort_values(ascending=False)
    others = ", ".join(f"{name} {score:.3f}" for name, score in scores.drop("probe").items())
    top = profile.loc[profile["score"].idxmax()]
    neuron = best.iloc[0]
    lines = {
        "probe": f"accuracy {scores['probe']:.3f} on {n_test:,} held-out words",
        "baselines": others,
        "best layer": f"{top['name']}, {top['score']:.3f} "
        f"(95% interval {top['low']:.3f} to {top['high']:.3f})",
        "best neuron": f"{neuron['neuron']}, {neuron['direction']} for {neuron['label']} "
        f"(AUC {neuron['auc']:.2f}): {neuron['words']}",
    }
    if curve is not None:
        lines["ablation"] = _ablation(curve)
    lines["report"] = f"{report} (open it in a browser; it needs no network)"
    print("Summary")
    for name, line in lines.items():
        print(f"  {name:<12} {line}")


def _ablation(curve):
    """Describe what the smallest fraction of the neurons is worth."""
    kept = curve[curve["fraction"] == curve["fraction"].min()]
    means = kept.groupby(["retrained", "which"])["score"].mean()
    share = f"{100 * kept['fraction'].iloc[0]:.0f}%"
    lines = (
        f"{probe} on the best {share} of the neurons: {means[retrained, 'top']:.3f}; "
        f"on random {share}: {means[retrained, 'random']:.3f}"
        for retrained, probe in ((False, "the same probe"), (True, "a new probe"))
    )
    return ("\n" + " " * 15).join(lines)
