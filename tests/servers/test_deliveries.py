"""What every server's clients have: downloads, clients that leave, apps that fall silent."""

import select
import socket
import struct
import time
from collections.abc import Callable

import pytest

from tests.servers.polling import Poller, send_request
from tests.servers.running import DEADLINE, REPORTING, STREAMING, Server

DOWNLOAD_SIZE = 16 << 20
REFUSED_SIZE = 3 << 20

reporting = pytest.mark.parametrize("server", REPORTING, indirect=True, scope="module")


def read_until(client: socket.socket, end: bytes) -> None:
    """Read what the server sends, until these bytes are there."""
    read = b""
    while end not in read:
        data = client.recv(1 << 16)
        assert data, read
        read += data


def reset(client: socket.socket) -> None:
    """Let the client vanish."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_a_download_is_done_when_the_client_has_it(server: Server) -> None:
    poller = Poller(server)
    with send_request(poller, "/plain/download") as client:
        if server.name in REPORTING:
            stalled = poller.ask_until(lambda answer: answer.get("sent", 0) > 0)
            assert stalled["state"] == "running"
            assert stalled["sent"] < 1 << 20
        tail = b""
        # The end is a last chunk, or that of the connection.
        while not tail.endswith(b"\r\n0\r\n\r\n") and (data := client.recv(1 << 20)):
            tail = tail[-10:] + data
        done = poller.ask_until(lambda answer: answer["state"] == "done")
        assert done["sent"] == done["response_size"] > DOWNLOAD_SIZE
        poller.check()


def test_a_client_that_leaves_a_download(server: Server) -> None:
    poller = Poller(server)
    with send_request(poller, "/plain/download") as client:
        client.recv(1)
        poller.ask_until(lambda answer: answer["state"] == "running")
    poller.await_answer({"state": "error", "status": 200})


@pytest.mark.parametrize("server", STREAMING, indirect=True, scope="module")
def test_a_client_that_leaves_an_upload(server: Server) -> None:
    poller = Poller(server)
    with send_request(poller, "/plain/upload", bytes(1 << 20), 2 << 20):
        poller.ask_until(lambda answer: answer.get("received", 0) > 0)
    poller.await_answer({"state": "error", "status": 0})


@reporting
def test_a_client_that_vanishes_while_the_app_is_silent(server: Server) -> None:
    poller = Poller(server)
    with send_request(poller, "/plain/silent") as client:
        read_until(client, b"hello world")
        reset(client)
        poller.await_answer({"state": "error", "status": 200})
    server.end_silence(poller.identifier)


@reporting
def test_a_client_that_vanishes_before_the_app_answers(server: Server) -> None:
    poller = Poller(server)
    with send_request(poller, "/plain/late") as client:
        poller.ask_until(lambda answer: answer["state"] == "running")
        reset(client)
        poller.await_answer({"state": "error", "status": 0})
    server.end_silence(poller.identifier)


def ends(client: socket.socket) -> bool:
    """Whether the connection ends without the end of a response in chunks."""
    tail = b""
    try:
        while data := client.recv(1 << 20):
            tail = tail[-10:] + data
    except ConnectionError:
        return True
    return not tail.endswith(b"\r\n0\r\n\r\n")


@reporting
@pytest.mark.parametrize("path", ["upload", "download", "late"])
def test_a_cancelled_transfer_ends_with_its_connection(server: Server, path: str) -> None:
    poller = Poller(server)
    if server.buffers:
        path = "late"  # all of a body may be with the server, which the client gets meanwhile
    length = 2 << 20 if path == "upload" else 0
    with send_request(poller, f"/plain/{path}", bytes(length // 2), length) as client:
        if path == "download":
            client.recv(1)
        poller.ask_until(lambda answer: answer["state"] == "running")
        assert poller.cancel() in (202, 204)
        poller.await_answer({"state": "error", "status": 0})
        assert ends(client)
    server.end_silence(poller.identifier)


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["close", "reset"])
def test_an_answer_before_the_body_was_read(
    server: Server, leave: Callable[[socket.socket], None]
) -> None:
    poller = Poller(server)
    with send_request(poller, "/plain/refused", length=REFUSED_SIZE) as client:
        send_and_read(client, server, poller)
        leave(client)
        poller.await_answer({"state": "error", "status": 413})


def send_and_read(client: socket.socket, server: Server, poller: Poller) -> None:
    """Send a body until the server takes no more; let the app answer then, and read the answer."""
    client.setblocking(False)
    left, answer = REFUSED_SIZE, b""
    deadline = time.monotonic() + DEADLINE
    while not answer.endswith(b"too large"):
        assert time.monotonic() < deadline, answer
        readable, writable, _ = select.select([client], [client] if left else [], [], 0.2)
        if not writable:
            server.end_silence(poller.identifier)
        try:
            if writable:
                left -= client.send(bytes(min(left, 1 << 16)))
            elif readable:
                data = client.recv(1 << 16)
                assert data, answer
                answer += data
        except ConnectionError:
            return  # some close at once, while the rest of the body is on its way


def test_what_goes_beyond_the_content_length_is_no_part_of_the_response(server: Server) -> None:
    """Some servers send it, some leave it out, some fail."""
    poller = Poller(server)
    with send_request(poller, "/plain/excess") as client:
        read_until(client, b"0123456789")
        done = poller.ask_until(lambda answer: answer["state"] == "done")
    assert done["sent"] == done["response_size"] == 10
