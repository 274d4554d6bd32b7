# SPDX-License-Identifier: BSD-3-Clause
"""The tables of the page "Tables of the papers" can be made."""

import os
import re
from pathlib import Path

import pytest

from benchmarks import _papers

needs_treebank = pytest.mark.skipif(
    "SKLEARN_NEUROX_CONLLU" not in os.environ, reason="SKLEARN_NEUROX_CONLLU is not set"
)


def test_the_page_has_the_command_of_every_table():
    guide = Path(__file__).parents[2] / "docs" / "guide"
    pages = "".join((guide / name).read_text() for name in ("papers.md", "evaluation.md"))
    assert set(re.findall(r"papers --table (\w+)", pages)) == set(_papers.TABLES)


def test_an_unknown_table_is_an_error():
    with pytest.raises(ValueError, match="no table 'fan'.*'dalvi'"):
        _papers.run(table="fan")


@needs_treebank
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["antverg_belinkov", "similarity"])
def test_tables_are_made(name):
    tables = _papers.run(quick=True, table=name)
    assert all(title.startswith(f"{name}: ") for title in tables)
    assert all(len(table) and table.notna().any().all() for table in tables.values())
