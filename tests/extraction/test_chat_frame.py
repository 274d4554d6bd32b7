# SPDX-License-Identifier: BSD-3-Clause
"""Rows of conversations: the spans of contents, against writers that know each format."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.pipeline import make_pipeline
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.extraction import (
    ActivationExtractor,
    SubwordAggregator,
    chat_frame,
    token_frame,
)
from tests.extraction.chat_templates import CHAT_FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

# Contents that a search in the rendered text would not find, or find elsewhere.
CONTENTS = [
    "Dogs bark.",
    "user",
    "assistant",
    "\n",
    "  leading and trailing \n\n",
    "trailing\n",
    "\ttab",
    "<|im_start|>assistant\nNo.<|im_end|>\n",
    "[INST] hi [/INST] </s><s>",
    "<start_of_turn>model\n<end_of_turn>",
    "{{ 7 * 7 }} {% raw %} {# no #}",
    "7135902468000000 71359024680",
    "12",
    "Say \"hi\" \\ C:\\n 'x'",
    "e\u0301 中文 👍\u200d",
    "Dogs bark.",
    "You are helpful.",
    "a\r\nb\u00a0",
]


def conversations(name):
    """Conversations of all contents in all places, of the roles that the family knows."""
    for system, swap in itertools.product([False, True], [0, 1, 7]):
        chat = [{"role": "system", "content": CONTENTS[swap]}] if system else []
        for n, content in enumerate(CONTENTS[swap:]):
            chat.append({"role": ("user", "assistant")[n % 2], "content": content})
        yield chat
    yield [{"role": "user", "content": "Yes"}, {"role": "assistant", "content": "Yes"}]
    if CHAT_FAMILIES[name].has_tools:
        call = {"type": "function", "function": {"name": "f", "arguments": {"x": "Dogs bark."}}}
        yield [
            {"role": "user", "content": "Dogs bark."},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "content": '{"x": "Dogs bark.", "y": [1, 2]}\n'},
            {"role": "assistant", "content": "Dogs bark."},
        ]


def quietly(*args, **params):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* have no content in the rendered text")
        warnings.filterwarnings("ignore", ".* conversations have more than 128 tokens")
        return chat_frame(*args, **params)


@pytest.mark.parametrize("name", CHAT_FAMILIES)
def test_spans_equal_those_of_an_independent_writer(name, chat_model):
    family, (_, tokenizer) = CHAT_FAMILIES[name], chat_model(name)
    chats = list(conversations(name))
    frame = quietly(chats, tokenizer, rows="all")
    for number, chat in enumerate(chats):
        text, spans = family.write(chat)
        assert text == tokenizer.apply_chat_template(chat, tokenize=False), number
        own = frame[frame["chat"] == number]
        found = dict(zip(own["turn"], zip(own["start"], own["end"], strict=True), strict=True))
        assert (own["text"] == text).all()
        assert found == {turn: span for turn, span in enumerate(spans) if span}, number
        assert own["role"].tolist() == [chat[turn]["role"] for turn in found]
        assert own["word"].tolist() == [text[start:end] for start, end in found.values()]


@pytest.mark.parametrize("name", CHAT_FAMILIES)
def test_rows_choose_messages_by_role(name, chat_model):
    _, tokenizer = chat_model(name)
    chats = list(conversations(name))[:4]
    frame = quietly(chats, tokenizer, rows="all")
    for rows in ("assistant", "user", ["user", "system"]):
        wanted = frame[frame["role"].isin([rows] if isinstance(rows, str) else rows)]
        found = quietly(chats, tokenizer, rows=rows)
        pd.testing.assert_frame_equal(found, wanted.reset_index(drop=True), check_categorical=False)
    assert quietly(chats, tokenizer).equals(quietly(chats, tokenizer, rows="assistant"))


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAT_FAMILIES)
def test_states_equal_those_of_the_model_on_the_template_s_own_ids(name, chat_model):
    """The last token of an answer, its mean, all its tokens, and the end of the prompt."""
    family, (model, tokenizer) = CHAT_FAMILIES[name], chat_model(name)
    chats = [
        [
            {"role": "user", "content": "Do dogs bark?"},
            {"role": "assistant", "content": answer},
            {"role": "user", "content": answer},
            {"role": "assistant", "content": "The old dog barks."},
        ]
        for answer in ("Yes", "The old dog does, loudly .")
    ]
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".* for the third time")
        turns = chat_frame(chats, tokenizer)
        ends = chat_frame([chat[:3] for chat in chats], tokenizer, rows="prompt_end")
        assert ends[["chat", "turn", "role"]].to_numpy().tolist() == [
            [0, 3, "assistant"],
            [1, 3, "assistant"],
        ]
        # The prompt of a conversation that has its answer is the same.
        assert chat_frame(chats, tokenizer, rows="prompt_end").equals(ends)
        H = {s: make_pipeline(extractor, SubwordAggregator(s)).fit_transform(turns) for s in
             ("first", "last", "mean", "max")}  # fmt: skip
        at_end = make_pipeline(extractor, SubwordAggregator()).fit_transform(ends)
    for row, turn in enumerate(turns.itertuples()):
        chat = chats[turn.chat]
        ids = tokenizer.apply_chat_template(chat)["input_ids"]
        text, spans = family.write(chat)
        start, end = spans[turn.turn]
        n_before = [len(tokenizer(text[:k], add_special_tokens=False)["input_ids"]) for k in
                    (start, end)]  # fmt: skip
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids
        states = states_of(model, ids)
        if name in ("chatml", "qwen"):  # whose contents begin and end with a token
            own = states[n_before[0] : n_before[1]]
            np.testing.assert_allclose(H["first"][row], own[0], rtol=0, atol=1e-5)
            np.testing.assert_allclose(H["mean"][row], own.mean(axis=0), rtol=0, atol=1e-5)
            np.testing.assert_allclose(H["max"][row], own.max(axis=0), rtol=0, atol=1e-5)
        np.testing.assert_allclose(H["last"][row], states[n_before[1] - 1], rtol=0, atol=1e-5)
    for row, chat in enumerate(chats):
        ids = tokenizer.apply_chat_template(chat[:3], add_generation_prompt=True)["input_ids"]
        np.testing.assert_allclose(at_end[row], states_of(model, ids)[-1], rtol=0, atol=1e-5)


def states_of(model, ids):
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    return np.hstack([state[0].numpy() for state in states])


@pytest.mark.parametrize("name", CHAT_FAMILIES)
@pytest.mark.parametrize("last", ["Dogs bark", "Dogs bark ", "  Dogs bark\n"])
def test_a_final_message_may_be_left_open(name, last, chat_model):
    model, tokenizer = chat_model(name)
    chat = [{"role": "user", "content": "Dogs bark"}, {"role": "assistant", "content": last}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, continue_final_message=True)
    frame = chat_frame([chat], tokenizer, continue_final_message=True)
    assert frame["text"].tolist() == [text]
    assert frame["end"].tolist() == [len(text)]
    assert frame["word"].tolist() in ([last], [last.strip()], [last.lstrip()])
    end = chat_frame([chat], tokenizer, rows="prompt_end", continue_final_message=True)
    assert (end["text"].item(), end["end"].item(), end["turn"].item()) == (text, len(text), 1)
    H = make_pipeline(
        ActivationExtractor(model, tokenizer=tokenizer), SubwordAggregator()
    ).fit_transform(end)
    ids = tokenizer.apply_chat_template(chat, continue_final_message=True)["input_ids"]
    np.testing.assert_allclose(H[0], states_of(model, ids)[-1], rtol=0, atol=1e-5)


TRIMS = {
    "{{ m.content }}": lambda c: c,
    "{{ m.content | trim }}": str.strip,
    "{{ m.content | trim ~ '\n' }}": str.strip,
    "{{ ' ' ~ m.content.strip() ~ ' ' }}": str.strip,
    "{{ m.content.lstrip() }}": str.lstrip,
    "{{ m.content.rstrip() }}": str.rstrip,
    "{{ m.content.strip('\n') }}": lambda c: c.strip("\n"),
    "{{ m.content.lstrip(' ') ~ '  ' }}": lambda c: c.lstrip(" "),
    "{{ m.content if loop.first else m.content | trim }}": None,
}


@pytest.mark.slow
def test_a_template_may_trim_any_side_of_any_content(chat_model):
    _, tokenizer = chat_model("chatml")
    contents = ["Dogs", " Dogs", "Dogs\n", "\n  Dogs \n\n", "  \n\tDogs\n \n", "Dogs\n\nbark "]
    chat = [{"role": "user", "content": content} for content in contents]
    for body, trim in TRIMS.items():
        template = f"{{% for m in messages %}}<|im_start|>{body}<|im_end|>{{% endfor %}}"
        params = {"chat_template": template}
        frame = chat_frame([chat, chat[::-1]], tokenizer, rows="user", template_params=params)
        for row in frame.itertuples():
            content = [chat, chat[::-1]][row.chat][row.turn]["content"]
            own = trim or (str.strip if row.turn else str)
            assert row.word == own(content), (body, content)
            parts = row.text.split("<|im_start|>")[: row.turn + 1]
            lead = body.startswith("{{ ' '")
            assert row.start == len("<|im_start|>".join([*parts, ""])) + lead


def test_reasoning_that_a_template_leaves_out_belongs_to_no_row(chat_model):
    _, tokenizer = chat_model("qwen")
    thought = "<think>\nThe old dog.\n</think>\n\nYes."
    chat = [
        {"role": "user", "content": "Yes."},
        {"role": "assistant", "content": thought},
        {"role": "user", "content": "Yes."},
        {"role": "assistant", "content": thought},
    ]
    with pytest.warns(UserWarning, match="only the end of the content of 2 of 2 messages"):
        frame = chat_frame([chat], tokenizer)
    text = frame["text"].iloc[0]
    assert text == tokenizer.apply_chat_template(chat, tokenize=False)
    assert frame["word"].tolist() == ["Yes.", "The old dog.\n</think>\n\nYes."]
    assert text[frame["end"].iloc[0] :].startswith("<|im_end|>")
    assert text[: frame["start"].iloc[0]].endswith("<|im_start|>assistant\n")
    assert frame["end"].iloc[1] == len(text) - len("<|im_end|>\n")


def test_messages_without_content_have_no_row_and_are_counted(chat_model):
    _, tokenizer = chat_model("qwen")
    call = {"type": "function", "function": {"name": "f", "arguments": {}}}
    chat = [
        {"role": "user", "content": "Dogs"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": ""},
        {"role": "assistant", "content": "Bark"},
    ]
    with pytest.warns(UserWarning, match=r"1 of 2 messages have no content .* message 1 of"):
        assert chat_frame([chat], tokenizer)["turn"].tolist() == [3]
    with pytest.warns(UserWarning, match="2 of 4 messages have no content"):
        assert chat_frame([chat], tokenizer, rows="all")["turn"].tolist() == [0, 3]
    with pytest.raises(ValueError, match="none of the 1 messages has a content"):
        chat_frame([chat[:2]], tokenizer)


def test_contents_in_parts(chat_model):
    _, tokenizer = chat_model("chatml")
    template = tokenizer.chat_template.replace(
        "m.content",
        "(m.content if m.content is string else m.content | map(attribute='text') | join)",
    )
    parts = [{"type": "text", "text": "Dogs "}, {"type": "text", "text": "bark."}]
    chat = [{"role": "user", "content": parts}, {"role": "assistant", "content": "Dogs bark."}]
    frame = chat_frame([chat], tokenizer, rows="all", template_params={"chat_template": template})
    assert frame["word"].tolist() == ["Dogs bark."] * 2
    assert frame["start"].is_monotonic_increasing


def _columns_of_tables(chats):
    """Yield the conversations as columns of other libraries."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"messages": chats})
    yield "Arrow", table["messages"]
    yield "Arrow values", list(table["messages"])
    yield "arrays", table.to_pandas()["messages"]
    yield "list of arrays", table.to_pandas()["messages"].tolist()
    pl = pytest.importorskip("polars")
    yield "polars", pl.from_arrow(table)["messages"]


def test_conversations_in_columns_of_tables(chat_model):
    """Parquet yields arrays, which a template can neither test for emptiness nor write as JSON."""
    _, tokenizer = chat_model("chatml")
    template = (
        "{% for m in messages %}[{{ m.role }}]"
        "{% for part in m.content or [] %}{{ part.text }}{% endfor %}"
        "{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}{% endfor %}"
        "{% if tools %}{{ tools | tojson }}{% endif %}"
    )
    call = {"name": "bark", "arguments": [{"times": 2}, {"times": 3}]}
    chats = [
        [
            {"role": "user", "content": [{"text": "Dogs "}, {"text": "bark."}], "tool_calls": []},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "assistant", "content": [{"text": "They do."}], "tool_calls": None},
        ],
        [{"role": "assistant", "content": [{"text": "No."}], "tool_calls": [call, call]}],
    ]
    options = {"rows": "all", "template_params": {"chat_template": template}}
    with pytest.warns(UserWarning, match="1 of 4 messages have no content"):
        expected = chat_frame(chats, tokenizer, **options)
    assert expected["word"].tolist() == ["Dogs bark.", "They do.", "No."]
    assert '"arguments": [{"times": 2}, {"times": 3}]' in expected["text"].iloc[0]
    for kind, column in _columns_of_tables(chats):
        with pytest.warns(UserWarning, match="1 of 4 messages have no content"):
            frame = chat_frame(column, tokenizer, **options)
        pd.testing.assert_frame_equal(frame, expected, obj=kind)
    options["template_params"]["tools"] = np.array([{"name": "bark"}])
    with pytest.warns(UserWarning, match="1 of 4 messages have no content"):
        frame = chat_frame(chats, tokenizer, **options)
    assert frame["text"].iloc[0].endswith('[{"name": "bark"}]')


REFUSED = {
    "writes the content 2 times": "{{ m.content }}|{{ m.content }}",
    "leaves out the content": "{{ m.role }}",
    "or its end": "{{ m.content[:3] }}",
    "or rewrites it": "{{ m.content | reverse }}",
    "for another content": "{{ m.content ~ m.content | length }}",
    "refuses a content with": "{{ m.content if m.content == 'Dogs' else raise_exception(1) }}",
}


def test_a_content_that_cannot_be_found_is_an_error_with_the_reason(chat_model):
    _, tokenizer = chat_model("chatml")
    chat = [{"role": "user", "content": "Dogs"}]
    for reason, body in REFUSED.items():
        template = f"{{% for m in messages %}}{body}{{% endfor %}}"
        with pytest.raises(ValueError, match=f"message 0 of conversation 0 .*{reason}"):
            chat_frame([chat], tokenizer, rows="user", template_params={"chat_template": template})


def test_bad_input_is_named(tiny, chat_model):
    _, tokenizer = chat_model("gemma")
    chat = [{"role": "user", "content": "Dogs"}, {"role": "assistant", "content": "bark"}]
    for bad, error, match in (
        (chat, TypeError, r"messages of a single one.*chat_frame\(\[chat\]"),
        (pd.DataFrame({"m": [chat]}), TypeError, r"a table with the columns \['m'\]. Pass its col"),
        ("Dogs", TypeError, "must be a list of conversations, got str"),
        ({"messages": chat}, TypeError, "must be a list of conversations, got dict"),
        ([{"messages": chat}], TypeError, "conversation 0 is dict"),
        ([chat, []], ValueError, "conversation 1 has no messages"),
        ([], ValueError, "no conversations"),
        ([[{"content": "Dogs"}]], TypeError, "message 0 of conversation 0 must be a dict with a"),
        ([[{"role": "user", "content": 3}]], TypeError, "'content' is int, not str"),
        ([chat, chat[::-1]], ValueError, "refuses conversation 1.*must alternate"),
    ):
        with pytest.raises(error, match=match):
            chat_frame(bad, tokenizer, rows="user")
    for rows in ("system", ["user", "tool"], []):
        with pytest.raises(ValueError, match=r"roles of the messages are \['user', 'assistant'\]"):
            chat_frame([chat], tokenizer, rows=rows)
    with pytest.raises(ValueError, match="begins with its answer"):
        chat_frame([chat[1:]], tokenizer, rows="prompt_end")
    with pytest.raises(ValueError, match="has no chat template"):
        chat_frame([chat], tiny("llama"))
    for name in ("add_generation_prompt", "tokenize", "continue_final_message"):
        with pytest.raises(ValueError, match=f"contains '{name}'"):
            chat_frame([chat], tokenizer, template_params={name: True})


def test_a_tokenizer_that_adds_what_its_template_does_not_write_is_reported(chat_model):
    model, tokenizer = chat_model("llama")
    template = CHAT_FAMILIES["chatml"].template
    chat = [{"role": "user", "content": "Dogs"}, {"role": "assistant", "content": "bark"}]
    params = {"chat_template": template}
    with pytest.warns(UserWarning, match=r"adds <s> to each text.*add_special_tokens=False"):
        frame = chat_frame([chat], tokenizer, template_params=params)
    extractor = ActivationExtractor(model, tokenizer=tokenizer, add_special_tokens=False)
    plan = extractor.transform(frame)
    ids = tokenizer.apply_chat_template(chat, **params)["input_ids"]
    assert plan._source.sequences.ids.tolist() == ids


def test_a_frame_survives_slices_merges_and_files(chat_model, tmp_path):
    model, tokenizer = chat_model("chatml")
    frame = quietly(list(conversations("chatml"))[-1:] * 3, tokenizer, rows="all")
    extractor = make_pipeline(ActivationExtractor(model, tokenizer=tokenizer), SubwordAggregator())
    H = extractor.fit_transform(frame)
    frame.to_csv(tmp_path / "turns.csv", index=False)
    read = pd.read_csv(tmp_path / "turns.csv")
    np.testing.assert_array_equal(extractor.fit_transform(read), H)
    np.testing.assert_array_equal(extractor.fit_transform(frame[::-1][:4]), H[::-1][:4])


@pytest.mark.slow
def test_conversations_of_a_real_decoder(decoder):
    """Answer, last token, prompt end and tokens, one text at a time."""
    tokenizer, model = AutoTokenizer.from_pretrained(decoder), AutoModel.from_pretrained(decoder)
    chats = [
        [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": "Do dogs bark?"},
            {"role": "assistant", "content": "Yes, dogs bark loudly."},
        ],
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi"}],
    ]
    turns, ends = chat_frame(chats, tokenizer), chat_frame(chats, tokenizer, rows="prompt_end")
    tokens = token_frame(turns["text"], tokenizer)
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[5, 15, 30])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* attention sink")
        H = {
            name: SubwordAggregator(strategy).fit_transform(extractor.transform(rows))
            for name, rows, strategy in (
                ("last", turns, "last"),
                ("mean", turns, "mean"),
                ("ends", ends, "last"),
                ("tokens", tokens, "last"),
            )
        }
    for row, chat in enumerate(chats):
        ids = tokenizer.apply_chat_template(chat)["input_ids"]
        prompt = tokenizer.apply_chat_template(chat[:-1], add_generation_prompt=True)["input_ids"]
        assert ids[: len(prompt)] == prompt
        n_answer = len(tokenizer(chat[-1]["content"])["input_ids"])
        answer = slice(len(prompt), len(prompt) + n_answer)
        with torch.no_grad():
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        for k, layer in enumerate((5, 15, 30)):
            state, own = states[layer][0].numpy(), slice(576 * k, 576 * (k + 1))
            largest = np.abs(state).max()
            for name, wanted in (
                ("last", state[answer][-1]),
                ("mean", state[answer].mean(axis=0)),
                ("ends", state[len(prompt) - 1]),
            ):
                assert np.abs(H[name][row, own] - wanted).max() < 1e-5 * largest, (name, layer)
            of_tokens = H["tokens"][tokens["sentence_id"] == row][:, own]
            assert np.abs(of_tokens - state).max() < 1e-5 * largest
