import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from mod_progress.asgi import ProgressMiddleware
from mod_progress.asgi.exchange import Message, Receive, Scope, Send
from tests.answers import Answer, error, progress
from tests.asgi.asgi_server import (
    DISCONNECT,
    Headers,
    Server,
    app_of,
    body,
    part,
    scope,
    serve,
    show,
    start,
)

LENGTH_6 = [(b"content-length", b"6")]
CHUNKED = [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize(
    ("request_", "received", "answer", "expected"),
    [
        (
            scope(headers=LENGTH_6),
            body(b"abc", b"def"),
            [start(), part(b"ok")],
            progress("done", 6, 2, 6),
        ),
        (
            scope(headers=CHUNKED),
            body(b"abc", b"def"),
            [start(), part(b"ok")],
            progress("done", 6, 2, 6),
        ),
        (scope(http_version="2"), body(b"abc"), [start(), part()], progress("done", 3, 0, 3)),
        (scope(), body(b""), [start(303), part()], progress("done")),
        (scope(), body(b""), [start(413), part(b"no")], error(413)),
        (scope(), body(b""), [start(), part(b"a", True), part(b"b")], progress("done", 0, 2)),
        (scope(), body(b""), [start(size=2), part(b"ab")], progress("done", 0, 2)),
        (scope(), body(b""), [start(204, 5), part()], progress("done")),
        (scope(), body(b""), [start(304, 5), part()], progress("done")),
        (scope(), body(b""), [RuntimeError()], error(500)),
        (scope(), body(b""), [], error(500)),
        (scope(), body(b""), [start(), RuntimeError()], error(200)),
        (scope(), body(b""), [start(), part(b"a", True), RuntimeError()], error(200)),
        (scope(), body(b""), [start(), part(b"a", True)], error(200)),
        (scope(), body(b""), [asyncio.CancelledError()], error(0)),
        (scope(), body(b""), [start(), part(b"a", True), asyncio.CancelledError()], error(200)),
        (scope(), body(b""), [start(), part(b"a"), RuntimeError()], progress("done", 0, 1)),
        (scope(headers=LENGTH_6), [body(b"abc", b"")[0], DISCONNECT], [], error(0)),
        (scope(headers=LENGTH_6), [DISCONNECT], [start(), part()], error(0)),
    ],
)
def test_how_a_transfer_ends(
    request_: Scope,
    received: list[Message],
    answer: list[Message | BaseException],
    expected: Answer,
) -> None:
    shown, server = serve(app_of(*answer), request_, *received)
    assert shown == expected
    assert server.sent == [item for item in answer if isinstance(item, dict)]


def test_head_has_no_body() -> None:
    answer = [start(size=1000), part(b"x" * 1000)]
    answer_, _ = serve(app_of(*answer), scope("HEAD"), *body(b""), methods=["HEAD"])
    assert answer_ == progress("done")


@pytest.mark.parametrize(("headers", "request_size"), [(LENGTH_6, 6), (CHUNKED, None), ([], 0)])
def test_a_body_that_is_never_read_does_not_hold_the_end(
    headers: Headers, request_size: int | None
) -> None:
    app = app_of(start(), part(b"early"), reads=False)
    answer_, _ = serve(app, scope(headers=headers), *body(b"abcdef"))
    assert answer_ == progress("done", 0, 5, request_size)


def test_trailers_end_a_response() -> None:
    trailers = {"type": "http.response.trailers", "headers": [(b"a", b"b")], "more_trailers": False}
    answer = [start(trailers=True), part(b"abc"), {**trailers, "more_trailers": True}]
    assert serve(app_of(*answer), scope(), *body(b""))[0] == error(200)
    assert serve(app_of(*answer, trailers), scope(), *body(b""))[0] == progress("done", 0, 3)


@pytest.mark.parametrize(
    ("message", "size"),
    [
        ({"type": "http.response.zerocopysend"}, 1000),
        ({"type": "http.response.zerocopysend", "offset": 100}, 900),
        ({"type": "http.response.zerocopysend", "offset": 100, "count": 50}, 50),
        ({"type": "http.response.pathsend"}, 1000),
    ],
)
def test_files_that_the_server_sends_are_counted(
    message: Message, size: int, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    with path.open("rb") as file:
        given = {**message, "file": file, "path": str(path)}
        assert serve(app_of(start(), given), scope(), *body(b""))[0] == progress("done", 0, size)


def test_a_file_is_sent_from_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    with path.open("rb") as file:
        file.seek(400)
        message = {"type": "http.response.zerocopysend", "file": file}
        assert serve(app_of(start(), message), scope(), *body(b""))[0]["sent"] == 600


@pytest.mark.parametrize(
    "kind", ["http.response.early_hint", "http.response.push", "http.response.debug"]
)
def test_other_messages_pass(kind: str) -> None:
    answer = [{"type": kind, "links": []}, start(), part(b"ok")]
    answer_, server = serve(app_of(*answer), scope(), *body(b""))
    assert answer_ == progress("done", 0, 2)
    assert server.sent == answer


def test_a_body_is_counted_up_to_its_content_length() -> None:
    answer = [start(size=10), part(b"x" * 5, True), part(b"x" * 999_895)]
    assert serve(app_of(*answer), scope(), *body(b""))[0] == progress("done", 0, 10)


def test_a_body_that_ends_before_its_content_length_is_cut() -> None:
    answer = [start(size=10), part(b"x" * 5)]
    assert serve(app_of(*answer), scope(), *body(b""))[0] == error(200)


def test_a_response_is_whole_with_its_content_length_though_the_app_says_more() -> None:
    answer = [start(size=2), part(b"ab", True)]
    assert serve(app_of(*answer), scope(), *body(b""))[0] == progress("done", 0, 2)


def given(headers: Any) -> Message:
    """A head with headers as an app may give them."""
    return {"type": "http.response.start", "status": 200, "headers": headers}


def test_headers_that_can_be_read_once_reach_the_server() -> None:
    headers = [(b"content-length", b"2"), (b"x-other", b"1")]
    head = given(each for each in headers)
    answer, server = serve(app_of(head, part(b"a", True), part(b"b")), scope(), *body(b""))
    assert answer == progress("done", 0, 2)
    assert list(server.sent[0]["headers"]) == headers


def test_the_size_is_known_in_any_spelling() -> None:
    """Django writes Content-Length."""
    head = given([(b"Content-Length", b"9")])
    assert serve(app_of(head, part(b"a")), scope(), *body(b""))[0] == error(200)


ODD_HEADS: list[Message] = [
    given(None),
    given([None]),
    given([(b"content-length",)]),
    given([(b"content-length", b"\xb2")]),
    given([("content-length", "2")]),
    given([[bytearray(b"content-length"), b"2"]]),
    {"type": "http.response.start", "status": 200},
]


@pytest.mark.parametrize("head", ODD_HEADS, ids=map(repr, ODD_HEADS))
def test_an_odd_head_reaches_the_server(head: Message) -> None:
    answer, server = serve(app_of(head, part(b"ok")), scope(), *body(b""))
    assert answer == progress("done", 0, 2)
    assert server.sent[0] is head


@pytest.mark.parametrize("status", ["200", b"200 OK", "odd", None, 1 << 70, "\xb2"])
def test_an_odd_status_reaches_the_server(status: Any) -> None:
    head = {"type": "http.response.start", "status": status, "headers": []}
    answer, server = serve(app_of(head, part(b"ok")), scope(), *body(b""))
    good = str(status).strip("b'").startswith("200")
    assert answer == (progress("done", 0, 2) if good else error(500))
    assert server.sent[0] is head


ODD_PARTS: list[Message] = [
    {"type": "http.response.body"},
    {"type": "http.response.body", "body": None},
    {"type": "http.response.body", "body": 5},
    {"type": "http.response.pathsend", "path": "/there/is/no/such/file"},
    {"type": "http.response.pathsend"},
    {"type": "http.response.zerocopysend", "file": None},
    {"type": "http.response.zerocopysend", "file": 5, "count": None},
]


@pytest.mark.parametrize("odd", ODD_PARTS, ids=map(repr, ODD_PARTS))
def test_an_odd_part_reaches_the_server(odd: Message) -> None:
    answer, server = serve(app_of(start(), odd), scope(), *body(b""))
    assert answer == progress("done")
    assert server.sent[1] is odd


@pytest.mark.parametrize("data", [bytearray(5), memoryview(bytes(5))])
def test_other_kinds_of_bytes_are_counted(data: Any) -> None:
    assert serve(app_of(start(), part(data)), scope(), *body(b""))[0] == progress("done", 0, 5)


def test_a_request_body_without_bytes() -> None:
    messages: list[Message] = [{"type": "http.request", "body": None, "more_body": True}]
    app = app_of(start(), part(b"ok"))
    assert serve(app, scope(), *messages, *body(b"abc"))[0]["received"] == 3


class Disconnected(Server):
    """A server whose client leaves before it can be sent so many messages."""

    def __init__(self, sends: int) -> None:
        super().__init__(*body(b""))
        self.sends = sends

    async def send(self, message: Message) -> None:
        if len(self.sent) >= self.sends:
            raise ConnectionResetError
        await super().send(message)


@pytest.mark.parametrize(("sends", "status"), [(0, 0), (1, 200), (2, 200)])
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_client_that_leaves_while_it_is_sent_to(sends: int, status: int, goes_on: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in (start(), part(b"a", True), part(b"b")):
            try:
                await send(message)
            except OSError:
                if not goes_on:
                    raise

    middleware = ProgressMiddleware(app, store="memory")
    server = Disconnected(sends)
    with contextlib.suppress(OSError):
        asyncio.run(middleware(scope(), server.receive, server.send))
    assert show(middleware) == error(status)
