# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning about extraction gets the right result."""

import warnings

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_neurox.extraction import ActivationExtractor, Activations, SubwordAggregator
from sklearn_neurox.extraction._run._repeated_reads import forget_passes
from sklearn_neurox.words import words_frame
from tests.followed_advice import Followed, follow


@pytest.mark.slow
def test_extraction(example, tmp_path):
    words, folder = example.words, example.folder
    text = "Dogs bark at the old cat ."
    bracket = words_frame([["a", "[MASK]", "b"]])
    control = words_frame([["a", "\u200b", "b"]])
    two = words_frame([["Dogs", "bark"]])
    pool = SubwordAggregator()

    def H(X, **options):
        forget_passes()
        return pool.fit_transform(ActivationExtractor(folder, **options).fit_transform(X))

    from transformers import AutoModel

    live = AutoModel.from_pretrained(folder)
    expected = H(two)
    surrogate = "a \udc80 b"
    stored = Activations.from_arrays([np.ones((2, 3))])
    follow(
        [
            Followed(
                lambda: H([["Dogs", "bark"]]),
                r"use words_frame\(sentences\)",
                lambda: H(words_frame([["Dogs", "bark"]])),
                expected,
            ),
            Followed(
                lambda: H(two.to_numpy()), "Pass the DataFrame itself", lambda: H(two), expected
            ),
            Followed(lambda: H("Dogs bark"), "takes a list of texts", lambda: H(["Dogs bark"])),
            Followed(
                lambda: H(two.drop(columns="end")),
                "Words need both, and whole texts need neither",
                lambda: H(two[["text"]]),
            ),
            Followed(
                lambda: H(words["word"]),
                "pass the frame of words with its columns",
                lambda: H(words),
            ),
            Followed(
                lambda: H(bracket),
                "Pass split_special_tokens=True",
                lambda: H(bracket, split_special_tokens=True),
            ),
            Followed(
                lambda: H(control),
                "Remove them if that is not what you want",
                lambda: H(control[control["word"] != "\u200b"]),
            ),
            Followed(
                lambda: H(control),
                "Setting missing= to 'zero', 'nan' or 'error'",
                lambda: _quietly(lambda: np.isnan(H(control, missing="nan")).all(axis=1)),
                [False, True, False],
            ),
            Followed(
                lambda: H(control, missing="error"),
                "Remove them, or choose",
                lambda: H(control[control["word"] != "\u200b"], missing="error"),
            ),
            Followed(
                lambda: H([text], max_length=5, overflow="error"),
                "Pass overflow='window'",
                lambda: H([text], max_length=5, overflow="window"),
            ),
            Followed(
                lambda: H([text], max_length=2), "Increase it", lambda: H([text], max_length=5)
            ),
            Followed(
                lambda: H([surrogate]),
                r"text.encode\('utf-8', 'replace'\).decode\(\)",
                lambda: H([surrogate.encode("utf-8", "replace").decode()]),
                H(["a ? b"]),
            ),
            Followed(
                lambda: H(two, stack="decoder"),
                "Use stack=None",
                lambda: H(two, stack=None),
                expected,
            ),
            Followed(
                lambda: H(two, layers=[9]),
                r"has the layers \[0, 1, 2\]",
                lambda: H(two, layers=[2]),
            ),
            Followed(
                lambda: ActivationExtractor(live, weights="random").fit(two),
                r"Pass the name or folder of the model, or an untrained model: AutoModel",
                lambda: ActivationExtractor(
                    AutoModel.from_config(live.config), tokenizer=_tokenizer(folder)
                ).fit(two),
            ),
            Followed(
                lambda: ActivationExtractor(folder).fill_cache(two),
                "set it with cache=",
                lambda: ActivationExtractor(folder, cache=tmp_path / "c").fill_cache(two),
                1,
            ),
            Followed(
                lambda: pool.fit_transform(two),
                "Put an ActivationExtractor before it",
                lambda: make_pipeline(ActivationExtractor(folder), pool).fit_transform(two),
                expected,
            ),
            Followed(
                lambda: np.asarray(ActivationExtractor(folder).transform(two)),
                "Put a SubwordAggregator after",
                lambda: make_pipeline(
                    ActivationExtractor(folder), SubwordAggregator("last")
                ).fit_transform(two),
                expected,
            ),
            Followed(
                lambda: SubwordAggregator("cls").fit_transform(stored),
                "Use 'first', 'last', 'mean' or 'max'",
                lambda: SubwordAggregator("mean").fit_transform(stored),
                np.ones((1, 3)),
            ),
            Followed(
                lambda: H(two, component="module:nothing"),
                "The modules are",
                lambda: H(two, component="module:*.output.dense"),
            ),
        ]
    )


def _quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def _tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.slow
def test_repeated_reads_and_pickles(example, tmp_path):
    words, folder = example.words, example.folder
    import pickle

    from transformers import AutoModel

    def thrice(**options):
        for _ in range(3):
            make_pipeline(
                ActivationExtractor(folder, **options), SubwordAggregator()
            ).fit_transform(words)

    live = ActivationExtractor(AutoModel.from_pretrained(folder), tokenizer=_tokenizer(folder))
    with pytest.warns(UserWarning, match="leaves out <a live BertModel>"):
        pickled = pickle.dumps(live)
    follow(
        [
            Followed(thrice, "a folder with cache=", lambda: thrice(cache=tmp_path / "cache")),
            Followed(
                lambda: pickle.loads(pickled).transform(words),
                r"set_params\(model=..., tokenizer=...\)",
                lambda: (
                    (
                        pickle.loads(pickled)
                        .set_params(model=live.model, tokenizer=live.tokenizer)
                        .transform(words)
                    ).shape
                ),
                (len(words),),
            ),
            Followed(
                lambda: pickle.loads(pickled).transform(words),
                "Save the model with save_pretrained and pass its path",
                lambda: (
                    pickle.loads(pickled)
                    .set_params(model=folder, tokenizer=None)
                    .transform(words)
                    .shape
                ),
                (len(words),),
            ),
        ]
    )
