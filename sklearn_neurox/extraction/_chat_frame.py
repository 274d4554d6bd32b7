# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import HasMethods, validate_params

from sklearn_neurox.extraction._extractor import ActivationExtractor
from sklearn_neurox.extraction._model._loading import load_tokenizer
from sklearn_neurox.extraction._text._alignment import own_tokens, shown_spans
from sklearn_neurox.extraction._text._chat_spans import (
    NotFoundError,
    as_plain,
    content_of,
    find_contents,
)
from sklearn_neurox.extraction._text._own_characters import pieces_of
from sklearn_neurox.extraction._text._roles import SPECIAL, UNALIGNED
from sklearn_neurox.extraction._text._tokenization import check_surrogates, encode
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._files._foreign_files import reason_of
from sklearn_neurox.utils._torch import is_out_of_memory
from sklearn_neurox.utils._warn_user import warn_user

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_COLUMNS = ("text", "start", "end", "word", "chat", "turn", "role")
# What chat_frame decides itself, or what would make of the template's output something else.
_RESERVED = {
    "add_generation_prompt": "pass rows='prompt_end'",
    "continue_final_message": "pass it to chat_frame itself",
    **dict.fromkeys(
        "conversation tokenize padding truncation max_length return_tensors return_dict "
        "return_assistant_tokens_mask tokenizer_kwargs sanitize_control_tokens".split(),
        "leave it out, as chat_frame needs the rendered text",
    ),
}


@validate_params(
    {
        "chats": "no_validation",
        "tokenizer": [str, os.PathLike, HasMethods(["convert_ids_to_tokens"])],
        "rows": [str, "array-like"],
        "continue_final_message": ["boolean"],
        "template_params": [dict, None],
    },
    prefer_skip_nested_validation=True,
)
def chat_frame(
    chats: Iterable[list[dict]],
    tokenizer: "str | os.PathLike | PreTrainedTokenizerBase",
    *,
    rows: str | Iterable[str] = "assistant",
    continue_final_message: bool = False,
    template_params: dict | None = None,
) -> pd.DataFrame:
    """Build a frame of the messages of conversations, one per row, as a chat model reads them.

    The tokenizer's own chat template renders each conversation. A row is the content of a message
    in the rendered text, so that an extractor reads the frame like a frame of words.

    Parameters
    ----------
    chats : iterable of list of dict
        The conversations, which may be a column of a table. A message is a dict with ``role`` and
        ``content``, and whatever else the template reads, such as ``tool_calls``. A content is a
        str or a list of parts with ``text``.

    tokenizer : str, path or PreTrainedTokenizerBase
        A tokenizer with a chat template, or the name or folder of the model whose tokenizer it is.
        It must be the one with which the activations are extracted.

    rows : str or iterable of str, default="assistant"
        The messages that get a row.

        - A role or several, such as ``"user"`` or ``["system", "user"]``: all messages with them.
        - ``"all"``: all messages.
        - ``"prompt_end"``: one row per conversation, the place from which the model would answer.
          It is the last token of the prompt, with the generation prompt that the template adds. If
          the last message is the assistant's, the prompt is what comes before that message.

    continue_final_message : bool, default=False
        Whether the last message is left open, without the tokens that would end it, as the
        beginning of an answer. With ``rows="prompt_end"``, the row is then its last token.

    template_params : dict or None, default=None
        Further keywords of ``apply_chat_template``, such as ``tools``, ``documents``,
        ``chat_template``, and variables of the template, such as ``enable_thinking``.

    Returns
    -------
    frame : DataFrame of shape (n_messages, 7)
        The columns ``text`` (the rendered conversation; categorical), ``start``, ``end`` and
        ``word``, the characters that the template wrote for the content; ``chat``, the number of
        the conversation, for ``groups=``; ``turn``, the number of the message in it, both from 0;
        and ``role``. With ``rows="prompt_end"``, ``turn`` and ``role`` are those of the answer, and
        an eighth column, ``token_index``, names the token; see `token_frame`.

    Raises
    ------
    TypeError
        If `chats` is not a list of lists of dicts, or a content is neither text nor parts.

    ValueError
        If the tokenizer has no chat template, the template refuses a conversation, no message has
        the roles, or the template changes a content so that it cannot be found: each with the
        conversation and the reason.

    Warns
    -----
    UserWarning
        If messages have no content, such as calls of tools, and therefore no row; if a template
        writes only the end of some contents, as it does when it leaves out reasoning; if
        `ActivationExtractor` would add a special token that the template does not write; or if
        conversations have more tokens than the tokenizer's ``model_max_length``.

    See Also
    --------
    token_frame : Build a frame of the tokens of texts.
    ActivationExtractor : Extracts the activations of rows.

    Notes
    -----
    To find the contents, the template renders each conversation again with marks at both ends of
    every content. A span is used only if this changes nothing else in the text. So contents that
    occur twice, that look like the template's markup, or that the template trims are found where
    the template wrote them. A template that quotes or escapes a content gets the span of what it
    wrote instead.

    The text is read as it stands: the special tokens in it are special, and a BOS token that the
    template writes is not added again. As in the model itself, this holds for a content that spells
    a special token, too.

    Examples
    --------
    >>> from transformers import AutoTokenizer
    >>> from sklearn_neurox.datasets import make_tiny_model
    >>> from sklearn_neurox.extraction import chat_frame
    >>> tokenizer = AutoTokenizer.from_pretrained(make_tiny_model("llama"))
    >>> tokenizer.chat_template = (
    ...     "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content | trim }} "
    ...     "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    ... )
    >>> chat = [{"role": "user", "content": "Yes? "}, {"role": "assistant", "content": "Yes."}]
    >>> chat_frame([chat], tokenizer, rows="all")[["start", "end", "word", "turn", "role"]]
       start  end  word  turn       role
    0     10   14  Yes?     0       user
    1     27   31  Yes.     1  assistant
    >>> chat_frame([chat], tokenizer, rows="prompt_end")[["word", "turn", "role"]]
      word  turn       role
    0    ]     1  assistant
    """
    chats = _check_chats(chats)
    params = _check_params(template_params)
    if isinstance(tokenizer, (str, os.PathLike)):
        tokenizer = load_tokenizer(ActivationExtractor(tokenizer)._spec())
    _check_template(tokenizer, params)
    render = partial(_render, tokenizer, params)
    rows = rows if isinstance(rows, str) else list(rows)
    if rows == "prompt_end":
        frame = _prompt_ends(chats, tokenizer, render, continue_final_message)
    else:
        frame = _messages(chats, _chosen(chats, rows), render, continue_final_message)
    _report_added(frame["text"].iloc[0], tokenizer)
    _report_long(frame, tokenizer)
    return frame


def _check_chats(chats):
    if isinstance(chats, str | Mapping) or not isinstance(chats, Iterable):
        raise TypeError(
            "The 'chats' parameter of chat_frame must be a list of conversations, got "
            f"{type(chats).__name__}. A conversation is a list of dicts with 'role' and 'content'."
        )
    if isinstance(table := to_pandas(chats), pd.DataFrame) and not isinstance(chats, list):
        raise TypeError(
            "The 'chats' parameter of chat_frame must be a list of conversations, got a table with "
            f"the columns {list(table.columns)}. Pass its column of conversations, such as "
            "table['messages']."
        )
    checked = []
    for n, chat in enumerate(chats if isinstance(chats, list) else table):
        if isinstance(chat, Mapping) and "role" in chat:
            raise TypeError(
                "chat_frame takes a list of conversations, but got the messages of a single one. "
                "Put it in a list: chat_frame([chat], ...)."
            )
        if isinstance(chat, str):
            raise TypeError(
                f"chat_frame: conversation {n} is a str, not a list of messages. Make each text a "
                "message: [[{'role': 'user', 'content': text}] for text in texts]."
            )
        if isinstance(chat, Mapping) or not isinstance(chat, Iterable):
            raise TypeError(
                f"chat_frame: conversation {n} is {type(chat).__name__}, not a list of dicts with "
                "'role' and 'content'. Of a dict that holds the messages, pass the messages."
            )
        chat = [as_plain(message) for message in chat]
        for turn, message in enumerate(chat):
            if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
                raise TypeError(
                    f"chat_frame: message {turn} of conversation {n} must be a dict with a 'role', "
                    f"got {message!r:.60}."
                )
            try:
                content_of(message)
            except TypeError as error:
                raise TypeError(
                    f"chat_frame cannot read message {turn} of conversation {n}: {error}."
                ) from None
        if not chat:
            raise ValueError(f"chat_frame: conversation {n} has no messages.")
        checked.append(chat)
    if not checked:
        raise ValueError("chat_frame got no conversations.")
    return checked


def _check_params(params):
    params = dict(params or {})
    reserved = [name for name in params if name in _RESERVED]
    if reserved:
        raise ValueError(
            f"The 'template_params' parameter of chat_frame contains {reserved[0]!r}; "
            f"{_RESERVED[reserved[0]]}."
        )
    return as_plain(params)


def _check_template(tokenizer, params):
    name = type(tokenizer).__name__
    if not hasattr(tokenizer, "apply_chat_template") or not (
        params.get("chat_template") or getattr(tokenizer, "chat_template", None)
    ):
        raise ValueError(
            f"chat_frame: the {name} has no chat template, as tokenizers of base models have none. "
            "Pass that of a chat model, or set tokenizer.chat_template to the template with which "
            "the model was trained."
        )


def _render(tokenizer, params, chat, **options):
    return tokenizer.apply_chat_template(chat, tokenize=False, **params, **options)


def _render_first(render, chat, number, **options):
    try:
        return render(chat, **options)
    except ImportError:  # the template language is not installed
        raise
    except Exception as error:  # a template can raise anything
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"chat_frame: the chat template refuses conversation {number}, with the roles "
            f"{[message['role'] for message in chat]}: {reason_of(error)}"
        ) from error


def _chosen(chats, rows):
    """Return the turns of each conversation that get a row."""
    if rows == "all":
        return [list(range(len(chat))) for chat in chats]
    wanted = {rows} if isinstance(rows, str) else set(rows)
    present = dict.fromkeys(message["role"] for chat in chats for message in chat)
    unknown = [role for role in wanted if role not in present]
    if unknown or not wanted:
        raise ValueError(
            f"The 'rows' parameter of chat_frame is {rows!r}, but the roles of the messages are "
            f"{list(present)}. Pass some of these, 'all' or 'prompt_end'."
        )
    return [[n for n, message in enumerate(chat) if message["role"] in wanted] for chat in chats]


def _messages(chats, chosen, render, continue_final_message):
    found, parts, empty = [], [], []
    for number, (chat, turns) in enumerate(zip(chats, chosen, strict=True)):
        run = partial(render, continue_final_message=continue_final_message)
        text = _render_first(run, chat, number)
        try:
            spans = find_contents(run, chat, text, turns)
        except NotFoundError as error:
            turn, reason = error.args
            shown = content_of(chat[turn])[:40]
            raise ValueError(
                f"chat_frame cannot find message {turn} of conversation {number} "
                f"({chat[turn]['role']}, {shown!r}) in the rendered text: the chat template "
                f"{reason}. Leave this conversation out, or choose other rows=."
            ) from None
        empty += [(number, turn) for turn in turns if turn not in spans]
        for turn, span in sorted(spans.items()):
            found.append((text, span.start, span.end, number, turn, chat[turn]["role"]))
            parts += [(number, turn)] * span.is_part
    n_asked = sum(map(len, chosen))
    if not found:
        raise ValueError(f"chat_frame: none of the {n_asked} messages has a content.")
    if empty:
        warn_user(
            f"{len(empty)} of {n_asked} messages have no content in the rendered text, and "
            f"therefore no row (the first is message {empty[0][1]} of conversation {empty[0][0]})."
        )
    if parts:
        warn_user(
            f"The chat template writes only the end of the content of {len(parts)} of {n_asked} "
            f"messages (the first is message {parts[0][1]} of conversation {parts[0][0]}), as it "
            "does when it leaves out reasoning. Their rows are what it writes."
        )
    return _frame(found)


def _prompt_ends(chats, tokenizer, render, continue_final_message):
    texts, found = [], []
    for number, chat in enumerate(chats):
        turn = len(chat) - (continue_final_message or chat[-1]["role"] == "assistant")
        options = {"add_generation_prompt": True}
        prompt = chat[:turn]
        if continue_final_message:
            prompt, options = chat, {"continue_final_message": True}
        if not prompt:
            raise ValueError(
                f"chat_frame: conversation {number} begins with its answer, which has no prompt. "
                "Leave it out."
            )
        texts.append(_render_first(render, prompt, number, **options))
        found.append((number, turn, chat[turn]["role"] if turn < len(chat) else "assistant"))
    encodings = encode(tokenizer, texts, None, split_special_tokens=False)
    own = own_tokens(encodings)
    ptr = np.searchsorted(own, encodings.ptr)
    last = np.append(own, 0)[np.maximum(ptr[1:] - 1, 0)]
    lost = np.flatnonzero((np.diff(ptr) == 0) | (encodings.start[last] == UNALIGNED))
    if len(lost):
        raise ValueError(
            f"chat_frame: the last token of the prompt of conversation {lost[0]} cannot be matched "
            f"with its characters, {texts[lost[0]][-20:]!r}. Leave this conversation out."
        )
    spans = shown_spans(encodings, last, np.array([len(text) for text in texts]))
    rows = zip(texts, *(ends.tolist() for ends in spans), *zip(*found, strict=True), strict=True)
    return _frame(list(rows)).assign(token_index=np.diff(ptr) - 1)


def _frame(rows):
    text, start, end, *others = (list(column) for column in zip(*rows, strict=True))
    check_surrogates(text, "no frame can hold", caller="chat_frame")
    word = [own[low:high] for own, low, high in zip(text, start, end, strict=True)]
    columns = [pd.Categorical(text), start, end, word, *others]
    return pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))


def _report_added(text, tokenizer):
    """Warn if an extractor would add special tokens to a text that its template does not write."""
    tokens = encode(tokenizer, [text], None, split_special_tokens=False)
    added = tokens.ids[(tokens.role == SPECIAL) & (tokens.start == tokens.end)]
    if len(added):
        warn_user(
            f"The {type(tokenizer).__name__} adds {', '.join(pieces_of(tokenizer, added))} to each "
            "text, which its chat template does not write. To read texts exactly as the template "
            "writes them, set ActivationExtractor(add_special_tokens=False)."
        )


def _report_long(frame, tokenizer):
    """Warn about conversations that are read in windows."""
    limit, texts = tokenizer.model_max_length, frame["text"].cat.categories
    # A token stands for a byte at least, so most texts need not be tokenized.
    long_texts = [text for text in texts if len(text.encode("utf-8", "surrogatepass")) > limit]
    quiet = {"add_special_tokens": False, "verbose": False}
    sizes = {text: len(tokenizer(text, **quiet)["input_ids"]) for text in long_texts}
    rows = np.flatnonzero(frame["text"].map(sizes).astype(float).to_numpy() > limit)
    if len(rows):
        warn_user(
            f"{frame['chat'].iloc[rows].nunique()} of {frame['chat'].nunique()} conversations have "
            f"more than {limit} tokens, which this tokenizer states as the limit of its model; the "
            f"first is conversation {frame['chat'].iloc[rows[0]]}. ActivationExtractor reads such "
            "texts in windows, in which the last tokens do not see the first ones. Shorten them, "
            "or set ActivationExtractor(max_length=...) if the model can read more."
        )
