"""What a stream is, read from a real socket that sends it."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mod_progress.doctor import parse_target
from mod_progress.doctor.stream import Stream
from tests.gateway.running import eventually

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
UNKNOWN = b'retry: 1000\n\ndata: {"state": "unknown"}\n\n'
RUNNING = b'data: {"state": "running", "received": 1}\nid: a\n\n'
DONE = b'data: {"state": "done"}\nid: end.a\n\nevent: end\ndata: {}\n\n'


@contextmanager
def sent(script: Callable[[socket.socket], object]) -> Iterator[Stream]:
    """Open a stream of a server that sends what the script does, and then closes."""

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            while not requested.endswith(b"\r\n\r\n") and (data := client.recv(65536)):
                requested.extend(data)
            script(client)

    requested = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = Stream(parse_target(f"http://127.0.0.1:{listener.getsockname()[1]}/"), "id")
        thread = threading.Thread(target=serve)
        thread.start()
        stream.open()
        yield stream
        stream.close()
        thread.join()
    assert requested.startswith(b"GET /progress?X-Progress-ID=id HTTP/1.1\r\n")
    assert b"\r\nAccept: text/event-stream\r\n" in requested


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_events_are_known_when_they_come(line_end: bytes) -> None:
    proceed = threading.Event()

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for each in (UNKNOWN, RUNNING, DONE):
            client.sendall(chunk(each.replace(b"\n", line_end)))
            proceed.wait()
            proceed.clear()
        client.sendall(chunk(b""))

    with sent(script) as stream:
        eventually(lambda: stream.first_event is not None)
        assert stream.is_stream
        assert stream.first_running is None
        proceed.set()
        eventually(lambda: stream.first_running is not None)
        assert not stream.complete
        proceed.set()
        eventually(lambda: stream.complete)
        assert stream.lasted is None
        proceed.set()
        stream.wait(10)
        assert stream.lasted is not None
        assert not stream.was_cut
        assert stream.coding == ""


def test_a_stream_that_is_compressed_is_read() -> None:
    body = gzip.compress(UNKNOWN + RUNNING + DONE)
    with sent(
        lambda client: client.sendall(HEAD + b"Content-Encoding: gzip\r\n\r\n" + body)
    ) as stream:
        stream.wait(10)
        assert (stream.coding, stream.complete) == ("gzip", True)
        assert stream.first_running is not None


@pytest.mark.parametrize(
    "body", [UNKNOWN, UNKNOWN + RUNNING[:20], b"data: [\n\ndata: 1\n\ndata: {}\n\n"]
)
def test_a_stream_that_ends_without_its_last_event_is_cut(body: bytes) -> None:
    with sent(lambda client: client.sendall(HEAD + b"\r\n" + body)) as stream:
        stream.wait(10)
        assert stream.first_event is not None
        assert stream.first_running is None
        assert stream.was_cut


def test_a_stream_that_the_doctor_leaves_is_not_cut() -> None:
    def script(client: socket.socket) -> None:
        client.sendall(HEAD + b"\r\n" + UNKNOWN)
        client.recv(1)

    with sent(script) as stream:
        eventually(lambda: stream.first_event is not None)
        stream.close()
        assert not stream.was_cut


def test_an_answer_that_does_not_come_is_none() -> None:
    asked = threading.Event()

    def script(client: socket.socket) -> None:
        asked.set()
        client.recv(1)

    with sent(script) as stream:
        assert asked.wait(10)
        stream.close()
        assert stream.reply is None
        assert stream.lasted is not None


def test_a_stream_that_is_left_at_once_does_not_hold_the_doctor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = Stream(parse_target(f"http://127.0.0.1:{listener.getsockname()[1]}/"), "id")
        stream.open()
        stream.close()
        assert (stream.reply, stream.was_cut) == (None, False)


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        (b"HTTP/1.1 406 Not Acceptable\r\n\r\n", 406, "text/plain"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", 200, "application/json"),
        (b"nonsense\r\n\r\n", 0, "text/plain"),
        (b"", 0, "text/plain"),
    ],
)
def test_what_is_no_stream(answer: bytes, status: int, kind: str) -> None:
    with sent(lambda client: client.sendall(answer)) as stream:
        stream.wait(10)
        assert stream.reply is not None
        assert (stream.reply.status, stream.fields.get_content_type()) == (status, kind)
        assert not stream.is_stream
