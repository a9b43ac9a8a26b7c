import re
from typing import Any

import pytest

from mod_progress.asgi.exchange import Message, Scope
from tests.asgi.asgi_server import app_of, body, part, scope, serve, start

BOTH = r"body;dur=\d+\.\d, app;dur=\d+\.\d"
APP = r"app;dur=\d+\.\d"
LENGTH = [(b"content-length", b"6")]
OWN = (b"Server-Timing", b"db;dur=53")


def timings(message: Message) -> list[str]:
    return [value.decode() for name, value in message["headers"] if name == b"server-timing"]


@pytest.mark.parametrize(
    ("request_", "reads", "value"),
    [
        (scope(headers=LENGTH), True, BOTH),
        (scope(headers=[(b"transfer-encoding", b"chunked")]), True, BOTH),
        (scope(), False, r"body;dur=0\.0, app;dur=\d+\.\d"),
        # The app answers before it has the body.
        (scope(headers=LENGTH), False, APP),
    ],
)
def test_the_response_says_how_long_it_took(request_: Scope, reads: bool, value: str) -> None:
    app = app_of(start(), part(), reads=reads)
    _, server = serve(app, request_, *body(b"abc", b"def"), server_timing=True)
    (timing,) = timings(server.sent[0])
    assert re.fullmatch(value, timing), timing


@pytest.mark.parametrize(
    "headers",
    [[OWN], (OWN,), iter([OWN])],
    ids=["list", "tuple", "iterator"],
)
def test_the_fields_of_the_app_are_kept(headers: Any) -> None:
    answer = {"type": "http.response.start", "status": 200, "headers": headers}
    _, server = serve(app_of(answer, part()), scope(), *body(b""), server_timing=True)
    own, ours = server.sent[0]["headers"]
    assert (own, ours[0]) == (OWN, b"server-timing")


def test_headers_may_be_left_out() -> None:
    answer = {"type": "http.response.start", "status": 200}
    _, server = serve(app_of(answer, part()), scope(), *body(b""), server_timing=True)
    assert len(timings(server.sent[0])) == 1


def test_the_messages_of_the_app_stay_as_they_are() -> None:
    answer = start()
    serve(app_of(answer, part()), scope(), *body(b""), server_timing=True)
    assert answer == start()


@pytest.mark.parametrize("parameters", [{}, {"server_timing": True, "track": "/elsewhere"}])
def test_what_is_not_tracked_or_not_asked_for_says_nothing(parameters: dict[str, Any]) -> None:
    _, server = serve(app_of(start(), part()), scope(), *body(b""), **parameters)
    assert server.sent[0] == start()
