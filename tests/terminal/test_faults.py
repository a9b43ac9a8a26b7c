"""Real faults, and what is said about them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from mod_progress.terminal.client import open_client
from mod_progress.terminal.faults import describe, status_line

TIMEOUT = httpx.Timeout(10.0)


class Raw:
    """Accepts one connection after the other, and answers each with these bytes."""

    def __init__(self, answer: bytes, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                return
            with accepted, suppress(OSError):
                if self._tls is None:
                    self._answer_to(accepted)
                else:
                    with self._tls.wrap_socket(accepted, server_side=True) as secure:
                        self._answer_to(secure)

    def _answer_to(self, client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(self._answer)

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture
def raw() -> Iterator[type[Raw]]:
    started: list[Raw] = []

    class Started(Raw):
        def __init__(self, answer: bytes, tls: ssl.SSLContext | None = None) -> None:
            super().__init__(answer, tls)
            started.append(self)

    yield Started
    for each in started:
        each.stop()


def fault_of(url: str) -> str:
    """Return what is said of a request by either client, which is the same."""

    async def ask() -> str:
        async with open_client(httpx.AsyncClient, [], TIMEOUT) as client:
            try:
                await client.get(url)
            except httpx.HTTPError as error:
                return describe(error)
        return ""

    with open_client(httpx.Client, [], TIMEOUT) as client, pytest.raises(httpx.HTTPError) as raised:
        client.get(url)
    said = asyncio.run(ask())
    assert said == describe(raised.value)
    return said


def test_nobody_listens() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    assert fault_of(f"http://127.0.0.1:{port}/") == "Connection refused"


def test_no_such_host() -> None:
    assert fault_of("http://nowhere.invalid/").lower() in (
        "name or service not known",
        "temporary failure in name resolution",
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "no HTTP comes back: Server disconnected without sending a response."),
        (b"SSH-2.0-x\r\n\r\n", "no HTTP comes back: illegal status line: bytearray(b'SSH-2.0-x')"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "no HTTP comes back: peer closed"),
    ],
)
def test_what_answers_speaks_no_http(raw: type[Raw], answer: bytes, said: str) -> None:
    assert fault_of(f"http://127.0.0.1:{raw(answer).port}/").startswith(said)


def test_what_answers_speaks_no_tls(raw: type[Raw]) -> None:
    port = raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").port
    assert fault_of(f"https://127.0.0.1:{port}/").startswith("no TLS comes back: ")


def test_a_certificate_that_nobody_trusts(raw: type[Raw], tls: ssl.SSLContext) -> None:
    assert fault_of(f"https://localhost:{raw(b'', tls).port}/") == (
        "its certificate is not trusted: self-signed certificate"
    )


def test_a_certificate_that_the_user_trusts(
    raw: type[Raw],
    tls: ssl.SSLContext,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    port = raw(b"HTTP/1.1 204 No Content\r\n\r\n", tls).port
    with open_client(httpx.Client, [], TIMEOUT) as client:
        assert client.get(f"https://localhost:{port}/").status_code == 204


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ReadTimeout("x"), "it does not answer"),
        (TimeoutError(), "it does not answer"),
        (httpx.ReadError(""), "ReadError"),
        (ValueError("why"), "why"),
        (OSError(), "OSError"),
    ],
)
def test_other_faults(error: Exception, said: str) -> None:
    assert describe(error) == said


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(404), "404 Not Found"),
        (httpx.Response(299), "299"),
        (httpx.Response(413, extensions={"reason_phrase": b"Too Much"}), "413 Too Much"),
        (httpx.Response(302, headers={"Location": "/login"}), "302 Found, to /login"),
        (httpx.Response(201, headers={"Location": "/a"}), "201 Created"),
    ],
)
def test_a_status_line(response: httpx.Response, said: str) -> None:
    assert status_line(response) == said
