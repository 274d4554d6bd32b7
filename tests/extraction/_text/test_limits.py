# SPDX-License-Identifier: BSD-3-Clause
"""How many tokens a model can read, whatever its config calls that, and how many it states."""

import numpy as np
import pytest

from sklearn_neurox.extraction._model._config import hard_limit
from tests.extraction._model.architectures import (
    build,
    draw_ids,
    hidden_states,
    run_alone,
    word_tokenizer,
)
from tests.extraction._model.test_architectures import extractor_of, frame_of

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

# Table of positions with 64 rows: how many tokens of a text each can read. None: any number.
LIMITS = {
    ("bert", None): 64,
    ("roberta", None): 62,
    ("esm", None): 62,
    ("layoutlmv3", None): 62,
    ("markuplm", None): 62,
    ("led", "encoder"): 64,
    ("led", "decoder"): 63,
    ("prophetnet", "encoder"): 62,
    ("prophetnet", "decoder"): 60,
    ("mpt", None): 64,
    ("gptj", None): 64,
    ("florence2", "encoder"): 64,
    ("llama", None): None,
    ("t5", "encoder"): None,
    ("fsmt", "encoder"): None,
    ("m2m_100", "encoder"): None,
    ("jamba", None): None,
    ("rwkv", None): None,
    ("bloom", None): None,
    ("xlnet", None): None,
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "stack"), LIMITS)
def test_the_limit_of_a_family(name, stack):
    model, limit = build(name), LIMITS[name, stack]
    assert hard_limit(model.config, word_tokenizer(), [stack]) == limit
    target = [10] if stack == "encoder" else None
    run_alone(model, draw_ids([limit or 150])[0], target)
    if limit is not None and name != "prophetnet":  # which repeats its last position
        with pytest.raises((IndexError, RuntimeError, ValueError)):
            run_alone(model, draw_ids([limit + 1])[0], target)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "stack"), [("esm", None), ("led", "decoder")])
def test_a_text_beyond_the_limit_is_read_in_windows(name, stack):
    model, limit = build(name), LIMITS[name, stack]
    (ids,) = draw_ids([limit + 9])
    H = extractor_of(model, "hidden", stack, layers=[1]).transform(frame_of([ids])).pool("first")
    first = hidden_states(model, ids[:limit], stack)[1]
    last = hidden_states(model, ids[-limit:], stack)[1]
    if stack is None:
        np.testing.assert_allclose(H[:20], first[:20], atol=1e-4)
        np.testing.assert_allclose(H[-20:], last[-20:], atol=1e-4)
    assert H.shape[0] == limit + 9


@pytest.mark.parametrize("name", ["llama", "t5", "mamba", "deberta-v2"])
def test_a_model_without_a_limit_reads_more_than_is_stated_if_asked(name):
    params = {"position_biased_input": False, "relative_attention": True}
    model = build(name, **(params if name == "deberta-v2" else {}))
    (ids,) = draw_ids([100])
    stack = "encoder" if name == "t5" else None
    extractor = extractor_of(model, "hidden", layers=[-1], max_length=100)
    H = extractor.transform(frame_of([ids])).pool("first")
    right = hidden_states(model, ids, stack)[-1]
    np.testing.assert_allclose(H, right, atol=1e-4 * np.abs(right).max())


def test_a_model_with_a_limit_says_it():
    with pytest.raises(ValueError, match=r"max_length' .* is 65, but .* reads at most 64 tokens"):
        extractor_of(build("bert"), "hidden", max_length=65).transform(["w10"])
