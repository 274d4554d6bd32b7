# SPDX-License-Identifier: BSD-3-Clause
"""Special tokens around a text: added, left out, or already there."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import processors
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator, TorchModel

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

# The beginning and end that the tokenizer of each family adds.
ADDED = {
    "bert": ("[CLS]", "[SEP]"),
    "roberta": ("<s>", "</s>"),
    "modernbert": ("[CLS]", "[SEP]"),
    "xlm-roberta": ("<s>", "</s>"),
    "llama": ("<s>", ""),
    "gpt2": ("", ""),
    "byt5": ("", "</s>"),
    "canine": ("\ue000", "\ue001"),
    "marian": ("", "</s>"),
}
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }} {{ eos_token }}"
    "{% endfor %}"
)


def ids_of(plan):
    return plan._source.sequences.ids.tolist()


def read(path, texts, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ActivationExtractor(path, **params).transform(texts)


@pytest.mark.parametrize("family", ADDED)
def test_each_choice_reads_the_ids_of_the_tokenizer(family, tiny):
    path = tiny(family)
    tokenizer = AutoTokenizer.from_pretrained(path)
    begin, end = ADDED[family]
    plain = "The old dog"
    texts = [plain, *([f"{begin}{plain}", f"{begin}{plain}{end}"] if begin else [])]
    for text in texts:
        bare = tokenizer(text, add_special_tokens=False)["input_ids"]
        full = tokenizer(text)["input_ids"]
        assert ids_of(read(path, [text], add_special_tokens=False)) == bare, text
        assert ids_of(read(path, [text], add_special_tokens=True)) == full, text
        wanted = bare if text != plain else full
        assert ids_of(read(path, [text], add_special_tokens="auto")) == wanted, text
    assert ids_of(read(path, texts)) == ids_of(read(path, texts, add_special_tokens="auto"))


@pytest.mark.slow
@pytest.mark.parametrize("family", [f for f, (begin, _) in ADDED.items() if begin])
def test_a_text_with_its_own_beginning_equals_the_text_without(family, tiny):
    """Words, means, and the token of the whole text are those of the plain text."""
    path = tiny(family)
    begin, end = ADDED[family]
    begin += " " if family == "llama" else ""  # whose first word would lack its space
    plain, rendered = "The old dog", f"{begin}The old dog{end}"
    for strategy in ("first", "mean", "max"):
        left, right = (
            read(path, [text], special_tokens=True).pool(strategy) for text in (plain, rendered)
        )
        np.testing.assert_allclose(left, right, rtol=0, atol=1e-6)
    if family != "llama":
        left, right = (read(path, [text]).pool("cls") for text in (plain, rendered))
        np.testing.assert_allclose(left, right, rtol=0, atol=1e-6)
    spans = [(0, 3), (4, 7), (8, 11)]
    rows = [(plain, s, e) for s, e in spans]
    rows += [(rendered, s + len(begin), e + len(begin)) for s, e in spans]
    frame = pd.DataFrame(rows, columns=["text", "start", "end"])
    H = read(path, frame).pool("last")
    np.testing.assert_allclose(H[:3], H[3:], rtol=0, atol=1e-6)


def test_a_row_may_be_the_special_token_that_the_text_spells(tiny):
    frame = pd.DataFrame({"text": ["<s>The dog"] * 2, "start": [0, 3], "end": [3, 6]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = ActivationExtractor(tiny("llama")).transform(frame)
    assert plan._position.tolist()[0] == 0
    assert plan.n_subwords[0] == 1


@pytest.mark.parametrize("kind", ["llama", "gemma"])
def test_texts_of_a_chat_template_are_read_as_they_stand(kind, tiny):
    """Equal to the ids and states that the template itself gives, without a warning."""
    path = tiny("llama")
    tokenizer = AutoTokenizer.from_pretrained(path)
    if kind == "gemma":  # BOS from a post-processor, where Llama's tokenizer has a flag
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", tokenizer.bos_token_id)]
        )
    tokenizer.chat_template = TEMPLATE
    model = AutoModel.from_pretrained(path)
    chat = [
        {"role": "user", "content": "Dogs bark"},
        {"role": "assistant", "content": "The old dog"},
        {"role": "user", "content": "Dogs bark"},
    ]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    ids = tokenizer.apply_chat_template(chat, tokenize=True)["input_ids"]
    assert text.startswith("<s>") and ids.count(tokenizer.bos_token_id) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = ActivationExtractor(model, tokenizer=tokenizer, special_tokens=True).transform(
            [text]
        )
        H = SubwordAggregator("last").fit_transform(plan)
    assert ids_of(plan) == ids
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    wanted = np.hstack([state[0, -1].numpy() for state in states])
    np.testing.assert_allclose(H[0], wanted, rtol=0, atol=1e-5)


def test_windows_repeat_the_beginning_of_the_text(tiny):
    path = tiny("llama")
    text = " ".join(["The old dog saw the house ."] * 8)
    left = read(path, [text], max_length=20)
    right = read(path, [f"<s>{text}"], max_length=20)
    assert len(left._source.sequences) > 2
    assert [
        w[0] for w in np.split(right._source.sequences.ids, right._source.sequences.ptr[1:-1])
    ] == [AutoTokenizer.from_pretrained(path).bos_token_id] * len(right._source.sequences)
    np.testing.assert_array_equal(left._source.sequences.lengths[0], 20)


def test_pairs_keep_their_special_tokens(tiny):
    frame = pd.DataFrame({"text": ["[CLS] Dogs"], "text_pair": ["bark"]})
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert"))
    both = tokenizer("[CLS] Dogs", "bark")["input_ids"]
    assert ids_of(read(tiny("bert"), frame)) == both
    bare = tokenizer("[CLS] Dogs", "bark", add_special_tokens=False)["input_ids"]
    assert ids_of(read(tiny("bert"), frame, add_special_tokens=False)) == bare


def test_split_special_tokens_leaves_nothing_to_begin_with(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny("llama"))
    plan = read(tiny("llama"), ["<s>The dog"], split_special_tokens=True)
    assert ids_of(plan) == tokenizer("<s>The dog", split_special_tokens=True)["input_ids"]


@pytest.mark.slow
def test_the_cache_keeps_the_choices_apart(tiny, tmp_path):
    texts = ["<s>The old dog", "Dogs bark"]
    for add in ("auto", True, False, "auto"):
        fresh = read(tiny("llama"), texts, add_special_tokens=add).pool("mean")
        for _ in range(2):
            plan = read(tiny("llama"), texts, add_special_tokens=add, cache=tmp_path)
            np.testing.assert_allclose(plan.pool("mean"), fresh, rtol=0, atol=1e-5)


def test_a_module_with_its_own_encode_refuses_a_choice():
    module = torch.nn.Sequential(torch.nn.Embedding(9, 4))
    model = TorchModel(module, lambda text: ([1], [(0, len(text))]))
    extractor = ActivationExtractor(model, component="module:0")
    assert extractor.transform(["a"]).pool("last").shape == (1, 4)
    with pytest.raises(ValueError, match="add_special_tokens=False has no effect"):
        extractor.set_params(add_special_tokens=False).transform(["a"])
