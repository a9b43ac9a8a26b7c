from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from mod_progress.doctor import parse_target
from mod_progress.doctor.target import Reply
from mod_progress.doctor.upload import PARTS, RUNNING, UPLOAD_SIZE, Upload
from tests.doctor.running import odd_server


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def upload(port: int, size: int = PARTS) -> Upload:
    return Upload(parse_target(f"http://127.0.0.1:{port}/"), "", "id", size, patience=0.0)


def test_how_it_ends_is_kept() -> None:
    with odd_server(b"", 201, "Created") as port:
        sending = upload(port, UPLOAD_SIZE)
        assert sending.reply is RUNNING
        sending.run()
    assert (sending.reply, sending.sent) == (Reply(201, "Created"), UPLOAD_SIZE)


def test_an_early_answer_is_read_though_the_rest_is_not_taken(listener: socket.socket) -> None:
    """The server closes with bytes unread, so that what is sent after that is refused."""
    sending = upload(listener.getsockname()[1], UPLOAD_SIZE)
    thread = threading.Thread(target=sending.run)
    thread.start()
    server, _ = listener.accept()
    with server:
        assert server.recv(1)
        server.sendall(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n")
    thread.join()
    assert sending.reply == Reply(302, "Found", "/login")
    assert sending.sent < UPLOAD_SIZE


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n"])
def test_what_is_no_answer_is_told(listener: socket.socket, answer: bytes) -> None:
    sending = upload(listener.getsockname()[1])
    thread = threading.Thread(target=sending.run)
    thread.start()
    server, _ = listener.accept()
    with server:
        while not server.recv(65536).endswith(b"--\r\n"):
            pass
        server.sendall(answer)
    thread.join()
    assert sending.reply.status == 0
    assert str(sending.reply).startswith("no answer, ")


def test_an_exception_that_nobody_expected_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sending = upload(9)
    monkeypatch.setattr(Upload, "_send", lambda *_: 1 / 0)
    sending.run()
    assert sending.reply == Reply(0, "ZeroDivisionError('division by zero')")
