# SPDX-License-Identifier: BSD-3-Clause
"""The progress bar of an extraction counts tokens, in thousands if they are many."""

from sklearn_neurox.extraction._run._progress import progress


def test_the_bar_counts_tokens_in_thousands(capsys):
    with progress(12_345, True, note="words") as bar:
        bar.update(12_345)
    written = capsys.readouterr().err
    assert "extracting, words: 100%" in written
    assert "12.3k/12.3k" in written and "token/s" in written
    with progress(12_345, False) as bar:
        bar.update(12_345)
    assert not capsys.readouterr().err
