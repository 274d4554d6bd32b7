# SPDX-License-Identifier: BSD-3-Clause
"""The ends of prompts are tokens of a chat template: messages say which words to pass."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.ablation import causal_effect
from sklearn_neurox.ablation._causal._inputs import report_prompt_ends
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.evaluation import baseline_table, control_labels, selectivity_score
from sklearn_neurox.extraction import ActivationExtractor, chat_frame, token_frame

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]\n{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]\n{% endif %}"
)
NAMES = ["old dog", "old cat", "new dog", "new cat", "big dog", "big cat"]
PROMPTS = [f"Is the {name} {end}" for name in NAMES for end in ("here?", "there.")]
Y = np.tile(["question", "statement"], 6)
GROUPS = np.repeat(range(6), 2)
X = np.random.RandomState(0).randn(12, 3)


@pytest.fixture(scope="module")
def chatting(tmp_path_factory):
    from transformers import AutoTokenizer

    folder = make_tiny_model("llama", path=tmp_path_factory.mktemp("chat"), hidden_size=16)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    return folder, tokenizer


@pytest.fixture(scope="module")
def ends(chatting):
    chats = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    frame = chat_frame(chats, chatting[1], rows="prompt_end")
    assert not frame["word"].str.strip().any()
    return frame


def test_strings_are_no_conversations_but_the_remedy_is(chatting):
    with pytest.raises(TypeError, match=r"conversation 0 is a str.*'role': 'user'"):
        chat_frame(PROMPTS, chatting[1], rows="user")
    chats = [[{"role": "user", "content": text}] for text in PROMPTS]
    assert chat_frame(chats, chatting[1], rows="user")["word"].tolist() == PROMPTS


def test_conversations_beyond_the_limit_are_counted(chatting):
    """Their last tokens do not see their first ones, in which they may differ."""
    tokenizer = chatting[1]
    texts = ["The old dog " + "barks " * 200, "Dogs bark", "The new dog " + "barks " * 200]
    chats = [[{"role": "user", "content": text}] for text in texts]
    for rows in ("user", "prompt_end"):
        with pytest.warns(
            UserWarning, match=r"^2 of 3 conversations .* 128 tokens.*conversation 0"
        ):
            chat_frame(chats, tokenizer, rows=rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # More bytes than the limit, but fewer tokens.
        longer = [[{"role": "user", "content": "the dog " * 30}]]
        frame = chat_frame(longer, tokenizer, rows="user")
    n_tokens = len(tokenizer(str(frame["text"][0]), add_special_tokens=False)["input_ids"])
    assert n_tokens <= 128 < len(frame["text"][0])


@pytest.mark.slow
def test_baselines_of_prompts(ends):
    given = {"groups": GROUPS, "cv": 3}
    with pytest.raises(ValueError, match=r"'characters'.*white space.*the list of prompts"):
        baseline_table(ends, Y, **given)
    names = ["majority", "probe"]
    found = baseline_table(
        ends, Y, estimator=LogisticRegression(), X=X, baselines=names, random_state=0, **given
    )
    assert found["name"].tolist() == names
    scores = baseline_table(PROMPTS, Y, **given).set_index("name")["score"]
    assert scores["majority"] == 0.5 and scores["characters"] == 1


def test_control_labels_of_prompts(ends):
    with pytest.warns(UserWarning, match=r"All 12 rows have the same type, '\\n'"):
        assert control_labels(ends, Y).nunique() == 1
    given = {"groups": GROUPS, "cv": 3}
    with pytest.raises(ValueError, match=r"all rows have the same type, '\\n'.*the prompts"):
        selectivity_score(LogisticRegression(), X, Y, types=ends["word"], **given)
    scores = selectivity_score(LogisticRegression(), X, Y, types=PROMPTS, **given)
    assert (scores["seen"] == 0).all()


@pytest.mark.slow
def test_the_effect_on_answers_is_that_on_the_next_token(chatting, ends):
    """An answer is scored at the last token of its prompt, which itself is not an answer."""
    import torch
    from transformers import AutoModelForCausalLM

    folder, tokenizer = chatting
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1])
    units = [f"hidden.1.{unit}" for unit in range(16)]
    asked = {"steps": [4], "which": "top", "return_words": True}
    with pytest.warns(UserWarning, match=r"the ends of prompts.*rows='assistant'"):
        causal_effect(extractor, ends, Y, units, positive="question", **asked)
    answer = {"role": "assistant", "content": "Yes"}
    chats = [[{"role": "user", "content": prompt}, answer] for prompt in PROMPTS]
    rows = chat_frame(chats, tokenizer, rows="assistant")
    a, b = 5, 9
    _, of_words = causal_effect(
        extractor, rows, Y, units, positive="question",
        metric=lambda logits, _: logits[:, a] - logits[:, b], **asked,
    )  # fmt: skip
    before = of_words.loc[of_words["which"] == "none", "metric"]
    expected = []
    for text in ends["text"].astype(str):
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            logits = model(**ids).logits[0, -1]
        expected.append(float(logits[a] - logits[b]))
    np.testing.assert_allclose(before, expected, atol=1e-5)


def test_tokens_inside_conversations_are_no_ends_of_prompts(chatting, ends):
    tokens = token_frame(ends["text"].astype(str).unique(), chatting[1])
    names = ends[["text", "chat", "turn", "role"]].astype({"text": str})
    tokens = tokens.astype({"text": str}).merge(names, on="text")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report_prompt_ends(tokens)
        report_prompt_ends(tokens.groupby("chat").nth(3))
    with pytest.warns(UserWarning, match="the ends of prompts"):
        report_prompt_ends(ends)


@pytest.mark.slow
def test_a_moved_model_is_found_at_its_new_path(tmp_path):
    from sklearn.pipeline import make_pipeline

    from sklearn_neurox.extraction import SubwordAggregator

    old = make_tiny_model("gpt2", path=tmp_path / "old", hidden_size=16)
    pipe = make_pipeline(ActivationExtractor(old, layers=[1]), SubwordAggregator("last"))
    expected = pipe.fit_transform(PROMPTS)
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(ValueError, match=r"has moved.*set_params\(activationextractor__model=path"):
        pipe.transform(PROMPTS)
    found = pipe.set_params(activationextractor__model=str(tmp_path / "new")).transform(PROMPTS)
    np.testing.assert_array_equal(found, expected)
