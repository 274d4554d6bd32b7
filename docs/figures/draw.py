# SPDX-License-Identifier: BSD-3-Clause
"""Draw the figures of the documentation, using `make_tagged_words` and the demo model."""

import subprocess
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from sklearn_neurox import (
    ActivationExtractor,
    ElasticNetProbeClassifier,
    LCARanker,
    SubwordAggregator,
    ablation_curve,
)
from sklearn_neurox.datasets import demo_model_path, make_tagged_words
from sklearn_neurox.evaluation import baseline_table, layer_profile
from sklearn_neurox.inspection import (
    AblationCurveDisplay,
    ClassScoresDisplay,
    LayerProfileDisplay,
    NeuronDistributionDisplay,
    NeuronReport,
    RankingAgreementDisplay,
    RegularizationPathDisplay,
    highlight,
)
from sklearn_neurox.probes import ElasticNetProbeClassifierCV
from sklearn_neurox.ranking import AveragePrecisionRanker, ProbelessRanker, RandomRanker

_HERE = Path(__file__).parent


def main():
    """Draw every figure into the folder of this file."""
    words = make_tagged_words(600, random_state=0)
    y, groups = words["upos"], words["text"]
    features = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
    H = features.set_output(transform="pandas").fit_transform(words)
    probe = ElasticNetProbeClassifier(5e-3, 0.5, standardize=True, random_state=0)
    ranker = LCARanker(probe).fit(H, y)
    split = {"groups": groups, "cv": GroupKFold(3)}

    profile = layer_profile(probe, H, y, **split)
    save(LayerProfileDisplay.from_frame(profile, score_name="accuracy"), "layer_profile")

    fractions = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
    curve = ablation_curve(probe, H, y, fractions=fractions, n_draws=3, random_state=0, **split)
    save(AblationCurveDisplay.from_frame(curve, score_name="accuracy"), "ablation_curve")

    distribution = NeuronDistributionDisplay.from_estimator(ranker, by="class", n_neurons=0.05)
    save(distribution, "neuron_distribution")

    predicted = {
        layer: cross_val_predict(
            probe, H.filter(like=f"hidden.{layer}."), y, groups=groups, cv=GroupKFold(3)
        )
        for layer in (0, 3)
    }
    scores = ClassScoresDisplay.from_predictions(
        y, predicted[3], other=predicted[0], names=["layer 3", "layer 0"]
    )
    save(scores, "class_scores")

    rankings = {
        "LCA": ranker,
        "probeless": ProbelessRanker().fit(H, y),
        "average precision": AveragePrecisionRanker().fit(H, y),
        "random": RandomRanker(random_state=0).fit(H, y),
    }
    save(RankingAgreementDisplay.from_rankings(rankings), "ranking_agreement")

    path = ElasticNetProbeClassifierCV(0.5, standardize=True, cv=GroupKFold(3), random_state=0).fit(
        H, y, groups=groups
    )
    save(RegularizationPathDisplay.from_estimator(path), "regularization_path")

    best = ranker.to_frame()["neuron"].head(2).tolist()
    highlight(words.head(40), H.head(40), best, center="mean").write_svg(_HERE / "highlight.svg")
    report = NeuronReport(
        ranker,
        H,
        y,
        words,
        ablation=curve,
        layer_profile=profile,
        baselines=baseline_table(words, y, estimator=probe, X=H, **split),
        model="all-MiniLM-L6-v2",
        title="Parts of speech",
    )
    photograph(report, best[0])


def save(display, name):
    """Save the figure of a display and close it."""
    display.figure_.savefig(_HERE / f"{name}.png", dpi=150, bbox_inches="tight")
    plt.close(display.figure_)


def photograph(report, neuron):
    """Take a screenshot of one neuron in the report with headless Chromium."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        report.write_html(page)
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/p"]
        size = [
            "--window-size=1000,760",
            "--force-device-scale-factor=1.5",
            "--virtual-time-budget=5000",
        ]
        picture = f"--screenshot={_HERE / 'report.png'}"
        address = f"{page.as_uri()}#/neuron/{neuron}"
        subprocess.run(["chromium", *options, *size, picture, address], check=True)


if __name__ == "__main__":
    main()
