import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from mod_progress.wsgi.exchange import Environ, StartResponse
from tests.wsgi.wsgi_server import app_of, environ, serve

BOTH = r"body;dur=\d+\.\d, app;dur=\d+\.\d"
OWN = ("Server-Timing", "db;dur=53")


@pytest.mark.parametrize(
    "read",
    [
        lambda body: body.read(),
        lambda body: body.read(6),  # an app that knows the size does not read beyond it
        lambda body: (body.read(3), body.read(3)),
        lambda body: body.readline(),
        lambda body: list(body),
        lambda body: body.readinto(bytearray(6)),
        lambda body: body.read1(6),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_the_response_says_how_long_it_took(read: Callable[[Any], Any], chunked: bool) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        read(environ["wsgi.input"])
        if chunked:
            environ["wsgi.input"].read()  # nothing else tells the end
        start_response("200 OK", [])
        return []

    members = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"} if chunked else {}
    _, server = serve(app, environ(b"abcdef", **members), server_timing=True)
    ((name, timing),) = server.headers
    assert name == "Server-Timing"
    assert re.fullmatch(BOTH, timing), timing


@pytest.mark.parametrize(
    ("request_", "value"),
    [
        # The app answers before it has the body.
        (environ(b"abcdef"), r"app;dur=\d+\.\d"),
        (environ(), r"body;dur=0\.0, app;dur=\d+\.\d"),
    ],
)
def test_a_body_that_is_not_read(request_: Environ, value: str) -> None:
    _, server = serve(app_of(reads=False), request_, server_timing=True)
    ((_, timing),) = server.headers
    assert re.fullmatch(value, timing), timing


def test_the_fields_of_the_app_are_kept() -> None:
    headers = [OWN]
    _, server = serve(app_of(headers=headers), environ(b"abcdef"), server_timing=True)
    own, ours = server.headers
    assert (own, ours[0]) == (OWN, "Server-Timing")
    assert headers == [OWN]


@pytest.mark.parametrize("parameters", [{}, {"server_timing": True, "track": "/elsewhere"}])
def test_what_is_not_tracked_or_not_asked_for_says_nothing(parameters: dict[str, Any]) -> None:
    assert serve(app_of(), environ(b"abcdef"), **parameters)[1].headers == []
