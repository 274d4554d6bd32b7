# SPDX-License-Identifier: BSD-3-Clause
"""
Steer a model toward a class of words
=====================================

If a direction in the states of a model means "an adjective comes next", pushing the states along
it should make the model say more adjectives, and pushing them the other way, fewer. This script
trains a tiny causal language model on generated sentences, takes the direction from a probe, and
counts adjectives in what the steered model writes, with random directions as a control. You learn
to steer a model while it generates, and to check that it is the direction that does it.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox import ActivationExtractor, MeanDifferenceProbeClassifier, SubwordAggregator
from sklearn_neurox.ablation import steer_model
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model

# %%
# A two-layer GPT-2, trained for a few seconds to predict the next token.
path = make_tiny_model("gpt2", hidden_size=64, n_heads=4, vocab_size=1000, random_state=0)
tokenizer = AutoTokenizer.from_pretrained(path)
tokenizer.pad_token = tokenizer.eos_token
train = make_tagged_words(3000, random_state=0)
texts = train["text"].astype(str).unique().tolist()
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
# The direction: the mean state of words before an adjective minus that of all other words. These
# are sentences that the model has not seen.
words = make_tagged_words(400, random_state=1)
is_adjective = words["upos"] == "ADJ"
same_text = words["position"].shift(-1, fill_value=0) > 0
adjective_next = is_adjective.shift(-1, fill_value=False) & same_text
extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1])
aggregator = SubwordAggregator("last").set_output(transform="pandas")
H = aggregator.fit_transform(extractor.transform(words))
probe = MeanDifferenceProbeClassifier().fit(H, adjective_next)
print(f"{len(H):,} words, {adjective_next.mean():.1%} of them before an adjective")

# %%
# What the model writes after the beginnings of new sentences, and the share of adjectives in it.
test = make_tagged_words(300, random_state=2)
third = test[test["position"] == 2]
ends = zip(third["text"].astype(str), third["end"], strict=True)
prompts = [text[:end] for text, end in ends]
batch = tokenizer(prompts, padding=True, padding_side="left", return_tensors="pt")
adjectives = set(train.loc[train["upos"] == "ADJ", "word"].str.lower())


def share_of_adjectives():
    """Let the model continue all prompts, and count the adjectives among its words."""
    torch.manual_seed(0)
    ids = model.generate(
        **batch, max_new_tokens=8, do_sample=True, pad_token_id=tokenizer.pad_token_id
    )
    written = tokenizer.batch_decode(
        ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
    )
    said = " ".join(written).lower().split()
    return np.mean([word in adjectives for word in said])


# %%
# Steer the model: ``strength`` is in units of each state's own norm. The random directions move the
# states equally far, so an effect that they do not have is due to the direction of the probe.
rng = np.random.default_rng(0)
rows = []
for strength in (-0.4, -0.2, 0.0, 0.2, 0.4):
    with steer_model(model, probe, strength=strength):
        rows.append(("adjective next", strength, share_of_adjectives()))
    for _ in range(3):
        random = pd.Series(rng.normal(size=H.shape[1]), index=H.columns)
        with steer_model(model, random, strength=strength):
            rows.append(("random", strength, share_of_adjectives()))
shares = pd.DataFrame(rows, columns=["direction", "strength", "adjectives"])
table = shares.pivot_table("adjectives", "strength", "direction")
print(table.round(3))
# Figure: The share of adjectives against the strength of steering: it rises from about .07 to .15
# along the direction of the probe, and stays near .11 along random directions.
ax = table.plot(marker="o", ylabel="share of adjectives")

# %%
# It is also possible to steer only what the model generates, so that it reads the prompt unchanged.
with steer_model(model, probe, strength=0.4, positions="generated"):
    print(f"{share_of_adjectives():.3f} with the prompt left alone")

plt.show()
