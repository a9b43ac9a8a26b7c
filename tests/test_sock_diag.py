import contextlib
import os
from collections.abc import Iterator

import pytest

from mod_progress import sock_diag
from mod_progress.sock_diag import EVERYTHING, Deaths, Progress
from tests.connections import Connection, wait_until


@pytest.fixture
def connection() -> Iterator[Connection]:
    with contextlib.closing(Connection()) as connection:
        yield connection


def find(connection: Connection) -> sock_diag.Connection:
    return sock_diag.Connection(connection.own, connection.peer)


def await_progress(found: sock_diag.Connection) -> Progress:
    """Return how far the connection is, as soon as the system tells."""
    return wait_until(found.progress)


@pytest.mark.parametrize(
    ("host", "client_host"), [("127.0.0.1", None), ("::1", None), ("::", "127.0.0.1")]
)
def test_a_connection_is_found_by_its_addresses(host: str, client_host: str | None) -> None:
    with contextlib.closing(Connection(host, client_host)) as connection:
        found = find(connection)
        assert found.progress() == (0, 0)
        connection.server.send(b"x" * 1000)
        connection.drain(1000)
        wait_until(lambda: found.progress() == (1000, 0))


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
    acknowledged, queued = await_progress(found)
    assert acknowledged < sent
    assert acknowledged + queued == sent
    connection.drain(sent)
    wait_until(lambda: found.progress() == (sent, 0))


def test_a_connection_closed_in_order_has_carried_everything(connection: Connection) -> None:
    found = find(connection)
    connection.server.send(b"x" * 1000)
    connection.server.close()
    connection.drain(1000)
    connection.client.close()
    wait_until(lambda: found.progress() == (EVERYTHING, 0))


def test_a_death_tells_how_far_the_connection_got() -> None:
    """Of one of several: where many others end at once, the latest may be lost."""
    sent = {}

    def told() -> list[tuple[bytes, Progress]]:
        with contextlib.closing(Connection()) as connection:
            found = find(connection)
            sent[found.key] = connection.fill()
            wait_until(lambda: await_progress(found).acknowledged)
            connection.reset()
            wait_until(lambda: found.progress() is None)
        return [(key, progress) for key, progress in deaths.read() if key in sent]

    with contextlib.closing(Deaths()) as deaths:
        for key, progress in wait_until(told):
            assert isinstance(progress, Progress)
            assert 0 < progress.acknowledged < sent[key]


def test_a_child_asks_for_itself(connection: Connection) -> None:
    found = find(connection)
    before = found.progress()
    child = os.fork()
    if child == 0:
        os._exit(0 if found.progress() == before else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert found.progress() == before
