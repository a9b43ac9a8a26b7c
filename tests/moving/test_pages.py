"""The pages about moving over show the files that the tests run, and name what they replace."""

from __future__ import annotations

import re

import pytest

from mod_progress.config.other_servers import OUR_NAMES
from tests.moving.servers import SHAPES

DOCS = SHAPES.parents[2] / "docs"
PAGES = [path.read_text() for path in sorted(DOCS.glob("moving-*.md"))]

BLOCK = re.compile(r"^```\w+\n(.*?)^```$", re.M | re.S)
ROW = re.compile(r"^\| (.+?) \| (.+) \|$", re.M)


def test_the_pages_show_the_files_as_they_are() -> None:
    shown = [block for page in PAGES for block in BLOCK.findall(page)]
    assert sorted(shown) == sorted(path.read_text() for path in SHAPES.glob("*/*.conf"))


@pytest.mark.parametrize("theirs", OUR_NAMES)
def test_a_table_has_both_names(theirs: str) -> None:
    rows = [row for page in PAGES for row in ROW.findall(page)]
    assert any(theirs in row[0] and OUR_NAMES[theirs] in row[1] for row in rows)
