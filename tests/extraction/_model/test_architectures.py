# SPDX-License-Identifier: BSD-3-Clause
"""Every architecture of transformers for text is read as it runs alone, or refused by name."""

import gc
import re
import signal
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.words import words_frame
from tests.extraction._model.architectures import (
    architectures,
    build,
    columns_by_block,
    draw_ids,
    own_states,
    run_alone,
    word_tokenizer,
)

COMPONENTS = ("hidden", "mlp", "attention", "embedding")
# Shorter than a window of 16, equal to it, and longer; several texts share a batch.
LENGTHS = (5, 16, 31, 12, 13)


def extractor_of(model, component, stack=None, **params):
    return ActivationExtractor(
        model, tokenizer=word_tokenizer(), component=component, stack=stack, **params
    )


def frame_of(texts):
    return words_frame([[f"w{i}" for i in ids] for ids in texts])


def part_of(model, stack):
    """Return the part of a model that the paths of modules start from."""
    if stack is None:
        return model.base_model
    text = getattr(model, "language_model", model)
    return text.get_decoder() if stack == "decoder" else text.get_encoder()


def check(model, texts, components, stack=None):
    """Compare the states of components with the model's own, read one text at a time."""
    extractor = extractor_of(model, components, stack, max_batch_tokens=128)
    H = extractor.transform(frame_of(texts)).pool("first")
    blocks = extractor._blocks(extractor._request())
    part = part_of(model, stack)
    states = [own_states(model, ids, part, blocks, stack) for ids in texts]
    columns = columns_by_block(extractor.get_feature_names_out())
    if model.config.model_type != "canine":
        assert columns.keys() == states[0].keys()
    for name, own in columns.items():
        right = np.concatenate([one[name] for one in states])
        assert H[:, own].shape == right.shape, name
        error = np.abs(H[:, own] - right).max()
        assert error <= 2e-4 * np.abs(right).max(), (name, error, np.abs(right).max())


@pytest.fixture
def no_third_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


pytestmark = pytest.mark.usefixtures("no_third_pass")


@contextmanager
def limited(seconds):
    """Raise a TimeoutError in the block after some seconds."""

    def stop(*_):
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(name):
    """Return what is read of an architecture; raise an error for a wrong value or a crash."""
    texts = draw_ids(LENGTHS)
    try:
        model = build(name)
    except Exception as error:
        return {"model": f"not built: {type(error).__name__}: {str(error)[:80]}"}
    stacks = ("encoder", "decoder") if model.config.is_encoder_decoder else (None,)
    found = {}
    try:
        run_alone(model, texts[0])
    except Exception as error:
        if not isinstance(error, TimeoutError):
            with pytest.raises(ValueError, match="ActivationExtractor"):
                extractor_of(model, "hidden").transform(frame_of(texts)).pool("first")
        return {"model": f"does not run: {type(error).__name__}: {str(error)[:80]}"}
    for stack in stacks:
        found |= _outcomes(model, texts, stack, COMPONENTS)
    return found


def _outcomes(model, texts, stack, components):
    keys = [f"{stack}.{component}" if stack else component for component in components]
    try:
        check(model, texts, components, stack)
    except ValueError as error:  # refused: all of them, or some
        assert "ActivationExtractor" in str(error), f"{keys}: {error}"
        if len(components) == 1:
            return {keys[0]: str(error)}
    except TimeoutError:
        raise
    except Exception as error:
        raise AssertionError(f"{keys}: {type(error).__name__}: {error}") from error
    else:
        return dict.fromkeys(keys, "read")
    found = {}
    for component in components:
        found |= _outcomes(model, texts, stack, (component,))
    return found


def missing_of(found):
    """Return the components that cannot be read, None if the model as a whole cannot."""
    if "model" in found:
        return None
    return tuple(component for component, value in found.items() if value != "read")


def documented():
    """Return what the page says: the missing components of each architecture."""
    page = (Path(__file__).parents[3] / "docs" / "guide" / "models.md").read_text()
    whole = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1].split()
    said = dict.fromkeys(whole, ())
    for name, missing in re.findall(r"^\| `(\S+)` \| (.*?) \|", page, re.MULTILINE):
        said[name] = None if missing == "all" else tuple(missing.replace("`", "").split(", "))
    return said


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))  # which several processes can share
def test_every_architecture_is_read_as_it_runs_alone_or_refused_by_name(part):
    wrong, counts, said = [], Counter(), documented()
    names = architectures(part, 4)
    gc.freeze()  # to collect each model, but not go through the modules of transformers each time
    for name in names:
        try:
            with limited(300):
                found = outcome(name)
        except Exception as error:
            wrong.append(f"{name}: {str(error)[:300]}")
            continue
        finally:
            gc.collect()
        counts.update("read" if value == "read" else "not" for value in found.values())
        if "not built" not in found.get("model", "") and said.get(name, ()) != missing_of(found):
            wrong.append(f"{name}: the page says {said.get(name, ())}, but: {found}")
    gc.unfreeze()
    assert not wrong, "\n".join(wrong)
    assert counts["read"] > 200
