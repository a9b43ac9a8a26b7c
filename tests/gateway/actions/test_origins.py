"""Pages of other origins: the gateway says what the middlewares say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from mod_progress.show.responder import Responder
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker
from tests.gateway import configured
from tests.gateway.running import Gateway, Response
from tests.gateway.wire import Client
from tests.show.asking import at_once, question

PAGE = "https://page.example"
EVIL = "https://evil.example"

SITE = """
setup { progress.allow_origins "https://page.example", "null"; }
if req.path =^ "/off/" { progress.allow_origins (); progress.show; }
else if req.path =^ "/any/" { progress.allow_origins "*"; progress.show; }
else if req.path =^ "/jsonp/" { progress.show "jsonp"; }
else if req.path =^ "/apache/" { progress.show "apache"; }
else if req.path =^ "/events/" { progress.show "events"; }
else if req.path =^ "/both/" { progress.cancel; progress.show; }
else if req.path =^ "/all" { progress.show "dump"; }
else if req.path =^ "/health" { progress.health; }
else if req.path =^ "/own/" { progress.show; respond "own"; }
else { progress.show; }
"""

QUERY = "X-Progress-ID=a"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with ExitStack() as cleanup:
        gateway = configured.start(tmp_path_factory.mktemp("origins"), SITE)
        cleanup.callback(gateway.stop)
        yield gateway


def of_origins(fields: dict[str, str]) -> dict[str, str]:
    """Return the fields that are about other origins."""
    return {
        name: value
        for name, value in fields.items()
        if name == "vary" or name.startswith("access-control-")
    }


def ask(
    site: Gateway, path: str, method: str = "GET", query: str = QUERY, **fields: str
) -> Response:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return site.request(method, f"{path}?{query}", headers=headers)


def of_middleware(method: str = "GET", query: str = QUERY, **parameters: Any) -> dict[str, str]:
    """Return the fields of the answer of the show room to the same question."""
    fields = {name: value.encode() for name, value in parameters.pop("fields").items()}
    asked = question(query.encode(), **fields)._replace(method=method)
    tracker = Tracker(store=MemoryStore())
    answer = at_once(Responder(tracker, **parameters).answer(asked))
    tracker.close()
    return of_origins({name.lower(): value for name, value in answer.fields})


@pytest.mark.parametrize("origin", [PAGE, EVIL, "null", None])
@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/", {"allow_origins": [PAGE, "null"]}),
        ("/off/", {}),
        ("/any/", {"allow_origins": "*"}),
        ("/both/", {"allow_origins": [PAGE, "null"], "cancels": True}),
        ("/jsonp/", {"allow_origins": [PAGE, "null"], "form": "jsonp"}),
        ("/apache/", {"allow_origins": [PAGE, "null"], "form": "apache"}),
    ],
)
@pytest.mark.parametrize(
    ("method", "query", "fields"),
    [
        ("GET", QUERY, {}),
        ("HEAD", QUERY, {}),
        ("GET", f"{QUERY}&callback=f", {}),
        ("GET", "", {}),
        ("GET", "", {"x_progress_id": "a"}),
        ("GET", QUERY, {"if_none_match": '"x"'}),
        ("GET", QUERY, {"sec_fetch_site": "cross-site"}),
        ("OPTIONS", QUERY, {"access_control_request_method": "GET"}),
        ("OPTIONS", QUERY, {"access_control_request_method": "DELETE"}),
        (
            "OPTIONS",
            "",
            {
                "access_control_request_method": "GET",
                "access_control_request_headers": "x-progress-id,prefer",
            },
        ),
    ],
)
def test_the_gateway_says_what_the_middlewares_say(
    site: Gateway,
    path: str,
    parameters: dict[str, Any],
    origin: str | None,
    method: str,
    query: str,
    fields: dict[str, str],
) -> None:
    if method == "OPTIONS" and "allow_origins" not in parameters:
        return  # the middlewares leave it to the app
    fields = {**fields, **({} if origin is None else {"origin": origin})}
    found = ask(site, path, method, query, **fields)
    expected = of_middleware(method, query, fields=fields, **parameters)
    if method == "OPTIONS":
        assert (found.status, found.body) == (204, b"")
        if fields["access_control_request_method"] == "GET" and "cancels" in parameters:
            # Here another action answers for it than the one that cancels.
            expected = {name: value.replace(", DELETE", "") for name, value in expected.items()}
    assert of_origins(found.headers) == expected


@pytest.mark.parametrize(
    ("origin", "status"), [(PAGE, 200), (EVIL, 403), ("null", 403), (None, 403)]
)
def test_a_script_is_for_pages_that_may_read_it(
    site: Gateway, origin: str | None, status: int
) -> None:
    fields = {} if origin is None else {"origin": origin}
    assert ask(site, "/jsonp/", **fields).status == status
    assert ask(site, "/jsonp/", sec_fetch_site="same-origin", **fields).status == 200


def test_a_format_that_is_a_script_only_with_a_callback(site: Gateway) -> None:
    assert ask(site, "/apache/", origin=EVIL).status == 200
    assert ask(site, "/apache/", query=f"{QUERY}&callback=f", origin=EVIL).status == 403
    assert ask(site, "/apache/", query=f"{QUERY}&callback=f", origin=PAGE).status == 200


def test_a_repeated_poll_has_the_same_fields(site: Gateway) -> None:
    for path, origin in (("/", PAGE), ("/", EVIL), ("/any/", EVIL), ("/off/", PAGE)):
        request = f"GET {path}?{QUERY} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\r\n".encode()
        with Client(site.port) as client:
            answers = []
            for _ in range(3):
                client.send(request)
                answers.append(client.answer())
        for answer in answers:
            assert answer.lines[1:] == answers[0].lines[1:]
            allowed = {"/": {PAGE: PAGE.encode()}, "/any/": {EVIL: b"*"}, "/off/": {}}[path]
            assert answer["Access-Control-Allow-Origin"] == allowed.get(origin)


def test_a_stream(site: Gateway) -> None:
    with Client(site.port) as client:
        client.send(f"GET /events/?{QUERY} HTTP/1.1\r\nHost: a\r\nOrigin: {PAGE}\r\n\r\n".encode())
        while b"\r\n\r\n" not in client.buffer:
            assert client._receive()
    assert f"\r\nAccess-Control-Allow-Origin: {PAGE}\r\n".encode() in client.buffer


@pytest.mark.parametrize("path", ["/all", "/health"])
def test_what_is_no_show_is_for_no_other_page(site: Gateway, path: str) -> None:
    assert of_origins(ask(site, path, origin=PAGE).headers) == {}


def test_a_cancel(site: Gateway) -> None:
    found = ask(site, "/both/", "DELETE", "X-Progress-ID=own~a", origin=PAGE)
    assert found.status == 404
    assert found.headers["access-control-allow-origin"] == PAGE


def test_a_preflight_that_names_no_id_is_for_the_actions_that_follow(site: Gateway) -> None:
    found = ask(site, "/own/", "OPTIONS", "", origin=PAGE, access_control_request_method="GET")
    assert (found.status, found.body) == (200, b"own")
    found = ask(site, "/own/", "OPTIONS", origin=PAGE, access_control_request_method="GET")
    assert found.status == 204
