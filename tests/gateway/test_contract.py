"""The contract, line by line, in real bytes over real sockets, through the gateway."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.limits import Limits
from mod_progress.options import Options
from mod_progress.show.answer import NO_IDENTIFIER
from mod_progress.show.formats import FORMATS
from tests.gateway.origin import Origin
from tests.gateway.running import Gateway, eventually
from tests.gateway.wire import FEEDS, Client
from tests.ports import free_port

RUNNING = (
    '{{"state": "running", "received": {}, "sent": 0, "request_size": {}, "response_size": 0}}'
)

#: What lets one look at the transfer of the id own~secret.
SHARED = "see~" + hashlib.sha256(b"secret").hexdigest()


def at(path: str) -> Callable[[Exchange], bool]:
    return lambda exchange: exchange.request.path == path


@pytest.fixture
def backend() -> Iterator[Origin]:
    server = Origin()
    yield server
    server.stop()


@pytest.fixture
def site(
    gateway: Callable[..., Gateway], backend: Origin, either: ssl.SSLContext | None
) -> Gateway:
    return start(gateway, backend.address, tls=either)


def start(
    gateway: Callable[..., Gateway],
    upstream: str,
    ttl: float = 30,
    methods: str = "POST PUT GET HEAD",
    tls: ssl.SSLContext | None = None,
) -> Gateway:
    action: Any = ActionList((Track(), Proxy(HttpBackend(upstream))))
    for name, form in FORMATS.items():
        action = If(at(f"/{name}"), Show(form), action)
    action = If(at("/progress"), Show(), action)
    options = Options(ttl=ttl, methods=frozenset(methods.split()))
    return gateway(action, options=options, tls=tls)


def has_received(site: Gateway, size: int) -> bool:
    return bool(site.show("a")["received"] == size)


def ask(site: Gateway, target: str) -> tuple[str, str]:
    answer = site.request("GET", target)
    return answer.headers["content-type"], answer.body.decode()


def upload(site: Gateway, head: str, body: bytes = b"") -> socket.socket:
    """Send a request's head, and what there is of its body."""
    client = site.connect()
    client.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    return client


def read_response(client: socket.socket) -> bytes:
    """Read a response with a Content-Length."""
    came = b""
    while b"\r\n\r\n" not in came:
        came += client.recv(65536)
    head, _, body = came.partition(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    while len(body) < length:
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


def test_an_upload_runs_and_is_done_and_is_forgotten(
    gateway: Callable[..., Gateway], backend: Origin
) -> None:
    site = start(gateway, backend.address, ttl=0.5)
    head = "POST /gate?X-Progress-ID=a HTTP/1.1\nHost: x\nContent-Length: 10"
    with upload(site, head, b"12345") as client:
        eventually(lambda: site.show("a")["received"] == 5)
        assert ask(site, "/progress?X-Progress-ID=a")[1] == RUNNING.format(5, 10)
        client.sendall(b"67890")
        eventually(lambda: site.show("a")["received"] == 10)
        assert site.show("a")["state"] == "running"  # the backend has not answered yet
        backend.open.set()
        read_response(client)
        eventually(lambda: site.show("a")["state"] == "done")
        assert site.show("a") == {
            "state": "done",
            "received": 10,
            "sent": 2,
            "request_size": 10,
            "response_size": 2,
        }
        eventually(lambda: site.show("a") == {"state": "unknown"})
    assert backend.received == [b"1234567890"]


@pytest.mark.parametrize(
    ("name", "content_type", "frame"),
    [
        ("progress", "application/json", "{}"),
        ("json", "application/json", "{}"),
        ("jsonp", "application/javascript", "progress({})"),
        ("legacy", "application/javascript", "new Object({})"),
    ],
)
def test_each_format_in_each_state(
    site: Gateway, backend: Origin, name: str, content_type: str, frame: str
) -> None:
    def shown(body: str) -> bool:
        return ask(site, f"/{name}?X-Progress-ID=a") == (content_type, frame.replace("{}", body))

    assert shown('{"state": "unknown"}')
    head = "POST /gate?X-Progress-ID=a HTTP/1.1\nHost: x\nContent-Length: 3"
    with upload(site, head, b"123") as client:
        eventually(lambda: shown(RUNNING.format(3, 3)))
        backend.open.set()
        read_response(client)
    done = '{"state": "done", "received": 3, "sent": 2, "request_size": 3, "response_size": 2}'
    eventually(lambda: shown(done))
    site.request("POST", "/status/500?X-Progress-ID=a", b"x")
    eventually(lambda: shown('{"state": "error", "status": 500}'))


@pytest.mark.parametrize(
    ("query", "called"),
    [
        ("X-Progress-Callback=my.f_1", "my.f_1"),
        ("x-progress-callback=f", "f"),
        ("X-Progress-Callback=f%2e", "f."),
        ("X-Progress-Callback=alert%28", "progress"),
        ("X-Progress-Callback=", "progress"),
    ],
)
def test_the_callback_of_jsonp(site: Gateway, query: str, called: str) -> None:
    answer = ask(site, f"/jsonp?X-Progress-ID=a&{query}")
    assert answer == ("application/javascript", called + '({"state": "unknown"})')


def test_every_show_is_200_and_never_cached_or_guessed(site: Gateway) -> None:
    for path in ("progress", "json", "jsonp", "legacy"):
        answer = site.request("GET", f"/{path}?X-Progress-ID=a")
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (200, "done"),
        (204, "done"),
        (303, "done"),
        (304, "done"),
        (400, {"state": "error", "status": 400}),
        (404, {"state": "error", "status": 404}),
        (500, {"state": "error", "status": 500}),
        (503, {"state": "error", "status": 503}),
    ],
)
def test_the_state_follows_the_status(site: Gateway, status: int, shown: Any) -> None:
    site.request("POST", f"/status/{status}?X-Progress-ID=a", b"12345")

    def settled() -> bool:
        found = site.show("a")
        return bool(found == shown or found["state"] == shown)

    eventually(settled)


@pytest.mark.parametrize("feed", FEEDS)
def test_a_body_that_is_too_large_is_an_error(
    gateway: Callable[..., Gateway], backend: Origin, feed: str
) -> None:
    """A page that polls has to learn why its upload was refused."""
    action = If(at("/progress"), Show(), ActionList((Track(), Proxy(HttpBackend(backend.address)))))
    site = gateway(action, limits=Limits(body_size=10, drain_time=1.0))
    head = b"POST /status/200?X-Progress-ID=a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"
    with Client(site.port) as client:
        client.send(head + b"hello world", feed)
        assert client.answer().status == 413
    eventually(lambda: site.show("a") == {"state": "error", "status": 413})
    assert backend.received == []


def test_a_dead_backend_is_502(gateway: Callable[..., Gateway]) -> None:
    site = start(gateway, f"127.0.0.1:{free_port()}")
    assert site.request("POST", "/?X-Progress-ID=a", b"12345").status == 502
    eventually(lambda: site.show("a") == {"state": "error", "status": 502})


@pytest.mark.parametrize("size", [10, 10_000_000], ids=["copied", "spliced"])
def test_an_aborted_upload_is_an_error_without_a_status(site: Gateway, size: int) -> None:
    head = f"POST /?X-Progress-ID=a HTTP/1.1\nHost: x\nContent-Length: {size}"
    with upload(site, head, b"12345"):
        eventually(lambda: site.show("a").get("received") == 5)
    eventually(lambda: site.show("a") == {"state": "error", "status": 0})


def test_a_chunked_upload_has_its_size_at_the_end(site: Gateway, backend: Origin) -> None:
    head = "POST /gate?X-Progress-ID=a HTTP/1.1\nHost: x\nTransfer-Encoding: chunked"
    with upload(site, head, b"5\r\n12345\r\n") as client:
        eventually(lambda: site.show("a").get("received") == 5)
        assert site.show("a")["request_size"] is None
        client.sendall(b"3\r\n678\r\n0\r\n\r\n")
        eventually(lambda: site.show("a")["request_size"] == 8)
        backend.open.set()
        read_response(client)
        eventually(lambda: site.show("a")["state"] == "done")
    assert site.show("a")["received"] == 8
    assert backend.received == [b"12345678"]


@pytest.mark.parametrize("kind", ["bytes", "stream"])
@pytest.mark.parametrize("size", [0, 1, 1000, 3_000_000])
def test_a_download_counts_body_bytes_alone(site: Gateway, kind: str, size: int) -> None:
    answer = site.request("GET", f"/{kind}/{size}?X-Progress-ID=a")
    assert answer.body == b"x" * size
    eventually(lambda: site.show("a")["state"] == "done")
    shown = site.show("a")
    assert (shown["sent"], shown["response_size"]) == (size, size)
    assert (shown["received"], shown["request_size"]) == (0, 0)


def test_a_head_request_has_no_body_to_count(site: Gateway) -> None:
    answer = site.request("HEAD", "/bytes/1000?X-Progress-ID=a")
    assert answer.headers["content-length"] == "1000"
    eventually(lambda: site.show("a")["state"] == "done")
    assert (site.show("a")["sent"], site.show("a")["response_size"]) == (0, 0)


def test_sent_is_what_the_client_has(site: Gateway) -> None:
    size, step, slack = 20_000_000, 1_000_000, 128 * 1024
    client = site.connect()
    # A buffer of a fixed size: what lies in it unread is not to be mistaken for read.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, slack // 4)
    with client:
        client.sendall(f"GET /bytes/{size}?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        came = b""
        while b"\r\n\r\n" not in came:
            came += client.recv(1024)
        had = len(came.partition(b"\r\n\r\n")[2])
        while had < size:
            for _ in range(0, step, 65536):
                had += len(client.recv(min(65536, size - had)))
            shown = site.show("a")
            if had + slack < size:
                assert shown["state"] == "running"
            assert abs(shown["sent"] - had) <= slack
        eventually(lambda: site.show("a")["state"] == "done")
        assert site.show("a")["sent"] == size


def test_a_client_that_leaves_in_mid_download_leaves_an_error(site: Gateway) -> None:
    client = upload(site, "GET /bytes/20000000?X-Progress-ID=a HTTP/1.1\nHost: x")
    client.recv(1000)
    eventually(lambda: site.show("a")["state"] == "running")
    client.close()
    eventually(lambda: site.show("a") == {"state": "error", "status": 200})


def test_a_second_request_takes_the_id_over(site: Gateway, backend: Origin) -> None:
    head = "POST /gate?X-Progress-ID=a HTTP/1.1\nHost: x\nContent-Length: {}"
    with upload(site, head.format(100), b"1") as first:
        eventually(lambda: site.show("a").get("request_size") == 100)
        with upload(site, head.format(200), b"12") as second:
            eventually(lambda: site.show("a").get("request_size") == 200)
            first.sendall(b"x" * 99)
            backend.open.set()
            assert read_response(first).startswith(b"HTTP/1.1 200")
            shown = site.show("a")
            assert (shown["state"], shown["received"]) == ("running", 2)
            second.sendall(b"x" * 198)
            assert read_response(second).startswith(b"HTTP/1.1 200")
            eventually(lambda: site.show("a")["state"] == "done")


@pytest.mark.parametrize(
    "head",
    [
        "POST /?x-progress-id=a HTTP/1.1\nHost: x",
        "POST /?X-Progress-Id=a HTTP/1.1\nHost: x",
        "POST /?X-Progress-ID=%61 HTTP/1.1\nHost: x",
        "POST / HTTP/1.1\nHost: x\nX-Progress-ID: a",
        "POST /?X-Progress-ID=a HTTP/1.0",
    ],
)
@pytest.mark.parametrize("byte_by_byte", [False, True])
def test_where_the_id_may_be(site: Gateway, head: str, byte_by_byte: bool) -> None:
    whole = (head + "\nContent-Length: 2\n\n").replace("\n", "\r\n").encode() + b"ab"
    with site.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in [whole[i : i + 1] for i in range(len(whole))] if byte_by_byte else [whole]:
            client.sendall(piece)
        assert read_response(client).startswith(b"HTTP/1.1 200")
        eventually(lambda: site.show("a")["state"] == "done")


@pytest.mark.parametrize("identifier", ["own~secret", SHARED])
def test_either_form_of_an_id_shows_and_one_tracks(site: Gateway, identifier: str) -> None:
    for sent, body in (("own~secret", b"1234567"), (SHARED, b"12345678")):
        assert site.request("POST", f"/?X-Progress-ID={sent}", body).status == 200
    eventually(lambda: site.show(identifier)["state"] == "done")
    assert site.show(identifier)["received"] == 7


@pytest.mark.parametrize(
    "target",
    ["/", "/?X-Progress-ID=", "/?X-Progress-ID=%20", "/?X-Progress-ID=" + "a" * 129],
)
def test_a_request_without_a_valid_id_passes_untouched(
    site: Gateway, backend: Origin, target: str
) -> None:
    assert site.request("POST", target, b"12345").status == 200
    assert backend.received == [b"12345"]


def test_only_some_methods_are_tracked(gateway: Callable[..., Gateway], backend: Origin) -> None:
    site = start(gateway, backend.address, methods="PUT")
    assert site.request("POST", "/?X-Progress-ID=a", b"1").status == 200
    assert site.request("PUT", "/?X-Progress-ID=b", b"1").status == 200
    eventually(lambda: site.show("b")["state"] == "done")
    assert site.show("a") == {"state": "unknown"}


@pytest.mark.parametrize("target", ["/progress", "/progress?X-Progress-ID=%20"])
def test_a_show_without_a_valid_id_says_what_is_missing(site: Gateway, target: str) -> None:
    answer = site.request("GET", target)
    assert answer.status == 400
    assert answer.body == NO_IDENTIFIER.body


def test_a_poll_that_repeats_itself_follows_the_transfer(site: Gateway) -> None:
    poll = b"GET /progress?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\n\r\n"
    head = "POST /?X-Progress-ID=a HTTP/1.1\nHost: x\nContent-Length: 5"
    with site.connect() as client, upload(site, head) as uploading:
        eventually(lambda: site.show("a")["state"] == "running")
        for count in range(5):
            client.sendall(poll)
            assert read_response(client).endswith(RUNNING.format(count, 5).encode())
            if count < 4:
                uploading.sendall(b"x")
                eventually(partial(has_received, site, count + 1))


@pytest.mark.parametrize("pieces", [(20,), (1, 2, 30)], ids=str)
def test_a_poll_that_comes_in_pieces_or_twice_at_once(site: Gateway, pieces: Any) -> None:
    poll = b"GET /progress?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\n\r\n"
    unknown = b'{"state": "unknown"}'
    with site.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(3):
            client.sendall(poll)
            assert read_response(client).endswith(unknown)
            start = 0
            for end in (*pieces, len(poll)):
                client.sendall(poll[start:end])
                start = end
            assert read_response(client).endswith(unknown)
            client.sendall(poll * 3)
            came = b""
            while came.count(unknown) < 3:
                came += client.recv(65536)
