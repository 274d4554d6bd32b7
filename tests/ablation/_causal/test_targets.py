# SPDX-License-Identifier: BSD-3-Clause
"""Encoder-decoders that say a target: positions, directions and labels of either stack."""

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_neurox.ablation import ConceptEraser, ablate_model, causal_effect
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.words import words_frame
from tests.ablation._causal.one_text import MEASURES, at, random_model, setting
from tests.ablation.hooks import Hooked
from tests.extraction.families import WIDTH

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
]

SOURCES = words_frame([["The", "old", "dog"], ["She", "saw", "dogs"]])
TARGETS = words_frame([["the", "man", "barked"]])


def pairs():
    """Return two texts with the same target, and the first text with another one, too."""
    shared = pd.concat([TARGETS] * 2, ignore_index=True)
    frame = pd.DataFrame({name: SOURCES[name] for name in ("text", "start", "end")})
    frame = frame.astype({"text": str}).assign(
        target=shared["text"].astype(str),
        target_start=shared["start"],
        target_end=shared["end"],
    )
    again = frame[:3].assign(target="a man barks", target_start=[0, 2, 6], target_end=[1, 5, 11])
    return pd.concat([frame, again], ignore_index=True)


WORDS = pairs()
Y = np.array([True, False, True, False, True, False, True, True, False])


@pytest.fixture(scope="module")
def marian(tmp_path_factory):
    stacks = {"encoder.": "model.encoder", "decoder.": "model.decoder"}
    return random_model("marian", "MarianMTModel", stacks, tmp_path_factory.mktemp("marian"))


def names_of(prefix):
    return [f"{prefix}hidden.1.{unit}" for unit in range(WIDTH)]


def check(marian, what, options, states_of, which):
    options = {"return_words": True, "tokenizer": marian.tokenizer, "random_state": 0} | options
    for size in (2048, 8):  # with padding, and one by one
        _, found = causal_effect(marian.model, WORDS, Y, what, max_batch_tokens=size, **options)
        found = found[found["which"] == which]
        expected = marian.measures(WORDS, states_of)
        np.testing.assert_allclose(found[MEASURES], expected, rtol=1e-5, atol=1e-5)
    assert expected["kl"].max() > 1e-5
    return expected["kl"].to_numpy()


def test_rows_of_one_target_belong_to_their_text(marian):
    zero = setting(range(5), 0.0)
    for rows in ([1], [1, 5], [0, 4, 8]):
        for prefix in ("encoder.", "decoder."):
            positions = WORDS.iloc[rows]

            def states_of(word, prefix=prefix, positions=positions):
                tokens = marian.chosen(prefix, positions, word)
                return {(prefix, "hidden", 1): at(tokens, zero)}

            options = {"which": "top", "steps": [5], "positions": positions}
            kl = check(marian, names_of(prefix)[:5], options, states_of, "top")
            if prefix == "decoder.":  # a word depends on those before it in its own target
                keys = ["text", "target"]
                touched = pd.MultiIndex.from_frame(WORDS[keys]).isin(
                    pd.MultiIndex.from_frame(positions[keys])
                )
                assert (kl[~touched] < 1e-6).all()


def test_both_stacks_at_once(marian):
    positions = WORDS.iloc[[1, 4]]
    zero = setting(range(WIDTH), 0.0)

    def states_of(word):
        return {
            (prefix, "hidden", 1): at(marian.chosen(prefix, positions, word), zero)
            for prefix in ("encoder.", "decoder.")
        }

    what = ["encoder.hidden.1.*", "decoder.hidden.1.*"]
    options = {"which": "top", "steps": [1.0], "positions": positions}
    check(marian, what, options, states_of, "top")


def test_directions_and_states_of_other_rows(marian):
    direction = np.random.RandomState(0).normal(size=WIDTH)
    unit = torch.tensor(direction / np.linalg.norm(direction))
    for prefix, rows, others in (("encoder.", [2, 4], [4, 2]), ("decoder.", [1, 4], [7, 1])):
        key = (prefix, "hidden", 1)
        positions = WORDS.iloc[rows]
        what = pd.Series(direction, index=names_of(prefix))

        def projected(word, key=key, positions=positions):
            tokens = marian.chosen(key[0], positions, word)
            return {key: at(tokens, lambda h: h - (h.double() @ unit)[:, None] * unit)}

        check(marian, what, {"which": "each", "positions": positions}, projected, "each")
        values = WORDS.iloc[others]
        n_tokens = [
            [len(marian.tokens(row, prefix)) for row in x.iloc] for x in (positions, values)
        ]
        assert n_tokens[0] == n_tokens[1]
        states = {
            row: marian.state(key, other) for row, other in zip(rows, values.iloc, strict=True)
        }

        def patched(word, key=key, states=states):
            changes = {}
            for row, state in states.items():
                tokens = marian.chosen(key[0], WORDS.iloc[[row]], word)
                if tokens:
                    changes[key] = at(tokens, lambda h, state=state: state)
            return changes

        options = {"fill": "interchange", "positions": positions, "values": values}
        check(
            marian,
            [f"{prefix}hidden.1.*"],
            options | {"which": "each", "by": "layer"},
            patched,
            "each",
        )


@pytest.mark.parametrize("has_spans", [True, False])
def test_labels_come_back_to_the_words_of_the_stack(marian, has_spans):
    rng = np.random.RandomState(0)
    words = WORDS if has_spans else WORDS.drop(columns=["start", "end"])
    for prefix in ("encoder.", "decoder."):
        X = pd.DataFrame(rng.normal(size=(60, WIDTH)) + 1.0, columns=names_of(prefix))
        labels = np.arange(60) % 3 == 0
        eraser = ConceptEraser().fit(X, labels)
        options = {"tokenizer": marian.tokenizer, "return_words": True, "n_draws": 1}
        y = Y
        if prefix == "encoder." and has_spans:
            # The encoder reads the words of the first text under two targets.
            with pytest.raises(ValueError, match="row 1 and row 7 are the same word .'old'"):
                causal_effect(marian.model, words, Y, eraser, **options)
            y = np.append(Y[:6], Y[:3])
        effect, found = causal_effect(marian.model, words, y, eraser, **options)
        if prefix == "encoder." and not has_spans:
            assert set(effect["which"]) == {"none", "all", "random"}
            with pytest.raises(ValueError, match="'gold'.*encoder does not read the targets"):
                causal_effect(marian.model, words, Y, eraser, which="gold", **options)
            continue
        mean, D, R = map(torch.tensor, (eraser.mean_, eraser.directions_, eraser.readouts_))
        X = torch.tensor(X.to_numpy())
        back = {label: (X[labels == label].mean(0) - mean) @ R.T @ D for label in (True, False)}

        def erased(word, prefix=prefix, back=back, mean=mean, D=D, R=R, y=y):
            def change(state):
                new = state.double() - (state.double() - mean) @ R.T @ D
                done = set()
                for number in range(len(WORDS)):
                    for token in marian.chosen(prefix, WORDS.iloc[[number]], word):
                        new[token] += 0 if token in done else back[bool(y[number])]
                        done.add(token)
                return new.to(state.dtype)

            return {(prefix, "hidden", 1): change}

        found = found[found["which"] == "gold"]
        expected = marian.measures(WORDS, erased)
        np.testing.assert_allclose(found[MEASURES], expected, rtol=1e-5, atol=1e-5)


def test_one_source_word_is_set_while_translating(marian):
    """Set neurons of one word of the source, as Bau et al. (ICLR 2019) do."""
    model, tokenizer = marian.model, marian.tokenizer
    texts = ["The old dog", "She saw dogs in the house"]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    row = words_frame([text.split() for text in texts]).iloc[[4]]  # "saw"
    (token,) = marian.tokens(row.iloc[0])
    extractor = ActivationExtractor(model, tokenizer=tokenizer)

    def set_units(state):
        state = state.clone()
        state[:, [3, 5]] = torch.tensor([4.0, -2.0])
        return state

    def chosen(past, shape):
        there = torch.zeros(shape, dtype=torch.bool)
        there[1, token] = True
        return there

    names = ["encoder.hidden.1.3", "encoder.hidden.1.5"]
    setting = {"fill": "mean", "values": [4.0, -2.0], "positions": row}
    block = model.model.encoder.layers[0]
    for n_beams in (1, 2):
        options = {"max_new_tokens": 4, "num_beams": n_beams, "do_sample": False}
        options |= {"output_logits": True, "return_dict_in_generate": True}
        with torch.no_grad(), Hooked(block, "output", set_units, chosen).applied() as hooked:
            expected = model.generate(**batch, **options)
        assert hooked.n_changed == 1
        with ablate_model(extractor, names, **setting):
            found = model.generate(**batch, **options)
        assert torch.equal(found.sequences, expected.sequences)
        assert all(map(torch.equal, found.logits, expected.logits))
        plain = model.generate(**batch, **options)
        one = slice(n_beams, None)  # the second text alone has changed
        assert torch.equal(found.logits[0][: one.start], plain.logits[0][: one.start])
        assert not torch.equal(found.logits[0][one], plain.logits[0][one])


def test_generation_with_beams_and_given_states(marian):
    model, tokenizer = marian.model, marian.tokenizer
    inputs = tokenizer(["The old dog"], return_tensors="pt")
    target = tokenizer(["the man barked"], return_tensors="pt")["input_ids"]
    start = torch.tensor([[model.config.decoder_start_token_id]])
    given = {"decoder_input_ids": torch.cat([start, target[:, :-1]], dim=1)}
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    encoded = model.get_encoder()(**inputs)
    with torch.no_grad(), ablate_model(extractor, ["decoder.hidden.1.*"], positions=WORDS[:3]):
        expected = model(**inputs, **given).logits
        # What the encoder returned in this context is known.
        again = model.get_encoder()(**inputs)
        found = model(encoder_outputs=again, **given).logits
        assert torch.equal(found, expected)
        twice = {"decoder_input_ids": given["decoder_input_ids"].repeat(2, 1)}
        beams = type(again)(last_hidden_state=again.last_hidden_state.repeat_interleave(2, dim=0))
        found = model(encoder_outputs=beams, **twice).logits
        torch.testing.assert_close(found, expected.repeat(2, 1, 1))
        changed = type(encoded)(last_hidden_state=encoded.last_hidden_state + 1)
        with pytest.raises(ValueError, match="the encoder was not given the tokens of that text"):
            model(encoder_outputs=changed, **given)
