# SPDX-License-Identifier: BSD-3-Clause
"""Models that pad texts themselves, that run only as a whole, or that order tokens first."""

import numpy as np
import pytest

from tests.extraction._model.architectures import build, draw_ids, hidden_states
from tests.extraction._model.test_architectures import COMPONENTS, check, extractor_of, frame_of

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

# Around multiples of a window of 4, which divides 12; BigBird attends sparsely from 29 tokens on.
LENGTHS = (3, 4, 5, 12, 13, 31, 31, 40)
OWN_PADDING = {
    "longformer": {"attention_window": 4},
    "led": {"attention_window": 4},
    "big_bird": {},
    "bigbird_pegasus": {},
    "reformer": {},
    "pegasus_x": {"block_size": 4},
    "longt5": {},
    "longt5-global": {"encoder_attention_type": "transient-global"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_PADDING)
def test_a_model_that_pads_itself_is_read_without_its_padding(name):
    model = build(name.removesuffix("-global"), **OWN_PADDING[name])
    stacks = ("encoder", "decoder") if model.config.is_encoder_decoder else (None,)
    texts = draw_ids(LENGTHS)
    for stack in stacks:
        for component in COMPONENTS:
            if (name, stack) == ("pegasus_x", "encoder") and component in ("mlp", "attention"):
                # Its projections serve global tokens, too.
                with pytest.raises(ValueError, match="runs more than once"):
                    check(model, texts, component, stack)
            else:
                check(model, texts, component, stack)


@pytest.mark.slow
def test_bigbird_keeps_its_sparse_attention_after_a_short_text():
    model = build("big_bird")
    short, long = draw_ids((5, 40))
    extractor = extractor_of(model, "hidden", layers=[-1])
    before = np.random.get_state()[1].copy()
    extractor.transform(frame_of([short])).pool("first")
    assert model.attention_type == "block_sparse"
    assert (np.random.get_state()[1] == before).all()
    H = extractor.transform(frame_of([short, long])).pool("first")
    right = np.concatenate([hidden_states(model, ids, None)[-1] for ids in (short, long)])
    np.testing.assert_allclose(H, right, atol=1e-4 * np.abs(right).max())


def test_reformer_without_a_seed_is_refused_and_says_what_to_set():
    model = build("reformer", hash_seed=None, num_buckets=None)
    with pytest.raises(ValueError, match=r"without hash_seed and num_buckets in its config"):
        extractor_of(model, "hidden").transform(["w10 w11"]).pool("mean")


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_stacks_that_run_only_within_their_model_are_read(stack):
    model = build("fsmt")
    texts = draw_ids((3, 5, 5, 8, 8, 8, 13))
    for component in COMPONENTS:
        check(model, texts, component, stack)
    both = extractor_of(model, list(COMPONENTS), "both").transform(frame_of(texts)).pool("first")
    alone = extractor_of(model, list(COMPONENTS), stack)
    names = extractor_of(model, list(COMPONENTS), "both").get_feature_names_out()
    columns = np.flatnonzero([str(name).startswith(stack) for name in names])
    np.testing.assert_allclose(
        both[:, columns], alone.transform(frame_of(texts)).pool("first"), atol=1e-5
    )


def test_a_decoder_with_a_vocabulary_of_its_own_is_refused():
    model = build("fsmt", tgt_vocab_size=90)
    frame = frame_of(draw_ids((5,)))
    assert extractor_of(model, "hidden").transform(frame).pool("first").shape == (5, 160)
    with pytest.raises(ValueError, match="a vocabulary of its own"):
        extractor_of(model, "hidden", "decoder").transform(frame)


@pytest.mark.slow
def test_tokens_first_is_told_apart_where_texts_and_tokens_are_equally_many():
    # XLNet's blocks see (n_tokens, n_texts): five texts of five tokens look the same both ways.
    model = build("xlnet")
    texts = draw_ids((5, 5, 5, 5, 5))
    for component in ("hidden", "mlp", "embedding"):
        check(model, texts, component)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llava", "git", "qwen2_vl", "idefics3"])
def test_the_blocks_of_the_text_are_read_and_not_those_of_the_images(name):
    # All parts of the small model have the same number of blocks.
    model = build(name)
    texts = draw_ids((4, 7))
    for component in COMPONENTS:
        check(model, texts, component)


@pytest.mark.parametrize("name", ["clip", "blip-2", "vilt", "udop", "lxmert"])
def test_what_does_not_run_on_text_alone_is_refused_by_name(name):
    model = build(name)
    with pytest.raises(ValueError, match=rf"ActivationExtractor .*{type(model).__name__}"):
        extractor_of(model, "hidden").transform(["w10 w11"]).pool("mean")


def test_reformer_without_a_number_of_buckets_is_refused():
    # With a seed but no buckets, a first pass would choose them by the length of its text.
    model = build("reformer", hash_seed=0, num_buckets=None)
    with pytest.raises(ValueError, match=r"without num_buckets in its config"):
        extractor_of(model, "hidden").transform(["w10 w11"]).pool("mean")
    assert model.config.num_buckets is None
