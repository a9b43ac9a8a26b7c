"""Every server with every framework: polls that reach other workers agree with the owner."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.servers.polling import Answer, Poller, send_request
from tests.servers.running import ASGI_SERVERS, BUFFERING, DEADLINE, WSGI_SERVERS, Server

FILE_SIZE = 50 << 20
CHUNK = 2 << 20

#: The most bytes that an app's read may wait for.
BLOCK = 1 << 16

ON_ASYNCIO = [name for name in ASGI_SERVERS if name != "hypercorn-trio"]
STREAMING_WSGI = [name for name in WSGI_SERVERS if name not in BUFFERING]

FORMS = {"fastapi", "flask", "django"}
BOUNDARY = "----boundary"
#: What stands before and after the file in a form, and the form's media type.
FORM = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="file.bin"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n".encode(),
    f"\r\n--{BOUNDARY}--\r\n".encode(),
    f"multipart/form-data; boundary={BOUNDARY}",
)


def upload(server: Server, framework: str, http2: bool = False) -> tuple[Answer, int]:
    """Upload a file slowly and poll meanwhile; return the last answer and the body's size."""
    poller = Poller(server, framework, http2)
    head, tail, media_type = FORM if framework in FORMS else (b"", b"", "application/octet-stream")
    size = len(head) + FILE_SIZE + len(tail)

    def body() -> Iterator[bytes]:
        yield head
        for sent in range(0, FILE_SIZE, CHUNK):
            if sent == FILE_SIZE // 2 and not server.buffers:
                poller.ask_until_workers_agree("running")
            poller.ask()
            yield b"x" * CHUNK
        yield tail

    headers = {
        "Content-Length": str(size),
        "Content-Type": media_type,
        "X-Progress-ID": poller.identifier,
    }
    with httpx.Client(http1=not http2, http2=http2, timeout=DEADLINE) as client:
        url = f"{server.origin}/{framework}/upload"
        response = client.post(url, content=body(), headers=headers)
    assert json.loads(response.text) == FILE_SIZE
    poller.ask_until_workers_agree("done")
    poller.check()
    return poller.answers[-1], size


def check_upload(server: Server, framework: str) -> None:
    last, size = upload(server, framework)
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


@pytest.mark.parametrize("server", ["hypercorn", "granian-asgi"], indirect=True, scope="module")
def test_http2(server: Server) -> None:
    last, size = upload(server, "plain", http2=True)
    assert last["received"] == last["request_size"] == size


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
