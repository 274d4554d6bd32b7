# SPDX-License-Identifier: BSD-3-Clause
"""
Does the model use the neurons that a ranking finds?
====================================================

A probe shows what neurons *carry*; ablating them inside the running model shows whether the model
*uses* them. This script trains a tiny causal language model on generated sentences, ranks its
neurons by how well they indicate that a noun comes next, and ablates the best, random or worst ones
while the model predicts. You learn to rank the neurons of a model that is already loaded, and to
measure how ablating them changes its predictions.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox import ActivationExtractor, ProbelessRanker, SubwordAggregator
from sklearn_neurox.ablation import ablate_model, causal_effect
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model

# %%
# A two-layer GPT-2, trained for a few seconds to predict the next token.
path = make_tiny_model("gpt2", hidden_size=64, n_heads=4, vocab_size=1000, random_state=0)
tokenizer = AutoTokenizer.from_pretrained(path)
tokenizer.pad_token = tokenizer.eos_token
texts = make_tagged_words(3000, random_state=0)["text"].astype(str).unique().tolist()
inputs = tokenizer(texts, padding=True, return_tensors="pt")

started = time.perf_counter()
torch.manual_seed(0)
model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for _ in range(4):
    for rows in torch.randperm(len(texts)).split(32):
        ids, mask = inputs["input_ids"][rows], inputs["attention_mask"][rows]
        width = int(mask.sum(dim=1).max())
        ids, mask = ids[:, :width], mask[:, :width]
        logits = model(input_ids=ids, attention_mask=mask).logits
        following = ids.masked_fill(mask == 0, -100)[:, 1:]
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
model.eval()
print(f"{len(texts):,} texts, trained in {time.perf_counter() - started:.0f} s, loss {loss:.2f}")

# %%
# Rank the neurons on new sentences. Each row is a word, labeled by whether the next word is a noun,
# because a causal model predicts a noun from the words before it.
words = make_tagged_words(400, random_state=1)
is_noun = words["upos"] == "NOUN"
noun_next = is_noun.shift(-1, fill_value=False) & (words["position"].shift(-1, fill_value=0) > 0)
extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1, 2])
H = SubwordAggregator("last").fit_transform(extractor.transform(words))
H = pd.DataFrame(H, columns=extractor.get_feature_names_out())
ranking = ProbelessRanker().fit(H, noun_next).to_frame()
print(ranking[["neuron", "score", "rank"]].head(5).to_string(index=False))

# %%
# Pass the names of the neurons to ``ablate_model``. Inside the ``with`` block, they are set to
# zero.
with ablate_model(model, ranking["neuron"][:10]):
    ablated = SubwordAggregator("last").fit_transform(extractor.transform(words[:5]))
print(f"{(ablated == 0).all(axis=0).sum()} neurons are zero")

# %%
# Measure the effect on new sentences: the loss on nouns and on other words, in nats. Each ablated
# neuron is replaced by its mean, which removes only what it carries about the particular word.
test = make_tagged_words(300, random_state=2)
test = test[test["position"] > 0]  # nothing predicts the first word
started = time.perf_counter()
effect = causal_effect(
    model,
    test,
    test["upos"] == "NOUN",
    ranking["neuron"],
    steps=[0.05, 0.10, 0.20],
    n_draws=5,
    fill="mean",
    values=H.mean(),
    tokenizer=tokenizer,
    random_state=0,
)
seconds = time.perf_counter() - started
print(f"{len(test):,} words, {len(effect) // 2} measurements in {seconds:.0f} s")
effect["carries"] = np.where(effect["carries"], "nouns", "others")
print(
    effect.loc[:1, ["carries", "n_words", "loss", "top1_accuracy"]].round(3).to_string(index=False)
)
columns = ["loss_change", "top1_changed"]
print(effect.pivot_table(columns, ["which", "n_neurons"], "carries", sort=False).round(3))

# %%
# If the model predicts nouns from these neurons, ablating them raises the loss more on nouns than
# on other words.
ablated = effect[effect["which"] != "none"]
_, axes = plt.subplots(ncols=2, figsize=(8, 3), sharey=True)
for ax, (carries, rows) in zip(axes, ablated.groupby("carries"), strict=True):
    change = rows.pivot_table("loss_change", "n_neurons", "which", sort=False)
    change.plot(ax=ax, marker="o", title=carries, legend=carries == "others")
    ax.set(xlabel="neurons ablated", ylabel="change of the loss (nats)")

# Figure: Two panels, for nouns and for other words: the change of the loss grows with the number
# of neurons ablated, most for the top neurons on nouns, where the bottom neurons change little.
plt.show()
