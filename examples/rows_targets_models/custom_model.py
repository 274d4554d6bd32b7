# SPDX-License-Identifier: BSD-3-Clause
"""
A model of your own
===================

A small recurrent language model is written and trained in plain torch, and then probed like any
transformer. You learn what ``TorchModel`` needs to know, how to read the outputs of any submodule,
and how to compare the model with an untrained copy.
"""

import re

import matplotlib.pyplot as plt
import pandas as pd
import torch
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_neurox import ActivationExtractor, ElasticNetProbeClassifier, SubwordAggregator
from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.extraction import TorchModel

# %%
words = make_tagged_words(1200, random_state=0)
vocabulary = {word: i for i, word in enumerate(words["word"].unique())}


class Reader(torch.nn.Module):
    """Read from left to right and predict the next word."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(len(vocabulary) + 1, 32)
        self.lstm = torch.nn.LSTM(32, 64, batch_first=True)
        self.guess = torch.nn.Linear(64, len(vocabulary) + 1)

    def forward(self, token_ids):
        """Score the next word at every token."""
        return self.guess(self.lstm(self.embedding(token_ids))[0])


def encode(text):
    """Return the token ids of a text and the character span of each token."""
    tokens = list(re.finditer(r"\S+", text))
    unknown = len(vocabulary)
    return [vocabulary.get(t.group(), unknown) for t in tokens], [t.span() for t in tokens]


def train(model, texts, n_epochs=3):
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(n_epochs):
        for text in texts:
            ids = torch.tensor([encode(text)[0]])
            loss = torch.nn.functional.cross_entropy(model(ids)[0, :-1], ids[0, 1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


# %%
# Train on the first half of the sentences and probe on the second half.
texts = list(words["text"].unique())
half = len(texts) // 2
torch.manual_seed(0)
untrained = Reader()
trained = Reader()
trained.load_state_dict(untrained.state_dict())
train(trained, [text for text in texts[:half] if " " in text])
rest = words[words["text"].isin(texts[half:])]

# %%
# Probe each module for part of speech, in the trained and in the untrained model.
probe = ElasticNetProbeClassifier(alpha=1e-3, l1_ratio=0.2, standardize=True, random_state=0)
scores = {}
for name, reader in (("trained", trained), ("untrained", untrained)):
    for module in ("embedding", "lstm"):
        extractor = ActivationExtractor(TorchModel(reader, encode), component=f"module:{module}")
        H = make_pipeline(extractor, SubwordAggregator("last")).fit_transform(rest)
        folds = cross_val_score(probe, H, rest["upos"], groups=rest["text"], cv=GroupKFold(3))
        scores[name, module] = folds.mean()
table = pd.Series(scores).unstack()
print(table.round(3))

# %%
# The dotted line is the share of the most frequent part of speech.

# Figure: Bars of accuracy for the embedding and the LSTM, trained and untrained: trained is
# higher in both, and all are above the dotted line of the most frequent label.
ax = table.T.plot.bar(rot=0, ylabel="accuracy", ylim=(0, 0.8))
ax.legend(ncols=2, loc="upper left")
ax.axhline(rest["upos"].value_counts(normalize=True).max(), color="black", linestyle=":")

plt.show()
