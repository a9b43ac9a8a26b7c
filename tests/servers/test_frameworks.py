"""Every server with every framework: polls that reach other workers agree with the owner."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.servers.polling import Answer, Poller, open_client, send_request
from tests.servers.running import ASGI_SERVERS, BUFFERING, WSGI_SERVERS, Server, serve
from tests.servers.watcher import Watcher, check_no_push

FILE_SIZE = 16 << 20
CHUNK = 1 << 20

#: How much of the file is sent when the upload stops for a moment.
STOPS = (FILE_SIZE // 2, FILE_SIZE * 3 // 4)

#: Milliseconds by which two durations may be rounded up.
ROUNDING = 0.1

#: The most bytes that an app's read may wait for.
BLOCK = 1 << 16

ON_ASYNCIO = [name for name in ASGI_SERVERS if name != "hypercorn-trio"]
STREAMING_WSGI = [name for name in WSGI_SERVERS if name not in BUFFERING]

#: These can keep a stream open: they have an event loop, or threads that are cheap.
PUSHING = [
    "uvicorn",
    "hypercorn",
    "hypercorn-trio",
    "granian-asgi",
    "daphne",
    "gunicorn-uvicorn",
    "gunicorn-gevent",
]

FORMS = {"fastapi", "flask", "django"}
BOUNDARY = "----boundary"
#: What stands before and after the file in a form, and the form's media type.
FORM = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="file.bin"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n".encode(),
    f"\r\n--{BOUNDARY}--\r\n".encode(),
    f"multipart/form-data; boundary={BOUNDARY}",
)


def upload(poller: Poller, framework: str, watcher: Watcher | None = None) -> tuple[Answer, int]:
    """Upload a file slowly and poll meanwhile; return the last answer and the body's size.

    The upload stops twice, until all who look have seen how far it is.
    """
    server, http2 = poller.server, poller.http2
    head, tail, media_type = FORM if framework in FORMS else (b"", b"", "application/octet-stream")
    size = len(head) + FILE_SIZE + len(tail)

    def body() -> Iterator[bytes]:
        yield head
        for sent in range(0, FILE_SIZE, CHUNK):
            if sent in STOPS and not server.buffers:
                poller.ask_until_workers_agree("running")
                if watcher is not None:
                    watcher.await_numbers(1 + STOPS.index(sent))
            poller.ask()
            yield b"x" * CHUNK
        yield tail

    headers = {
        "Content-Length": str(size),
        "Content-Type": media_type,
        "X-Progress-ID": poller.identifier,
    }
    with open_client(http2) as client:
        url = f"{server.origin}/{framework}/upload"
        response = client.post(url, content=body(), headers=headers)
    check_timing(response, timed=framework != "plain")
    assert json.loads(response.text) == FILE_SIZE
    poller.ask_until_workers_agree("done")
    poller.check()
    return poller.answers[-1], size


def check_timing(response: httpx.Response, timed: bool) -> None:
    """The body and the app took no longer than the client has waited, if they were measured."""
    timing = response.headers.get("Server-Timing", "")
    found = re.fullmatch(r"body;dur=([0-9.]+), app;dur=([0-9.]+)", timing)
    assert (found is not None) == timed, timing
    if found is not None:
        elapsed = response.elapsed.total_seconds() * 1000
        assert sum(map(float, found.groups())) <= elapsed + ROUNDING


def check_upload(server: Server, framework: str) -> None:
    last, size = upload(Poller(server, framework), framework)
    response_size = len(str(FILE_SIZE))
    assert last == {
        "state": "done",
        "received": size,
        "sent": response_size,
        "request_size": size,
        "response_size": response_size,
    }


@pytest.mark.parametrize("server", ASGI_SERVERS, indirect=True, scope="module")
@pytest.mark.parametrize("framework", ["plain", "starlette", "fastapi"])
def test_asgi(server: Server, framework: str) -> None:
    check_upload(server, framework)


@pytest.mark.parametrize("server", ON_ASYNCIO, indirect=True, scope="module")
def test_django_on_asyncio(server: Server) -> None:
    """Its ASGI handler does not run on trio."""
    check_upload(server, "django")


@pytest.mark.parametrize("server", WSGI_SERVERS, indirect=True, scope="module")
@pytest.mark.parametrize("framework", ["plain", "flask", "django"])
def test_wsgi(server: Server, framework: str) -> None:
    check_upload(server, framework)


def check_watched_upload(server: Server, http2: bool) -> None:
    """Upload a file while somebody watches it from before its beginning."""
    poller = Poller(server, http2=http2)
    with Watcher(poller.url, http2) as watcher:
        watcher.await_beginning()
        last, size = upload(poller, "plain", watcher)
        watcher.check(last, in_between=not server.buffers)
    assert last["received"] == last["request_size"] == size


@pytest.mark.parametrize("server", PUSHING, indirect=True, scope="module")
def test_push(server: Server) -> None:
    check_watched_upload(server, http2=False)


@pytest.mark.parametrize("server", ["hypercorn", "granian-asgi"], indirect=True, scope="module")
def test_push_by_http2(server: Server) -> None:
    check_watched_upload(server, http2=True)


@pytest.mark.parametrize(
    "server", sorted({*ASGI_SERVERS, *WSGI_SERVERS} - {*PUSHING}), indirect=True, scope="module"
)
def test_where_threads_are_scarce_one_has_to_poll(server: Server) -> None:
    check_no_push(Poller(server).url)


@pytest.mark.parametrize("name", PUSHING)
def test_a_server_ends_in_time_though_somebody_watches(name: str, tmp_path: Path) -> None:
    with ExitStack() as watching, serve(name, tmp_path) as server:
        watching.enter_context(Watcher(Poller(server).url)).await_beginning()


@pytest.mark.parametrize(
    "server", sorted(WSGI_SERVERS.keys() - BUFFERING), indirect=True, scope="module"
)
@pytest.mark.parametrize("framework", ["plain", "flask", "django"])
def test_a_body_that_the_app_reads_at_once_is_counted_as_it_comes(
    server: Server, framework: str
) -> None:
    poller = Poller(server, framework)
    size = 64 * BLOCK
    with send_request(poller, f"/{framework}/whole", bytes(size // 2), size) as client:
        poller.ask_until(lambda answer: answer.get("received", 0) >= size // 2 - BLOCK)
        client.sendall(bytes(size // 2))
        done = poller.ask_until(lambda answer: answer["state"] == "done")
        assert done["received"] == size
        poller.check()
