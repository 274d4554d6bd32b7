# SPDX-License-Identifier: BSD-3-Clause
"""Encoder-decoders: the choice of stacks, the decoder's input, and the state of each row."""

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_neurox.words import words_frame
from tests.extraction.families import TWO_STACKS

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO_STACKS)
def test_both_stacks_are_the_two_beside_each_other(name, of, words):
    def extract(stack, layers=None):
        plan = of(name, stack=stack, component=["hidden", "mlp"], layers=layers).transform(words)
        return plan.pool("mean"), plan.get_feature_names()

    both, names = extract("both")
    parts = [extract("encoder"), extract("decoder")]
    np.testing.assert_array_equal(names, np.concatenate([own for _, own in parts]))
    np.testing.assert_allclose(both, np.hstack([H for H, _ in parts]), rtol=0, atol=1e-5)
    assert len(parts[1][0][0]) < len(parts[0][0][0])  # fewer blocks
    assert extract(None)[1].tolist() == parts[0][1].tolist()
    last, names = extract("both", -1)  # each counts from its own last
    assert list(dict.fromkeys(name.rsplit(".", 1)[0] for name in names)) == [
        "encoder.hidden.3",
        "encoder.mlp.3",
        "decoder.hidden.2",
        "decoder.mlp.2",
    ]
    np.testing.assert_allclose(last, both[:, np.isin(extract("both")[1], names)], atol=1e-5)


def test_a_layer_that_one_stack_lacks_is_said(of, words):
    with pytest.raises(ValueError, match=r"no layer 3; the decoder of .* layers \[0, 1, 2\]"):
        of("t5", stack="both", layers=[3]).transform(words)


@pytest.mark.parametrize("name", TWO_STACKS)
def test_the_decoder_reads_what_its_model_would_shift(name, of):
    """The loss of transformers, with the text as labels, gives the decoder the same input."""
    import transformers

    extractor = of(name, stack="decoder", special_tokens=True)
    model, tokenizer = extractor.model, extractor.tokenizer
    family = type(model.config).__name__.removesuffix("Config")
    head = "MarianMTModel" if family == "Marian" else f"{family}ForConditionalGeneration"
    with torch.random.fork_rng():
        whole = getattr(transformers, head)(model.config).eval()
    text = "The old dog barked"
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        states = whole(input_ids=ids, labels=ids, output_hidden_states=True).decoder_hidden_states
    found = extractor.set_params(model=whole).transform([text])
    # The model never reads its last label.
    last = np.hstack([state[0, -1].numpy() for state in states])
    words = words_frame([["The", "old", "dog", "barked"]])
    end = extractor.set_params(special_tokens=False).transform(words).pool("last")[-1]
    assert found.n_subwords[0] == ids.shape[1]
    np.testing.assert_allclose(end, last, rtol=0, atol=1e-5 * np.abs(last).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO_STACKS)
@pytest.mark.parametrize("max_batch_tokens", [1, 50])
def test_batches_do_not_matter_to_a_decoder(name, max_batch_tokens, of, words):
    component = ["hidden", "mlp", "attention", "embedding"]
    together = of(name, stack="both", component=component).transform(words).pool("mean")
    apart = of(
        name, stack="both", component=component, max_batch_tokens=max_batch_tokens
    ).transform(words)
    np.testing.assert_allclose(apart.pool("mean"), together, rtol=0, atol=3e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t5", "bart", "mbart", "marian"])
def test_a_target_is_read_beside_its_source(name, of):
    sources = ["The old dog barked loudly .", "A light rain", "She saw it"]
    targets = [["Dogs", "bark"], ["The", "rain", "was", "light"], ["It", "was", "seen", "there"]]
    frame = words_frame(targets)
    asked = pd.DataFrame(
        {
            "text": [sources[i] for i in frame["sentence_id"]],
            "target": frame["text"].astype(str),
            "target_start": frame["start"],
            "target_end": frame["end"],
        }
    )
    extractor = of(name, stack="decoder", component=["hidden", "mlp"])
    plan = extractor.transform(asked)
    H = plan.pool("last")
    model, tokenizer = extractor.model, extractor.tokenizer
    for i, (source, words) in enumerate(zip(sources, targets, strict=True)):
        target = " ".join(words)
        ids = tokenizer(source)["input_ids"]
        labels = tokenizer(text_target=target)["input_ids"]
        start = labels[-1] if name == "mbart" else model.config.decoder_start_token_id
        with torch.no_grad():
            output = model(
                input_ids=torch.tensor([ids]),
                decoder_input_ids=torch.tensor([[start, *labels]]),
                output_hidden_states=True,
            )
        # These tokenizers put special tokens at the end, after the last word.
        n_special = len(labels) - len(tokenizer(text_target=target, add_special_tokens=False)
                                      ["input_ids"])  # fmt: skip
        n_before = next(k for k, label in enumerate(labels) if label not in
                        tokenizer.all_special_ids)  # fmt: skip
        last_place = len(labels) - (n_special - n_before)
        expected = output.decoder_hidden_states[1][0, last_place].numpy()
        row = int(np.flatnonzero(frame["sentence_id"] == i)[-1])
        names = plan.get_feature_names()
        own = [name.startswith("decoder.hidden.1.") for name in names]
        np.testing.assert_allclose(H[row, own], expected, rtol=0, atol=2e-5)
    alone = np.vstack([extractor.transform(asked.iloc[[i]]).pool("last") for i in range(len(H))])
    np.testing.assert_allclose(H, alone, rtol=0, atol=2e-5)
    np.testing.assert_allclose(plan[[5, 2]].pool("last"), H[[5, 2]], rtol=0, atol=2e-5)


def test_whole_targets_and_the_same_target_of_two_sources(of):
    frame = pd.DataFrame(
        {"text": ["A light rain", "The dog"], "target": ["Dogs bark", "Dogs bark"]}
    )
    H = of("t5", stack="decoder").transform(frame).pool("mean")
    assert np.abs(H[0] - H[1]).max() > 1e-3
    as_text = pd.DataFrame({"text": ["Dogs bark"], "target": ["Dogs bark"]})
    np.testing.assert_allclose(
        of("t5", stack="decoder").transform(as_text).pool("mean"),
        of("t5", stack="decoder").transform(["Dogs bark"]).pool("mean"),
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("columns", "params", "message"),
    [
        (
            {"target": ["a", "b"], "start": [0, 0], "end": [1, 1]},
            {},
            "'target_start'.*span of the word",
        ),
        ({"target": ["a", "b"]}, {"stack": "both"}, "stack='both'.*'target'"),
        ({"target": ["a", "b"], "text_pair": ["c", "d"]}, {}, "'target' or 'text_pair'"),
        ({"target": ["a", None]}, {}, "of the target.*missing"),
        (
            {"target": ["a", "b"], "target_start": [0, 0], "target_end": [1, 9]},
            {},
            "of the target.*row 1.*out of range",
        ),
        (
            {"target": ["a", "b"], "text": ["dog " * 200, "x"]},
            {},
            "more than the 64 that the encoder",
        ),
    ],
)
def test_targets_that_cannot_be_read(columns, params, message, of):
    frame = pd.DataFrame({"text": ["x", "y"], **columns})
    name = "bart" if "dog" in frame["text"].iloc[0] else "t5"
    with pytest.raises(ValueError, match=message):
        of(name, **{"stack": "decoder", **params}).transform(frame)


def test_a_target_means_nothing_to_an_encoder(of, words):
    frame = words.assign(target="something else")
    np.testing.assert_array_equal(
        of("t5").transform(frame).pool("last"), of("t5").transform(words).pool("last")
    )


@pytest.mark.slow
def test_long_texts_leave_room_for_the_first_token_of_a_decoder(of):
    """With sixty-four positions, the encoder reads 64 tokens and the decoder 63."""
    text = " ".join(["dog"] * 200)
    for stack, most in (("encoder", 64), ("decoder", 63), ("both", 63)):
        plan = of("bart", stack=stack).transform([text])
        assert plan._source.sequences.lengths.max() == most
        assert np.isfinite(plan.pool("mean")).all()
    long = pd.DataFrame({"text": ["A dog", "The rain"], "target": [text, text]})
    H = of("bart", stack="decoder").transform(long).pool("mean")
    assert np.abs(H[0] - H[1]).max() > 1e-3


def test_a_decoder_without_a_token_to_start_with(of, words):
    extractor = of("t5", stack="decoder")
    config = extractor.model.config
    before, config.decoder_start_token_id = config.decoder_start_token_id, None
    try:
        with pytest.raises(ValueError, match="no decoder_start_token_id"):
            extractor.transform(words)
    finally:
        config.decoder_start_token_id = before


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_one_target_of_many_sources_is_no_third_pass(of):
    sources = ["The old dog", "A light rain", "She saw it", "The house"]
    frame = pd.DataFrame({"text": sources, "target": "yes"})
    of("t5", stack="decoder").transform(frame).pool("mean")
    of("t5", stack="decoder").transform(frame).pool("mean")
    with pytest.warns(UserWarning, match="4 of 4 texts for the third time"):
        of("t5", stack="decoder").transform(frame).pool("mean")
