"""One line a request, and no id that anybody could use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.conditions import VARIABLES, within
from mod_progress.gateway.actions.flow import ActionList, Choose
from mod_progress.gateway.actions.tracking import Track
from mod_progress.gateway.server.site import AccessLog, Site
from tests.gateway.running import Gateway, eventually

SECRET = "0123456789abcdef"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def lines(log: Path, count: int = 1) -> list[str]:
    eventually(lambda: len(log.read_text().splitlines()) >= count)
    return log.read_text().splitlines()


def start(gateway: Callable[..., Gateway], log: Path, form: str) -> Gateway:
    action = ActionList((Track(), Respond(200, b"hello")))
    return gateway(action, access_log=AccessLog(str(log), form))


def test_the_combined_format(gateway: Callable[..., Gateway], log: Path) -> None:
    running = start(gateway, log, "combined")
    fields = {"Referer": "http://a/", "User-Agent": 'say "x"'}
    running.request("GET", "/a?b=c", headers=fields)
    (line,) = lines(log)
    when = r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
    rest = re.escape(r'"GET /a?b=c HTTP/1.1" 200 5 "http://a/" "say \x22x\x22"')
    assert re.fullmatch(rf"127\.0\.0\.1 - - {when} {rest}", line)


def test_json(gateway: Callable[..., Gateway], log: Path) -> None:
    running = start(gateway, log, "json")
    head = f"POST /a?X-Progress-ID={SECRET} HTTP/1.0\r\nHost: a.example\r\nContent-Length: 5"
    running.exchange(head.encode() + b"\r\n\r\n12345")
    noted: dict[str, Any] = json.loads(lines(log)[0])
    assert noted.pop("time")
    assert noted == {
        "client": "127.0.0.1",
        "method": "POST",
        "host": "a.example",
        "target": "/a?X-Progress-ID=01234567...",
        "status": 200,
        "received": 5,
        "sent": 5,
        "complete": True,
        "referer": None,
        "user_agent": None,
        "id": "01234567...",
    }


@pytest.mark.parametrize("form", ["combined", "json"])
@pytest.mark.parametrize(
    "target",
    [
        f"/?X-Progress-ID={SECRET}",
        f"/?a=b&x-progress-id={SECRET}&c=d",
        f"/?X%2DProgress%2dID={SECRET}",
        f"/?X-Progress-ID=a&X-Progress-ID={SECRET}",
    ],
)
@pytest.mark.parametrize("where", ["target", "referer"])
def test_an_id_is_cut_short(
    gateway: Callable[..., Gateway], log: Path, form: str, target: str, where: str
) -> None:
    running = start(gateway, log, form)
    if where == "target":
        running.request("GET", target)
    else:
        running.request("GET", "/", headers={"Referer": f"https://a.example{target}"})
    (line,) = lines(log)
    assert SECRET not in line
    assert SECRET[:8] in line


@pytest.mark.parametrize("form", ["combined", "json"])
def test_behind_a_trusted_front_proxy_the_client_is_noted(log: Path, form: str) -> None:
    """As the configuration's conditions see it."""
    action = Choose(
        ((within(VARIABLES["remoteip"], ip_network("192.0.2.0/24")), Respond(200)),), Respond(403)
    )
    trusted = (ip_network("127.0.0.1"),)
    site = Site(action=action, access_log=AccessLog(str(log), form), trusted=trusted)
    running = Gateway(site)
    try:
        answers = [
            running.request("GET", "/", headers={"X-Forwarded-For": said}).status
            for said in ("6.6.6.6, 192.0.2.7", "192.0.2.7, 6.6.6.6", "unknown")
        ]
    finally:
        running.stop()
    assert answers == [200, 403, 403]
    noted = lines(log, 3)
    if form == "json":
        assert [json.loads(line)["client"] for line in noted] == ["192.0.2.7", "6.6.6.6", ""]
    else:
        assert [line.split()[0] for line in noted] == ["192.0.2.7", "6.6.6.6", "-"]


def test_every_request_of_a_connection_is_noted(gateway: Callable[..., Gateway], log: Path) -> None:
    running = start(gateway, log, "combined")
    request = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
    running.exchange(b"".join(request % number for number in range(3)) + b"GET / HTTP/1.0\r\n\r\n")
    assert [line.split('"')[1].split()[1] for line in lines(log, 4)] == ["/0", "/1", "/2", "/"]
