# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: E501
"""Chat templates of the shapes of five model families, each with a writer in Python beside it.

A writer is written independently of the template, from the description of its format: it returns
the rendered conversation, and the span of each content in it (None if there is none).
"""

import json
from typing import NamedTuple

_CHATML = """\
{%- if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

_LLAMA = """\
{{- bos_token }}
{%- if messages[0].role == 'system' %}{% set system = messages[0].content | trim %}
{%- else %}{% set system = '' %}{% endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: ' + cutoff | default('December 2023') + '\\n\\n' + system + '<|eot_id|>' }}
{%- for m in messages %}
{%- if m.role == 'tool' %}
{{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' + (m.content | tojson) + '<|eot_id|>' }}
{%- elif m.tool_calls is defined %}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' + (m.tool_calls[0].function | tojson) + '<|eot_id|>' }}
{%- elif not (loop.first and m.role == 'system') %}
{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}
{%- endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""

_GEMMA = """\
{{- bos_token }}
{%- set ns = namespace(prefix='', first=0) %}
{%- if messages[0].role == 'system' %}{% set ns.prefix = messages[0].content + '\\n\\n' %}{% set ns.first = 1 %}{% endif %}
{%- for m in messages[ns.first:] %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}
{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + (ns.prefix if loop.first else '') }}
{{- m.content | trim }}{{ '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""

_QWEN = """\
{%- if messages[0].role == 'system' %}{{ '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{% endif %}
{%- set ns = namespace(last=0) %}
{%- for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for m in messages %}
{%- if m.role == 'user' or (m.role == 'system' and not loop.first) %}
{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- elif m.role == 'assistant' %}
{%- set content = m.content or '' %}{% set thought = '' %}
{%- if '</think>' in content %}
{%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}
{{- '<|im_start|>assistant\\n' }}
{%- if loop.index0 > ns.last and thought %}{{ '<think>\\n' + thought + '\\n</think>\\n\\n' }}{% endif %}
{{- content }}
{%- for call in m.tool_calls or [] %}
{%- if content or not loop.first %}{{ '\\n' }}{% endif %}
{{- '<tool_call>\\n' + (call.function | tojson) + '\\n</tool_call>' }}{% endfor %}
{{- '<|im_end|>\\n' }}
{%- elif m.role == 'tool' %}
{%- if messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
{{- '\\n<tool_response>\\n' + m.content + '\\n</tool_response>' }}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}
{%- endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}"""

_MISTRAL = """\
{%- set ns = namespace(system='', first=0) %}
{%- if messages[0].role == 'system' %}{% set ns.system = messages[0].content + '\\n\\n' %}{% set ns.first = 1 %}{% endif %}
{{- bos_token }}
{%- for m in messages[ns.first:] %}
{%- if m.role not in ['user', 'assistant'] %}{{ raise_exception('Only user and assistant roles are supported, got ' + m.role) }}{% endif %}
{%- if m.role == 'user' %}{{ '[INST] ' + (ns.system if loop.index0 + 2 >= loop.length else '') + m.content + '[/INST]' }}
{%- else %}{{ ' ' + m.content | trim + eos_token }}{% endif %}
{%- endfor %}"""


class Writer:
    """Collects a text, and the spans of some of its parts."""

    def __init__(self, n_messages):
        self.text, self.spans = "", [None] * n_messages

    def add(self, text, turn=None):
        if turn is not None and text:
            self.spans[turn] = (len(self.text), len(self.text) + len(text))
        self.text += text


def _write_chatml(chat, w, answer):
    if chat[0]["role"] != "system":
        w.add("<|im_start|>system\nYou are helpful.<|im_end|>\n")
    for turn, m in enumerate(chat):
        w.add(f"<|im_start|>{m['role']}\n")
        w.add(m["content"], turn)
        w.add("<|im_end|>\n")
    w.add("<|im_start|>assistant\n" * answer)


def _write_llama(chat, w, answer):
    w.add("<s><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: ")
    w.add("December 2023\n\n")
    if chat[0]["role"] == "system":
        w.add(chat[0]["content"].strip(), 0)
    w.add("<|eot_id|>")
    for turn, m in enumerate(chat):
        if turn == 0 and m["role"] == "system":
            continue
        role = "ipython" if m["role"] == "tool" else m["role"]
        w.add(f"<|start_header_id|>{role}<|end_header_id|>\n\n")
        if m["role"] == "tool":
            w.add('"')
            w.add(json.dumps(m["content"], ensure_ascii=False)[1:-1], turn)
            w.add('"')
        elif "tool_calls" in m:
            w.add(json.dumps(m["tool_calls"][0]["function"], ensure_ascii=False))
        else:
            w.add(m["content"].strip(), turn)
        w.add("<|eot_id|>")
    w.add("<|start_header_id|>assistant<|end_header_id|>\n\n" * answer)


def _write_gemma(chat, w, answer):
    w.add("<s>")
    first = int(chat[0]["role"] == "system")
    for turn, m in enumerate(chat[first:], start=first):
        w.add(f"<start_of_turn>{'model' if m['role'] == 'assistant' else 'user'}\n")
        if first and turn == 1:
            w.add(chat[0]["content"], 0)
            w.add("\n\n")
        w.add(m["content"].strip(), turn)
        w.add("<end_of_turn>\n")
    w.add("<start_of_turn>model\n" * answer)


def _write_qwen(chat, w, answer):
    """Without reasoning, which has a test of its own."""
    for turn, m in enumerate(chat):
        calls = [json.dumps(c["function"], ensure_ascii=False) for c in m.get("tool_calls") or ()]
        if m["role"] == "tool":
            if chat[turn - 1]["role"] != "tool":
                w.add("<|im_start|>user")
            w.add("\n<tool_response>\n")
            w.add(m["content"], turn)
            w.add("\n</tool_response>")
            if turn + 1 == len(chat) or chat[turn + 1]["role"] != "tool":
                w.add("<|im_end|>\n")
            continue
        w.add(f"<|im_start|>{m['role']}\n")
        w.add(m.get("content") or "", turn)
        if m.get("content") and calls:
            w.add("\n")
        w.add("\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in calls))
        w.add("<|im_end|>\n")
    w.add("<|im_start|>assistant\n" * answer)


def _write_mistral(chat, w, answer):
    w.add("<s>")
    first = int(chat[0]["role"] == "system")
    users = [turn for turn, m in enumerate(chat) if m["role"] == "user"]
    for turn, m in enumerate(chat[first:], start=first):
        if m["role"] == "user":
            w.add("[INST] ")
            if first and turn == users[-1]:
                w.add(chat[0]["content"], 0)
                w.add("\n\n")
            w.add(m["content"], turn)
            w.add("[/INST]")
        else:
            w.add(" ")
            w.add(m["content"].strip(), turn)
            w.add("</s>")


class ChatFamily(NamedTuple):
    """A template, the special tokens in it, a matching tokenizer and an independent writer."""

    template: str
    special: tuple
    tokenizer: str  # a family of `make_tiny_model`
    writer: object
    has_tools: bool = False

    def write(self, chat, *, answer=False):
        """Return the rendered conversation and the span of each content."""
        writer = Writer(len(chat))
        self.writer(chat, writer, answer)
        return writer.text, writer.spans


_IM = ("<|im_start|>", "<|im_end|>")
CHAT_FAMILIES = {
    "chatml": ChatFamily(_CHATML, _IM, "gpt2", _write_chatml),
    "llama": ChatFamily(
        _LLAMA,
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "llama",
        _write_llama,
        has_tools=True,
    ),
    "gemma": ChatFamily(_GEMMA, ("<start_of_turn>", "<end_of_turn>"), "llama", _write_gemma),
    "qwen": ChatFamily(_QWEN, _IM, "gpt2", _write_qwen, has_tools=True),
    "mistral": ChatFamily(_MISTRAL, ("[INST]", "[/INST]"), "llama", _write_mistral),
}
