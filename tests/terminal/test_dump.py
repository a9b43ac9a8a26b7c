"""What is read of a server's list; what a server may refuse is in test_wait_idle."""

from __future__ import annotations

import time

import httpx
import pytest

from mod_progress.terminal.dump import Listed, _parse

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def read(body: bytes = b"[{}]", **fields: str) -> Listed:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    response = httpx.Response(200, headers={"X-Progress-Total": "7", "Date": DATE, **headers})
    return _parse(response, body)


def test_a_page() -> None:
    listed = read(
        X_Progress_States="running=5, done=2,error=0", Link='<?a=b&after=X-9_>; rel="next"'
    )
    states = {"running": 5, "done": 2, "error": 0}
    assert listed == Listed([{}], 7, states, "X-9_", 784_111_777.0)


@pytest.mark.parametrize(
    "link", ["", '<?after=x>; rel="prev"', '<?other=x>; rel="next"', "<", '<http://[>; rel="next"']
)
def test_without_an_address_of_a_next_page_this_is_the_last(link: str) -> None:
    assert read(Link=link).after == ""


@pytest.mark.parametrize("states", ["", "running", "running=many", "=,,", "running=-1"])
def test_odd_counts_are_none(states: str) -> None:
    assert sum(read(X_Progress_States=states).states.values()) == 0


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Nov 1994 08:49:37 GMT"])
def test_without_a_date_it_is_now(date: str) -> None:
    before = time.time()
    assert read(Date=date).now >= before
