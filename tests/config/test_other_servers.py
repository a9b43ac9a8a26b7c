"""Names of other servers: what is said to whoever writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mod_progress.config import check
from mod_progress.config.actions import ACTIONS, OPTIONS
from mod_progress.config.errors import nearest
from mod_progress.config.other_servers import OUR_NAMES
from mod_progress.config.setups import SETUPS

OURS = {*SETUPS, *OPTIONS, *ACTIONS}


@pytest.mark.parametrize(
    "theirs",
    [*OUR_NAMES, "proxy_pass", "fastcgi_pass", "uwsgi_pass", "client_max_body_size", "auth_basic"],
)
@pytest.mark.parametrize("form", ["%s 1;", "setup %s 1;"])
def test_our_name_is_told(theirs: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text(form % theirs)
    (error,) = check(tmp_path / "site.conf")
    assert error.message.startswith(f"there is no directive '{theirs}'")
    ours = OUR_NAMES.get(theirs) or nearest(theirs, OURS)
    assert ours in OURS
    assert form.startswith("setup") or error.hint == ours


@pytest.mark.parametrize("theirs", OUR_NAMES)
def test_what_is_alike_needs_no_table(theirs: str) -> None:
    assert nearest(theirs, OURS) != OUR_NAMES[theirs]
