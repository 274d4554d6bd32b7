# SPDX-License-Identifier: BSD-3-Clause
"""
What does a chat model know before it answers?
==============================================

Users ask about things, and a probe reads from the model what kind of thing each question is about:
at the end of the question, at the end of the prompt, where the answer begins, and at the last token
of the answer. You learn to turn conversations into rows, to read them with a prefix, and to keep
all conversations about one thing in the same fold.

The script reads the chat model in the folder that the environment variable
``SKLEARN_NEUROX_DECODER`` names. If it is not set, the model is a tiny random one, which knows
nothing, so expect chance (0.25).
"""

import os

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from transformers import AutoConfig, AutoTokenizer

from sklearn_neurox import ActivationExtractor, ElasticNetProbeClassifier, SubwordAggregator
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import chat_frame

# %%
path = os.environ.get("SKLEARN_NEUROX_DECODER")
folder = path or make_tiny_model("llama", n_layers=4, hidden_size=64, random_state=0)
tokenizer = AutoTokenizer.from_pretrained(folder)
n_layers = AutoConfig.from_pretrained(folder).num_hidden_layers
print(f"{'a chat model' if path else 'a tiny random model'} with {n_layers} layers")
if tokenizer.chat_template is None:
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}{{ eos_token }}"
        "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )

# %%
# Two conversations about each thing. The answers say nothing about the kind.
THINGS = {
    "animal": "dog horse tiger eagle salmon spider goat whale rabbit snake",
    "food": "bread cheese soup apple rice cake butter honey pasta salad",
    "tool": "hammer saw drill shovel axe wrench knife ladder brush scissors",
    "clothing": "shirt coat hat glove scarf sock boot dress jacket belt",
}
QUESTIONS = ["Tell me about the {}, please.", "I saw a {} yesterday. Have you seen one?"]
chats, kinds, things = [], [], []
for kind, names in THINGS.items():
    for name in names.split():
        for question in QUESTIONS:
            user = {"role": "user", "content": question.format(name)}
            chats.append([user, {"role": "assistant", "content": "I am happy to help you."}])
            kinds.append(kind)
            things.append(name)
print(tokenizer.apply_chat_template(chats[0], tokenize=False))

# %%
# One row per conversation, at three places. ``turns`` has the columns chat, turn and role, so
# labels are easy to assign however many messages there are.
places = {
    "end of the question": chat_frame(chats, tokenizer, rows="user"),
    "end of the prompt": chat_frame(chats, tokenizer, rows="prompt_end"),
    "end of the answer": chat_frame(chats, tokenizer, rows="assistant"),
}
turns = places["end of the answer"]
print(turns[["chat", "turn", "role", "word"]].head(3).to_string(index=False))

# %%
# Things of the test fold are new to the probe.
layers = [n_layers // 2, n_layers - 1]
extractor = ActivationExtractor(folder, tokenizer=tokenizer, layers=layers)
features = make_pipeline(extractor, SubwordAggregator("last")).set_output(transform="pandas")
probe = ElasticNetProbeClassifier(alpha=3e-2, l1_ratio=0.2, random_state=0)
accuracy = pd.DataFrame(columns=layers, index=list(places), dtype=float)
for place, rows in places.items():
    H = features.fit_transform(rows)
    y = [kinds[chat] for chat in rows["chat"]]
    groups = [things[chat] for chat in rows["chat"]]
    for layer in layers:
        own = H.filter(regex=rf"^hidden\.{layer}\.")
        scores = cross_val_score(probe, own, y, groups=groups, cv=GroupKFold(5))
        accuracy.loc[place, layer] = scores.mean()
        print(f"{place:20} layer {layer:2}: accuracy {scores.mean():.2f}")

# %%
# The dotted line is chance.

# Figure: Bars of accuracy at the end of the question, of the prompt and of the answer, for two
# layers. With a chat model, all are far above the dotted line that marks chance at .25, and
# highest at the end of the question; with a random model, none is above it.
ax = accuracy.rename_axis(columns="layer").plot.bar(rot=0, ylabel="accuracy", ylim=(0, 1.2))
ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
ax.legend(title="layer", ncols=2, loc="upper right")
ax.axhline(1 / len(THINGS), color="black", linestyle=":")

plt.show()
