"""Sites of lighttpd 1 and 2. Neither can be started here: the module of the one is gone since
1.4.68, and the other has no package. So ours is asked alone.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.answers import progress
from tests.gateway.running import PATIENCE, eventually
from tests.moving import backends, servers
from tests.moving.servers import SHAPES

ID = "0123456789abcdef0123456789abcdef"

#: What an old page reads while the upload is running.
XML = (
    '<?xml version="1.0" encoding="iso-8859-1"?>'
    "<upload><size>10</size><received>{}</received></upload>"
)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The gateway with each site, and the backends behind it."""
    directory = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        places = servers.make_site(directory) | {
            "127.0.0.1:8000": stack.enter_context(backends.http()),
            "unix:/run/php/php-fpm.sock": stack.enter_context(backends.php(directory)),
            "/var/log/site": str(directory),
        }
        yield {
            name: stack.enter_context(
                servers.ours(SHAPES / name, places, tmp_path_factory.mktemp(name))
            )
            for name in ("lighttpd1", "lighttpd2")
        }


def ask(
    port: int, target: str, method: str = "GET", body: bytes = b"", **fields: str
) -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        client.request(method, target, body, names)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (f"/app/upload?X-Progress-ID={ID}", {}),
        ("/app/upload", {"X-Progress-ID": ID}),
        (f"/app/upload/{ID}", {}),
    ],
)
def test_a_page_for_lighttpd_1(ports: dict[str, int], target: str, fields: dict[str, str]) -> None:
    port = ports["lighttpd1"]

    def poll() -> str:
        return ask(port, "/progress", X_Progress_ID=ID)[1]

    assert poll() == "not in progress"
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.putrequest("POST", target)
        for name, value in {**fields, "Content-Length": "10"}.items():
            client.putheader(name, value)
        client.endheaders(b"hello")
        eventually(lambda: poll() == XML.format(5))
        assert ask(port, f"/progress?X-Progress-ID={ID}") == (200, XML.format(5))
        client.send(b"world")
        assert client.getresponse().status == 200
    finally:
        client.close()
    eventually(lambda: poll() == "not in progress")


@pytest.mark.parametrize("path", ["/app/form", "/some/page"])
def test_an_upload_to_a_site_of_lighttpd_2(ports: dict[str, int], path: str) -> None:
    port, query = ports["lighttpd2"], f"X-Progress-Id={ID}"
    status, text = ask(port, f"{path}?{query}", "PUT", b"hello")
    assert (status, json.loads(text)["path"]) == (200, path)
    size = len(text.encode())
    done = progress("done", received=5, request_size=5, sent=size, response_size=size)
    eventually(lambda: json.loads(ask(port, f"/progress?{query}")[1]) == done)
    called = ask(port, f"/progress.js?{query}&X-Progress-Callback=f")[1]
    assert called.startswith('f({"state": "done", ')


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/old/page", (301, "")),
        ("/.git/config", (403, "403 Forbidden: access is denied\n")),
        ("/note.txt", (200, "a note")),
    ],
)
def test_the_rest_of_a_site_of_lighttpd_2(
    ports: dict[str, int], path: str, answer: tuple[int, str]
) -> None:
    assert ask(ports["lighttpd2"], path) == answer
