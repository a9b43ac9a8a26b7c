from __future__ import annotations

import pytest

from mod_progress.show.dump import parse_query
from mod_progress.terminal.view import SORTS, STATES, View


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", "by started"),
        ("s", "by rate"),
        ("ssss", "by started"),
        ("r", "by started, reversed"),
        ("rr", "by started"),
        ("ff", "by started, state done"),
        ("ffff", "by started"),
        (" ", "by started, paused"),
        ("/up q\n", "by started, path up q"),
        ("/upx\x7f\n", "by started, path up"),
        ("/up\n/\x7f\x7f\n", "by started"),
        ("/up\x1b", "by started"),
        ("/a\x00b\n", "by started, path ab"),
        ("\x1bz\n", "by started"),
    ],
)
def test_what_keys_do(keys: str, said: str) -> None:
    view = View()
    for key in keys:
        view.press(key)
    assert (str(view), view.ended) == (said, False)


def test_a_person_ends_it() -> None:
    view = View()
    view.press("q")
    assert view.ended


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("state", STATES)
def test_a_server_understands_what_it_is_asked(sort: str, reverse: bool, state: str) -> None:
    view = View(sort=sort, reverse=reverse, state=state, path="/up")
    query = "&".join(f"{name}={value}" for name, value in view.parameters(7).items())
    asked = parse_query(query.encode())
    assert (asked.sort, asked.reverse, asked.state or "") == (sort, reverse, state)
    assert (asked.path, asked.limit, asked.after) == ("/up", 7, None)
