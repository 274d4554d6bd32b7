# SPDX-License-Identifier: BSD-3-Clause
"""
Features of a sparse autoencoder
================================

A small sparse autoencoder is trained on the activations of one layer, and its features are probed
in place of neurons. You learn how to encode tokens before they are pooled, how the matrix
stays sparse from the aggregator to the probe, and how to read what a feature responds to.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from sklearn_neurox import (
    ActivationExtractor,
    ElasticNetProbeClassifier,
    SparseAutoencoderEncoder,
    SubwordAggregator,
)
from sklearn_neurox.datasets import demo_model_path, make_tagged_words
from sklearn_neurox.inspection import ClassScoresDisplay, top_words

# %%
words = make_tagged_words(400, random_state=0)
extractor = ActivationExtractor(demo_model_path(), layers=[4])
dense = make_pipeline(extractor, SubwordAggregator("last")).fit_transform(words)


class TopKAutoencoder(torch.nn.Module):
    """Describe each activation by the 16 strongest of many features."""

    def __init__(self, activations, n_features=1024, k=16):
        super().__init__()
        self.k = k
        self.register_buffer("center", activations.mean(0))
        self.register_buffer("scale", activations.std())
        self.decoder = torch.nn.Parameter(torch.randn(n_features, activations.shape[1]))
        self.decoder.data /= self.decoder.data.norm(dim=1, keepdim=True)
        self.encoder = torch.nn.Parameter(self.decoder.data.T.clone())

    def encode(self, x):
        """Return the codes of activations; this is all that the encoder of the pipeline needs."""
        codes = ((x - self.center) / self.scale) @ self.encoder
        strongest = codes.topk(self.k, dim=-1)
        return torch.zeros_like(codes).scatter(-1, strongest.indices, strongest.values.relu())

    def forward(self, x):
        """Reconstruct activations."""
        return self.encode(x) @ self.decoder * self.scale + self.center


def train(activations, n_steps=400):
    torch.manual_seed(0)
    sae = TopKAutoencoder(activations)
    optimizer = torch.optim.Adam(sae.parameters(), lr=2e-3)
    for _ in range(n_steps):
        batch = activations[torch.randint(len(activations), (256,))]
        loss = ((sae(batch) - batch) / sae.scale).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"The features explain {1 - loss.item():.0%} of the variance.")
    return sae.requires_grad_(False)


sae = train(torch.from_numpy(dense))

# %%
# Every token is encoded, and the codes of a word's tokens are pooled. A trained SAE would be the
# folder that SAELens wrote: ``SparseAutoencoderEncoder("sae/")``.
features = make_pipeline(extractor, SparseAutoencoderEncoder(sae), SubwordAggregator("max"))
H = features.fit_transform(words)
names = features.get_feature_names_out()
n_active = H.nnz / H.shape[0]
print(f"{H.shape[0]} words x {H.shape[1]} features, {n_active:.1f} of them active on a word.")

# %%
# Nothing after the aggregator makes the matrix dense. For which parts of speech is the probe of the
# features worse than the probe of the neurons?
probe = ElasticNetProbeClassifier(3e-3, random_state=0)
y, groups = words["upos"], words["text"]
predicted = {}
for name, matrix in {"neurons": dense, "features": H}.items():
    predicted[name] = cross_val_predict(probe, matrix, y, groups=groups, cv=GroupKFold(3))
    print(f"Accuracy from {name}: {(predicted[name] == y).mean():.3f}")
# Figure: F1 of each tag from sparse features and from neurons, joined by a line: close for most
# tags; features are better for numerals and proper nouns, neurons for adjectives.
display = ClassScoresDisplay.from_predictions(
    y, predicted["features"], other=predicted["neurons"], names=["features", "neurons"]
)

# %%
# For each part of speech, which words does the feature with the largest weight respond to?
probe.fit(H, y)
for label, weights in zip(probe.classes_, probe.coef_, strict=True):
    best = names[weights.argmax()]
    table = top_words(H, words, [best], n_words=4, sign="positive", input_features=names)
    print(f"{label:6} {best:12} {', '.join(table['word'])}")

plt.show()
