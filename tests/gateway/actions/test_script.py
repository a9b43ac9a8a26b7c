from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import pytest

from mod_progress.gateway.actions.script import Script
from mod_progress.show.script import MAIN, MODULES
from tests.gateway.running import Gateway

WEB = files("mod_progress") / "web"


@pytest.fixture
def server(gateway: Callable[..., Gateway]) -> Gateway:
    return gateway(Script())


@pytest.mark.parametrize("module", MODULES)
def test_each_module_is_served(server: Gateway, module: str) -> None:
    answer = server.request("GET", f"/any/folder/{module}")
    assert answer.status == 200
    assert answer.body == (WEB / module).read_bytes()
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


def test_head_and_a_client_that_has_it(server: Gateway) -> None:
    head = server.request("HEAD", f"/{MAIN}")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len((WEB / MAIN).read_bytes())
    again = server.request("GET", f"/{MAIN}", headers={"If-None-Match": head.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert "content-length" not in again.headers


def test_another_method_is_refused(server: Gateway) -> None:
    answer = server.request("POST", f"/{MAIN}", b"x")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
