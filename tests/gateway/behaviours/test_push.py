"""Streams of events, and answers that wait, in real bytes from a real worker."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mod_progress.gateway.actions import push
from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.limits import Limits
from mod_progress.options import Options
from mod_progress.show import events, ticker
from mod_progress.show.formats import EVENTS, JSON
from mod_progress.stores import open_store
from tests.gateway.origin import Origin
from tests.gateway.running import Gateway, eventually
from tests.gateway.watching import Watching

HEAD = "POST /gate?X-Progress-ID={} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker, which is a fork of this process, tick fast."""
    monkeypatch.setattr(ticker, "TICK", 0.01)
    monkeypatch.setattr(ticker, "LINGER", 0.05)
    monkeypatch.setattr(push, "_AGAIN", 0.01)


@pytest.fixture
def backend() -> Iterator[Origin]:
    server = Origin()
    yield server
    server.stop()


def at(path: str) -> Callable[[Exchange], bool]:
    return lambda exchange: exchange.request.path == path


@pytest.fixture
def start(
    gateway: Callable[..., Gateway], backend: Origin, either: ssl.SSLContext | None
) -> Callable[..., Gateway]:
    """Start a gateway that pushes at /events, shows at /progress, and tracks the rest."""

    def begin(**options: Any) -> Gateway:
        action: Any = ActionList((Track(), Proxy(HttpBackend(backend.address))))
        action = If(at("/own"), Respond(200, b"own\n"), action)
        action = If(at("/progress"), Show(JSON), action)
        action = If(at("/events"), Show(EVENTS), action)
        options.setdefault("limits", Limits(drain_time=30.0))
        return gateway(action, options=Options(), tls=either, **options)

    return begin


@pytest.fixture
def site(start: Callable[..., Gateway]) -> Gateway:
    return start()


EVENTS_OF_A = "/events?X-Progress-ID=a"


def watch(site: Gateway, target: str = EVENTS_OF_A, *fields: str, **how: Any) -> Watching:
    return Watching(site.connect(), target, *fields, **how)


def upload(
    site: Gateway, body: bytes = b"", identifier: str = "a", size: int = 10
) -> socket.socket:
    client = site.connect()
    client.sendall(HEAD.format(identifier, size).encode() + body)
    return client


def threads(site: Gateway) -> int:
    return len(list(Path(f"/proc/{site.pid}/task").iterdir()))


def sockets(site: Gateway) -> int:
    """How many sockets the worker holds."""
    held = 0
    for entry in Path(f"/proc/{site.pid}/fd").iterdir():
        try:
            held += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return held


def test_events_come_while_the_transfer_runs(site: Gateway, backend: Origin) -> None:
    with watch(site) as watching:
        assert watching.status == 200
        assert watching.fields["content-type"] == "text/event-stream"
        assert watching.fields["cache-control"] == "no-store, no-transform"
        watching.read_until("unknown")
        with upload(site, b"12345") as client:
            watching.read_until("running", received=5, request_size=10)
            client.sendall(b"67890")
            watching.read_until("running", received=10)
            backend.open.set()
            client.recv(65536)
            done = watching.read_until("done")
        assert done["sent"] == done["response_size"] == 2
        watching.read_to_end()
        assert watching.states[-2:] == ["done", "end"]
        # The connection is kept for the next request.
        watching.connection.sendall(b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n")
        assert watching.connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_an_event_source_gets_events_where_a_show_is(site: Gateway) -> None:
    target = "/progress?X-Progress-ID=a"
    with watch(site, target, "Accept: text/event-stream") as watching:
        watching.read_until("unknown")


def test_requests_that_wait_behind_a_stream_are_served_after_it(
    site: Gateway, backend: Origin
) -> None:
    backend.open.set()
    with watch(site) as watching:
        watching.read_until("unknown")
        watching.connection.sendall(b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n")
        site.request("POST", "/gate?X-Progress-ID=a", b"12345")
        watching.read_to_end()
        came = watching.rest
        while not came.endswith(b"own\n"):
            came += watching.connection.recv(65536)


def test_several_transfers_of_several_watchers(site: Gateway) -> None:
    target = "/events?X-Progress-ID=a&X-Progress-ID=b"
    with watch(site, target) as first, watch(site, target) as second, upload(site, b"1"):
        with upload(site, b"12", "b", 20):
            for watching in (first, second):
                watching.read_until("running", id="b", received=2, request_size=20)
        for watching in (first, second):
            watching.read_until("error", id="b", status=0)


def test_a_client_of_http_1_0_reads_until_the_connection_ends(
    site: Gateway, backend: Origin
) -> None:
    backend.open.set()
    with watch(site, minor=0) as watching:
        watching.read_until("unknown")
        site.request("POST", "/gate?X-Progress-ID=a", b"12345")
        watching.read_to_end()
        assert watching.states[-2:] == ["done", "end"]


def test_head_gets_the_fields_alone(site: Gateway) -> None:
    with watch(site, method="HEAD") as watching:
        assert watching.fields["content-type"] == "text/event-stream"
        watching.connection.sendall(b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n")
        assert watching.connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_who_has_the_final_state_gets_204(site: Gateway, backend: Origin) -> None:
    backend.open.set()
    site.request("POST", "/gate?X-Progress-ID=a", b"12345")
    eventually(lambda: site.show("a")["state"] == "done")
    with watch(site) as watching:
        watching.read_to_end()
    last = f"Last-Event-ID: {watching.source.last_id}"
    with watch(site, "/events?X-Progress-ID=a", last) as again:
        assert again.status == 204
        again.connection.sendall(b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n")
        assert again.connection.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_watchers_that_leave_leave_nothing_behind(site: Gateway, leave: str) -> None:
    before = threads(site), sockets(site)
    watchers = [watch(site) for _ in range(20)]
    for watching in watchers:
        watching.read_until("unknown")
    assert threads(site) > before[0]
    for watching in watchers:
        watching.reset() if leave == "reset" else watching.connection.close()
    eventually(lambda: (threads(site), sockets(site)) == before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_drain_ends_every_stream_and_every_wait(site: Gateway, number: signal.Signals) -> None:
    tag = site.request("GET", "/progress?X-Progress-ID=a", headers={"Prefer": "wait=1"})
    waits = ("Prefer: wait=30", f"If-None-Match: {tag.headers['etag']}")
    watchers = [watch(site) for _ in range(5)]
    for watching in watchers:
        watching.read_until("unknown")
    waiting = site.connect()
    fields = "".join(f"{field}\r\n" for field in waits)
    waiting.sendall(f"GET /progress?X-Progress-ID=a HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
    began = time.monotonic()
    os.kill(site.pid, number)
    for watching in watchers:
        watching.read_to_end()
        assert watching.states == ["unknown"]
        watching.connection.close()
    assert waiting.recv(65536).startswith(b"HTTP/1.1 304")
    waiting.close()
    site.process.join(20)
    assert site.process.exitcode == 0
    assert time.monotonic() - began < 20  # and not 30


def test_an_answer_waits_for_news(site: Gateway) -> None:
    path = "/progress?X-Progress-ID=a"
    with upload(site, b"1") as client:
        eventually(lambda: site.show("a").get("received") == 1)
        first = site.request("GET", path, headers={"Prefer": "wait=20"})
        assert first.headers["preference-applied"] == "wait=20"
        answers: list[Any] = []
        fields = {"Prefer": "wait=20", "If-None-Match": first.headers["etag"]}
        asking = threading.Thread(
            target=lambda: answers.append(site.request("GET", path, headers=fields))
        )
        asking.start()
        asking.join(0.1)
        assert not answers
        client.sendall(b"2")
        asking.join(10)
        assert answers[0].json()["received"] == 2


def test_without_news_the_wait_ends(site: Gateway) -> None:
    path = "/progress?X-Progress-ID=a"
    first = site.request("GET", path, headers={"Prefer": "wait=1"})
    fields = {"Prefer": "wait=1", "If-None-Match": first.headers["etag"]}
    answer = site.request("GET", path, headers=fields)
    assert (answer.status, answer.body) == (304, b"")
    assert "content-length" not in answer.headers


def test_a_poll_that_repeats_itself_still_waits(site: Gateway) -> None:
    path = "/progress?X-Progress-ID=a"
    tag = site.request("GET", path, headers={"Prefer": "wait=1"}).headers["etag"]
    poll = f"GET {path} HTTP/1.1\r\nHost: a\r\nPrefer: wait=1\r\nIf-None-Match: {tag}\r\n\r\n"
    with site.connect() as client:
        for _ in range(2):
            client.sendall(poll.encode())
            assert client.recv(65536).startswith(b"HTTP/1.1 304")


def test_a_stream_of_many_workers_follows_the_owner(
    gateway: Callable[..., Gateway],
    start: Callable[..., Gateway],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    owner = start(store=open_store("local:push"))
    other = start(store=open_store("local:push"))
    with watch(other) as watching:
        watching.read_until("unknown")
        with upload(owner, b"12345"):
            watching.read_until("running", received=5)
        watching.read_until("error", status=0)
        watching.read_to_end()


def test_a_comment_keeps_a_silent_stream_alive(
    start: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    with watch(start()) as watching:
        watching.read_until("unknown")
        while watching.source.comments < 3:
            assert watching.receive()
            watching.feed()


def test_a_stream_ends_by_itself(
    start: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LEAST_LIFE", 0.1)
    monkeypatch.setattr(events, "MOST_LIFE", 0.1)
    with watch(start()) as watching:
        watching.read_to_end()
        assert watching.states == ["unknown"]


def test_a_client_that_half_closes_gets_its_stream_ended(
    site: Gateway, either: ssl.SSLContext | None
) -> None:
    if either is not None:
        return  # in TLS both directions end
    with watch(site) as watching:
        watching.read_until("unknown")
        watching.connection.shutdown(socket.SHUT_WR)
        watching.read_to_end()
