"""The reference that is written from other files, and the contract that real servers keep."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from ruamel.yaml import YAML

from mod_progress.asgi import ProgressMiddleware
from mod_progress.show.formats import FORMATS
from tests.docs.site import ROOT
from tests.web.browsing import serving
from tests.web.pushing import serving_asgi


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script()

CONTRACT: dict[str, Any] = YAML(typ="safe").load(ROOT / "docs/openapi.yaml")

SITE = """
setup { module_load "mod_progress"; listen "127.0.0.1:0"; progress.ttl 600; }
if req.path == "/progress" { progress.cancel; progress.show; }
else if req.path == "/jsonp" { progress.show "jsonp"; }
else if req.path == "/legacy" { progress.show "legacy"; }
else if req.path == "/nginx" { progress.show "nginx"; }
else if req.path == "/nginx.json" { progress.show "nginx.json"; }
else if req.path == "/apache" { progress.show "apache"; }
else if req.path == "/lighttpd1" { progress.show "lighttpd1"; }
else if req.path == "/events" { progress.show "events"; }
else if req.path == "/transfers/dump" { progress.show "dump"; }
else if req.path == "/health" { progress.health; }
else if req.path == "/metrics" { progress.metrics; }
else if req.path == "/broken" { progress.track; respond 500; }
else { progress.track; respond "ok"; }
"""


class Case(NamedTuple):
    """A request, what the contract calls it, and the status of its answer."""

    method: str
    url: str
    path: str
    status: int
    accept: str = "*/*"


SAME = [
    Case("GET", "/progress?X-Progress-ID=done", "/progress", 200),
    Case("GET", "/progress?X-Progress-ID=failed", "/progress", 200),
    Case("GET", "/progress?X-Progress-ID=none", "/progress", 200),
    Case("GET", "/progress", "/progress", 400),
    Case("GET", "/progress?X-Progress-ID=done", "/progress", 200, "text/event-stream"),
    Case("DELETE", "/progress?X-Progress-ID=own~secret", "/progress", 204),
    Case("DELETE", "/progress?X-Progress-ID=own~none", "/progress", 404),
    Case("DELETE", "/progress?X-Progress-ID=done", "/progress", 403),
    Case("DELETE", "/progress", "/progress", 400),
    Case("GET", "/transfers/dump", "/transfers/dump", 200),
    Case("GET", "/transfers/dump?limit=x", "/transfers/dump", 400),
    Case("GET", "/health", "/health", 200),
    Case("GET", "/metrics", "/metrics", 200),
    Case("GET", "/metrics", "/metrics", 200, "application/openmetrics-text"),
]
CASES = {
    "gateway": [
        *SAME,
        Case("GET", "/jsonp?X-Progress-ID=done", "/progress", 200),
        Case("GET", "/legacy?X-Progress-ID=done", "/progress", 200),
        Case("GET", "/events?X-Progress-ID=done", "/progress", 200),
        Case("GET", "/nginx?X-Progress-ID=done", "/progress", 200),
        Case("GET", "/nginx.json?X-Progress-ID=failed", "/progress", 200),
        Case("GET", "/apache?X-Progress-ID=failed", "/progress", 200),
        Case("GET", "/lighttpd1?X-Progress-ID=done", "/progress", 200),
    ],
    "middleware": [
        *SAME,
        Case("GET", "/progress?X-Progress-ID=done&format=jsonp", "/progress", 200),
        Case("GET", "/progress?X-Progress-ID=done&format=legacy", "/progress", 200),
        Case("GET", "/progress?X-Progress-ID=done&format=events", "/progress", 200),
        Case("GET", "/progress?X-Progress-ID=done&format=nginx", "/progress", 200),
        Case("GET", "/progress?X-Progress-ID=none&format=nginx.json", "/progress", 200),
        Case("GET", "/progress?X-Progress-ID=done&format=apache", "/progress", 200),
        Case("GET", "/progress?X-Progress-ID=none&format=lighttpd1", "/progress", 200),
        Case("GET", "/progress?X-Progress-ID=done&format=xml", "/progress", 400),
        Case("GET", "/progress?format=dump", "/transfers/dump", 200),
    ],
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "site.conf").write_text(SITE)
    with serving(folder, str(folder / "site.conf")) as server:
        yield server.url


async def app(scope: Any, receive: Any, send: Any) -> None:
    status = 500 if scope["path"] == "/broken" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def middleware() -> Iterator[str]:
    def permit(scope: Any) -> bool:
        return True

    everything = ProgressMiddleware(
        app,
        store="memory",
        ttl=600,
        dump=permit,
        dashboard="/transfers/",
        health="/health",
        metrics="/metrics",
        metrics_for=permit,
        cancel=lambda scope: False,
    )
    with serving_asgi(everything) as url:
        yield url


def ask(method: str, url: str, accept: str = "*/*") -> tuple[int, str, bytes]:
    """Return the status, the media type and the body."""
    request = Request(url, method=method, headers={"Accept": accept}, data=None)
    try:
        with urlopen(request) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read()


def sent_to(url: str) -> str:
    """Let there be transfers: one that is done, one that has failed, and one with an owner."""
    for path in ("?X-Progress-ID=done", "broken?X-Progress-ID=failed", "?X-Progress-ID=own~secret"):
        ask("POST", url + path)
    return url


@pytest.fixture(scope="module")
def fronts(gateway: str, middleware: str) -> dict[str, str]:
    return {"gateway": sent_to(gateway), "middleware": sent_to(middleware)}


def check(status: int, media: str, body: bytes, operation: dict[str, Any]) -> None:
    """Check that an answer is one of those that the contract has for this operation."""
    response = SCRIPT.resolve(CONTRACT, operation["responses"][str(status)])
    content = response.get("content", {})
    if not content:
        assert body == b""
        return
    schema = {**content[media]["schema"], "components": CONTRACT["components"]}
    said = json.loads(body) if media == "application/json" else body.decode()
    OAS31Validator(schema).validate(said)


def test_the_contract_is_one_of_openapi() -> None:
    validate(CONTRACT)


def test_the_contract_has_every_format() -> None:
    parameters = CONTRACT["paths"]["/progress"]["get"]["parameters"]
    (known,) = [each["schema"]["enum"] for each in parameters if each.get("name") == "format"]
    assert known == list(FORMATS)


@pytest.mark.parametrize(
    ("front", "case"),
    [
        pytest.param(front, case, id=f"{front} {case.method} {case.url} {case.accept}")
        for front, cases in CASES.items()
        for case in cases
    ],
)
def test_a_server_keeps_the_contract(fronts: dict[str, str], front: str, case: Case) -> None:
    found, media, body = ask(case.method, fronts[front].rstrip("/") + case.url, case.accept)
    assert found == case.status, body
    check(found, media, body, CONTRACT["paths"][case.path][case.method.lower()])


@pytest.mark.parametrize("name", SCRIPT.pages())
def test_a_written_page_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == SCRIPT.pages()[name], "run scripts/reference.py"
