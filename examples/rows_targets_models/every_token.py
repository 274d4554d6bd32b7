# SPDX-License-Identifier: BSD-3-Clause
"""
A probe on every token of running text
======================================

A probe that was fitted on labeled words scores every token of texts that nobody has labeled. You
learn to score and color tokens, to keep words off the attention sink with a prefix, and to find the
texts with the highest scores. The script reads the decoder in the folder that the environment
variable ``SKLEARN_NEUROX_DECODER`` names, or a tiny random model if it is not set.
"""

import os

import matplotlib.pyplot as plt
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_neurox import ActivationExtractor, ElasticNetProbeClassifier, SubwordAggregator
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import token_frame
from sklearn_neurox.inspection import highlight, score_tokens

# %%
# Words of generated sentences, labeled by whether they are verbs. With ``prefix``, no word is the
# first token that the model reads, which trained decoders treat as an attention sink.
path = os.environ.get("SKLEARN_NEUROX_DECODER")
folder = path or make_tiny_model("gpt2", hidden_size=64)
words = make_tagged_words(200, random_state=0)
is_verb, groups = words["upos"] == "VERB", words["text"]
features = make_pipeline(
    ActivationExtractor(folder, layers=[1], prefix="bos"), SubwordAggregator("last")
)
probe = ElasticNetProbeClassifier(alpha=3e-3, l1_ratio=0.2, random_state=0)
H = features.fit_transform(words)
accuracy = cross_val_score(probe, H, is_verb, groups=groups, cv=GroupKFold(3)).mean()
print("a trained decoder" if path else "a tiny random model")
print(f"accuracy on words {accuracy:.2f}, share of other words {1 - is_verb.mean():.2f}")
pipe = make_pipeline(*features, probe).fit(words, is_verb)

# %%
# Scores above zero speak for a verb.
texts = make_tagged_words(100, random_state=1)["text"].astype(str).unique().tolist()
scores = score_tokens(pipe, texts)
print(scores.nlargest(8, "score")[["token", "word", "sentence_id", "score"]].to_string(index=False))

# %%
# One row per text: the token with its highest score.
best = scores.loc[scores.groupby("sentence_id")["score"].idxmax()]
best = best.nlargest(3, "score")
print(best[["text", "word", "score"]].to_string(index=False))

# %%
# Plot the score of each token in the first of these texts.
text = scores[scores["sentence_id"] == best["sentence_id"].iloc[0]]
# Figure: Bars of the score for a verb, one per token of a sentence: the highest is that of the
# token above, and most others are negative.
ax = text.plot.bar(x="word", y="score", legend=False, ylabel="score for a verb")
_ = ax.axhline(0, color="black", linewidth=0.8)

# %%
# Show all three texts with colored tokens. A notebook displays them if this is the last line of a
# cell; elsewhere, write them to a file with ``write_html`` or ``write_svg``.
highlight(scores[scores["sentence_id"].isin(best["sentence_id"])], neurons=None)

# %%
# ``token_frame`` returns an ordinary frame of rows, so a probe can also be fitted on tokens.
tokens = token_frame(texts, folder)
H = features.transform(tokens)
print(f"{len(tokens)} tokens of {len(texts)} texts: {H.shape}")

plt.show()
