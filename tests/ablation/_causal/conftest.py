# SPDX-License-Identifier: BSD-3-Clause
import pytest

from sklearn_neurox.words import words_frame
from tests.ablation._causal.by_hand import SENTENCES
from tests.ablation._causal.by_hand import language_model as random_language_model


@pytest.fixture
def words():
    """Words that have something before them to predict them from."""
    frame = words_frame(SENTENCES)
    return frame[frame["position"] > 0].assign(short=lambda x: x["word"].str.len() < 4)


@pytest.fixture(scope="session")
def language_model(tmp_path_factory):
    made = {}

    def make(family):
        if family not in made:
            made[family] = random_language_model(family, tmp_path_factory.mktemp(family))
        return made[family]

    return make
