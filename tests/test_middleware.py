import json
import re
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

import pytest

from mod_progress.middleware import Front, Response, Track
from mod_progress.options import OptionError, Options
from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import Snapshot, State

PARAMETERS = {
    "show": "/progress",
    "format": "json",
    "track": None,
    "options": Options(),
    "store": "memory",
    "allow_origins": (),
}


def front(**parameters: Any) -> Front:
    return Front(**{**PARAMETERS, **parameters})


def answer(front: Front, *question: Any) -> Response:
    """Return what it answers at once."""
    response = front.answer(*question)
    assert isinstance(response, Response)
    return response


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("show", "progress", "show: 'progress' is not a path that begins with /"),
        ("show", None, "show: None is not a path"),
        ("format", "jsn", "format: 'jsn' is not one of json, jsonp, legacy; did you mean 'json'?"),
        ("format", None, "format: None is not one of"),
        ("track", "upload", "track: 'upload' is not a path that begins with /"),
        ("track", ["/a", 1], "track: 1 is not a path"),
        ("track", 1, "track: 1 is not a path prefix, several, or a callable"),
        ("store", "memry", "store: 'memry' is not memory, local"),
        ("store", 1, "store: 1 is not a store"),
        ("allow_origins", "https://a.example/", "allow_origins: 'https://a.example/' is not '*'"),
        ("allow_origins", ["a.example"], "allow_origins: 'a.example' is not '*' or origins"),
        ("allow_origins", None, "allow_origins: None is not '*' or origins"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, value: object, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}") as raised:
        front(**{name: value})
    assert raised.value.name == name


@pytest.mark.parametrize(
    ("track", "path", "wanted"),
    [
        (None, "/any", True),
        ("/upload", "/upload/a", True),
        ("/upload", "/other", False),
        (["/a", "/b"], "/b/c", True),
        (("/a", "/b"), "/c", False),
        (lambda request: request["yes"], "/any", True),
        (lambda request: not request["yes"], "/any", False),
        (lambda request: request["missing"], "/any", False),
    ],
)
def test_track_selects(track: Track, path: str, wanted: bool) -> None:
    assert front(track=track).wants(path, {"yes": True}) is wanted


def test_a_failing_track_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert not front(track=lambda request: 1 / 0).wants("/", {})
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "origins", "answers"),
    [
        ("GET", "/progress", (), True),
        ("HEAD", "/progress", (), True),
        ("POST", "/progress", "*", False),
        ("OPTIONS", "/progress", (), False),
        ("OPTIONS", "/progress", "*", True),
        ("GET", "/progress/", (), False),
    ],
)
def test_the_show_leaves_the_app_what_is_not_its_own(
    method: str, path: str, origins: str | Iterable[str], answers: bool
) -> None:
    assert front(allow_origins=origins).answers(method, path) is answers


QUIET = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]


@pytest.mark.parametrize(
    ("query", "media_type", "body"),
    [
        (b"X-Progress-ID=a", "application/json", b'{"state": "unknown"}'),
        (
            b"X-Progress-ID=a&format=jsonp",
            "application/javascript",
            b'progress({"state": "unknown"})',
        ),
        (
            b"format=legacy&X-Progress-ID=a",
            "application/javascript",
            b'new Object({"state": "unknown"})',
        ),
    ],
)
def test_a_show_answers_in_the_format_that_is_asked_for(
    query: bytes, media_type: str, body: bytes
) -> None:
    response = answer(front(), "GET", query, None, None)
    assert response == (200, [("Content-Type", media_type), *QUIET], body)


def test_the_format_is_a_parameter_too() -> None:
    assert answer(front(format="legacy"), "GET", b"", b"a", None).body.startswith(b"new Object")


@pytest.mark.parametrize(
    ("query", "identifier", "reason"),
    [
        (b"", None, "X-Progress-ID: "),
        (b"X-Progress-ID=", None, "X-Progress-ID: "),
        (b"", b"with space", "X-Progress-ID: "),
        (b"X-Progress-ID=a&format=xml", None, "format: 'xml' is not one of json, jsonp, legacy"),
    ],
)
def test_a_bad_question_gets_a_reason(query: bytes, identifier: bytes | None, reason: str) -> None:
    response = answer(front(), "GET", query, identifier, None)
    assert response.status == 400
    assert dict(response.headers)["Content-Type"] == "application/json"
    assert json.loads(response.body)["error"].startswith(reason)


ALLOWED = "https://page.example"


@pytest.mark.parametrize(
    ("origins", "origin", "headers"),
    [
        ((), ALLOWED, {}),
        ("*", ALLOWED, {"Access-Control-Allow-Origin": "*"}),
        ("*", None, {"Access-Control-Allow-Origin": "*"}),
        (ALLOWED, ALLOWED, {"Access-Control-Allow-Origin": ALLOWED, "Vary": "Origin"}),
        ([ALLOWED], "https://evil.example", {"Vary": "Origin"}),
        ([ALLOWED], None, {"Vary": "Origin"}),
    ],
)
@pytest.mark.parametrize("query", [b"X-Progress-ID=a", b""])
def test_pages_of_allowed_origins_may_read(
    origins: str | Iterable[str], origin: str | None, headers: dict[str, str], query: bytes
) -> None:
    response = answer(front(allow_origins=origins), "GET", query, None, origin)
    sent = dict(response.headers)
    assert {name: sent[name] for name in sent if name == "Vary" or "Allow" in name} == headers


def test_a_preflight_allows_the_header() -> None:
    response = answer(front(allow_origins=ALLOWED), "OPTIONS", b"", None, ALLOWED)
    assert response.status == 204
    assert dict(response.headers) == {
        "Access-Control-Allow-Origin": ALLOWED,
        "Access-Control-Allow-Methods": "GET, HEAD",
        "Access-Control-Allow-Headers": "X-Progress-ID",
        "Access-Control-Max-Age": "7200",
        "Vary": "Origin",
    }


class FarStore(MemoryStore):
    """A store that answers later."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Future[Snapshot]] = []

    def lookup(self, identifier: str) -> Future[Snapshot]:  # type: ignore[override]
        self.asked.append(Future())
        return self.asked[-1]


def test_an_answer_from_afar_is_a_future() -> None:
    store = FarStore()
    response = front(store=store).answer("GET", b"X-Progress-ID=a", None, None)
    assert isinstance(response, Future)
    assert not response.done()
    store.asked[0].set_result(Snapshot(State.ERROR, status=502))
    assert response.result(1).body == b'{"state": "error", "status": 502}'
