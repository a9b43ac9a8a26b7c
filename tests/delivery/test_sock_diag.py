import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.delivery import sock_diag
from mod_progress.delivery.sock_diag import EVERYTHING, Deaths, Progress
from tests.connections import Connection, wait_until


@pytest.fixture
def connection() -> Iterator[Connection]:
    with contextlib.closing(Connection()) as connection:
        yield connection


def find(connection: Connection) -> sock_diag.Connection:
    return sock_diag.Connection(connection.own, connection.peer)


def await_progress(found: sock_diag.Connection) -> Progress:
    """Return how far the connection is, as soon as the system says it."""
    return wait_until(found.progress)


@pytest.mark.parametrize(
    ("host", "client_host"), [("127.0.0.1", None), ("::1", None), ("::", "127.0.0.1")]
)
def test_a_connection_is_found_by_its_addresses(host: str, client_host: str | None) -> None:
    with contextlib.closing(Connection(host, client_host)) as connection:
        found = find(connection)
        assert found.progress() == Progress(0, 0)
        connection.server.send(b"x" * 1000)
        connection.drain(1000)
        wait_until(lambda: found.progress() == Progress(1000, 0))


@pytest.mark.parametrize(
    ("own", "peer"),
    [
        (("localhost", 80), ("127.0.0.1", 2)),
        (("127.0.0.1", 80), ("testclient", 50000)),
        (("127.0.0.1", 80), ("::1", 50000)),
        (("127.0.0.1", 80), ("127.0.0.1", 70000)),
        (("/run/app.socket", 1), ("", 2)),
    ],
)
def test_what_cannot_be_a_connection(own: tuple[str, int], peer: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match="not the addresses of a connection"):
        sock_diag.Connection(own, peer)


def test_there_is_not_every_connection() -> None:
    assert sock_diag.Connection(("127.0.0.1", 1), ("127.0.0.1", 2)).progress() is None


def test_what_the_client_does_not_read_stays_queued(connection: Connection) -> None:
    found = find(connection)
    sent = connection.fill()
    acknowledged, queued, _ = await_progress(found)
    assert acknowledged < sent
    assert acknowledged + queued == sent
    connection.drain(sent)
    wait_until(lambda: found.progress() == Progress(sent, 0))


@pytest.mark.parametrize("wrong", [0, 1], ids=["first", "second"])
def test_what_is_acknowledged_during_a_look_is_not_queued_too(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """Linux reads the queue before it reads what is acknowledged."""
    sent = connection.fill()
    found = find(connection)
    ask = sock_diag._questions.ask
    answers: list[bytes] = []

    def ask_while_bytes_are_acknowledged(question: bytes) -> bytes | None:
        answer = bytearray(ask(question) or b"")
        if len(answers) == wrong:
            (queued,) = struct.unpack_from("I", answer, sock_diag._WQUEUE)
            struct.pack_into("I", answer, sock_diag._WQUEUE, queued + 1000)
        answers.append(bytes(answer))
        return answers[-1]

    wait_until(lambda: await_progress(found).acknowledged)
    monkeypatch.setattr(sock_diag._questions, "ask", ask_while_bytes_are_acknowledged)
    acknowledged, queued, _ = await_progress(found)
    assert acknowledged + queued == sent
    assert len(answers) == 2


def test_a_connection_closed_in_order_has_carried_everything(connection: Connection) -> None:
    found = find(connection)
    connection.server.send(b"x" * 1000)
    connection.server.close()
    connection.drain(1000)
    connection.client.close()
    wait_until(lambda: found.progress() == Progress(EVERYTHING, 0))


def test_a_client_that_closed_its_side(connection: Connection) -> None:
    found = find(connection)
    assert not await_progress(found).half_closed
    connection.client.shutdown(socket.SHUT_WR)
    wait_until(lambda: await_progress(found).half_closed)


def test_a_connection_that_was_reset_is_gone_though_its_descriptor_is_open(
    connection: Connection,
) -> None:
    """Linux then finds the socket that listens there."""
    found = find(connection)
    connection.reset()
    wait_until(lambda: found.progress() is None)


def test_a_death_says_how_far_the_connection_got() -> None:
    """Of one of several: where many others end at once, the latest may be lost."""
    sent = {}

    def read_deaths() -> list[tuple[bytes, Progress]]:
        with contextlib.closing(Connection()) as connection:
            found = find(connection)
            sent[found.key] = connection.fill()
            wait_until(lambda: await_progress(found).acknowledged)
            connection.reset()
            wait_until(lambda: found.progress() is None)
        return [(key, progress) for key, progress in deaths.read() if key in sent]

    with contextlib.closing(Deaths()) as deaths:
        for key, progress in wait_until(read_deaths):
            assert 0 < progress.acknowledged < sent[key]
            assert progress.acknowledged + progress.queued == sent[key]


def die() -> bytes:
    """Let a connection end; return its key."""
    with contextlib.closing(Connection()) as connection:
        found = find(connection)
        connection.reset()
        wait_until(lambda: found.progress() is None)
    return found.key


def test_deaths_that_were_lost_do_not_hide_the_next() -> None:
    late: set[bytes] = set()

    def some_are_lost() -> bool:
        for _ in range(40):
            die()
        list(deaths.read())
        return deaths.lost

    def a_late_one_is_read() -> bool:
        late.add(die())
        return bool(late & dict(deaths.read()).keys())

    with contextlib.closing(Deaths()) as deaths:
        deaths._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        wait_until(some_are_lost)
        wait_until(a_late_one_is_read)
        assert not deaths.lost


def close_descriptor(opened: socket.socket | None) -> None:
    """Close it as a careless program does, which closes all that it does not know."""
    assert opened is not None
    os.close(opened.fileno())


def test_a_system_that_sends_no_more_deaths_is_an_error() -> None:
    deaths = Deaths()
    close_descriptor(deaths._socket)
    with pytest.raises(OSError, match="Bad file descriptor"):
        list(deaths.read())
    deaths.close()


def test_a_system_that_sends_no_deaths_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = socket.socket(socket.AF_INET)
    monkeypatch.setattr(sock_diag, "_open_socket", lambda: opened)
    monkeypatch.setattr(socket.socket, "bind", raise_not_permitted)
    with pytest.raises(PermissionError):
        Deaths()
    assert opened.fileno() == -1


def raise_not_permitted(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_the_next_question_goes_through_a_new_socket(connection: Connection) -> None:
    found = find(connection)
    assert found.progress() == Progress(0, 0)
    close_descriptor(sock_diag._questions._socket)
    with pytest.raises(OSError, match="Bad file descriptor"):
        found.progress()
    assert found.progress() == Progress(0, 0)


def netlink_message(kind: int, content: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(content), kind, 0, 1, 0) + content


NO_ANSWERS = {
    "empty": b"",
    "short": b"short",
    "an error without a number": netlink_message(2, b""),
    "an error": netlink_message(2, struct.pack("=i", -errno.EPERM)),
    "another kind": netlink_message(3, bytes(80)),
    "a short inet_diag_msg": netlink_message(20, bytes(40)),
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_an_answer_that_says_nothing_is_an_error(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        far.send(answer)
        questions = sock_diag._Questions()
        questions._socket = near
        monkeypatch.setattr(sock_diag, "_questions", questions)
        with pytest.raises(OSError, match=r"too short|not permitted|Bad message"):
            find(connection).progress()
        assert find(connection).progress() == Progress(0, 0)
        questions.close()


@given(st.binary(max_size=400))
def test_attributes_are_read_whatever_they_are(attributes: bytes) -> None:
    sock_diag._read_progress(bytes(88) + attributes)


def test_a_child_asks_for_itself(connection: Connection) -> None:
    found = find(connection)
    before = found.progress()
    child = os.fork()
    if child == 0:
        os._exit(0 if found.progress() == before else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert found.progress() == before
