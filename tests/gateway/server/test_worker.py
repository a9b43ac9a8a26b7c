"""Nothing ends a worker but its end: not its disk, its descriptors, nor what nobody expected."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.client import Client as ClientStream
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server import listening
from mod_progress.gateway.server.access_log import AccessLogWriter
from mod_progress.gateway.server.connection import Connection
from mod_progress.gateway.server.site import AccessLog
from mod_progress.tracker import Tracker
from tests.gateway.backend import Backend, Peer
from tests.gateway.fronts import OWN, SIZED
from tests.gateway.running import Gateway, eventually
from tests.gateway.serving import Serving
from tests.gateway.standing_clock import StandingClock
from tests.gateway.wire import Client

#: Seconds of a limit.
SHORT = 0.25

Start = Callable[..., Gateway]


def fail(*_: object, **__: object) -> Any:
    raise LookupError("nobody expects this")


def answers(running: Gateway) -> bool:
    return running.request("GET", "/").status == 200


def closes_idle(running: Gateway) -> bool:
    """Whether a silent connection is closed at its deadline: the clock goes on."""
    with running.connect() as client:
        return client.recv(1) == b""


def start(gateway: Start, **site: Any) -> Gateway:
    limits = site.pop("limits", Limits(idle_time=SHORT, drain_time=1.0))
    return gateway(Respond(200, b"own\n"), limits=limits, **site)


# What nobody expected. The worker is forked from this process, and what is patched with it.


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (AccessLogWriter, "ended"),
        (AccessLogWriter, "flush"),
        (AccessLogWriter, "reopen"),
        (AccessLogWriter, "close"),
        (Connection, "wind_down"),
        (Tracker, "close"),
    ],
)
def test_an_unexpected_exception_ends_nothing(
    gateway: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    monkeypatch.setattr(owner, name, fail)
    running = start(gateway, access_log=AccessLog(str(tmp_path / "access.log")))
    assert answers(running)
    os.kill(running.pid, signal.SIGUSR1)
    assert closes_idle(running)
    assert answers(running)
    with running.connect() as client:  # cut at the end
        client.sendall(b"GET / HTTP/1.1\r\n")
        running.stop()


def test_a_deadline_that_fails_closes_its_connection_alone(
    gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired = Connection.read_expired

    def fail_once(connection: Connection) -> None:
        monkeypatch.setattr(Connection, "read_expired", expired)
        fail()

    monkeypatch.setattr(Connection, "read_expired", fail_once)
    running = start(gateway)
    with running.connect() as client, pytest.raises(ConnectionResetError):
        client.recv(1)
    assert closes_idle(running)
    assert answers(running)


def test_what_fails_to_be_acknowledged_holds_nobody_up(
    gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledge = ClientStream.acknowledge

    def fail_once(client: ClientStream) -> None:
        monkeypatch.setattr(ClientStream, "acknowledge", acknowledge)
        fail()

    monkeypatch.setattr(ClientStream, "acknowledge", fail_once)
    action = If(
        lambda exchange: exchange.request.path == "/progress",
        Show(),
        ActionList((Track(), Respond(200, b"x" * 3_000_000))),
    )
    running = gateway(action)
    for identifier in ("a", "b", "c"):
        assert running.request("POST", f"/?X-Progress-ID={identifier}").status == 200
    eventually(lambda: running.show("c")["state"] == "done")


def test_an_action_that_fails_is_answered_with_500(gateway: Start) -> None:
    def action(exchange: Exchange) -> None:
        fail()

    running = gateway(action)
    for _ in range(3):
        assert running.request("GET", "/").status == 500


# The access log's disk.


def test_a_full_disk_under_the_access_log_ends_nothing(tmp_path: Path) -> None:
    configuration = """
    setup {
        module_load "mod_accesslog";
        listen "127.0.0.1:0";
        accesslog "/dev/full";
        limits.idle_time 1;
    }
    respond "own";
    """
    serving = Serving(tmp_path, configuration)
    try:
        for _ in range(2):
            assert serving.get("/")[0] == 200
            with serving.connect() as silent:
                assert silent.recv(1) == b""  # the clock goes on
        serving.signal(signal.SIGTERM)
        assert serving.wait() == 0
    finally:
        serving.stop()
    lost = "access log /dev/full: No space left on device; lines are lost"
    assert serving.log.count(lost) == 1


def test_a_disk_that_has_room_again_is_written_again(
    gateway: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "access.log"
    full = tmp_path / "full"
    full.touch()
    write = os.write

    def write_unless_full(file: Any, data: bytes) -> int:
        if full.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file.fileno(), data)

    monkeypatch.setattr("mod_progress.gateway.server.access_log.write", write_unless_full)
    running = start(gateway, access_log=AccessLog(str(log)))
    assert running.request("GET", "/lost").status == 200
    assert closes_idle(running)
    full.unlink()
    assert running.request("GET", "/kept").status == 200
    eventually(lambda: "/kept" in log.read_text())
    assert "/lost" not in log.read_text()


def test_a_log_that_was_moved_away_is_opened_anew(gateway: Start, tmp_path: Path) -> None:
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    running = start(gateway, access_log=AccessLog(str(log)))
    assert running.request("GET", "/first").status == 200
    log.rename(moved)
    os.kill(running.pid, signal.SIGUSR1)
    eventually(log.exists)
    assert running.request("GET", "/second").status == 200
    eventually(lambda: "/second" in log.read_text())
    assert "/first" in moved.read_text()
    assert "/second" not in moved.read_text()


def test_a_log_that_cannot_be_opened_anew_goes_on_as_it_was(gateway: Start, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "access.log"
    running = start(gateway, access_log=AccessLog(str(log)))
    assert running.request("GET", "/first").status == 200
    (tmp_path / "logs").rename(tmp_path / "moved")
    os.kill(running.pid, signal.SIGUSR1)
    assert closes_idle(running)
    assert running.request("GET", "/second").status == 200
    eventually(lambda: "/second" in (tmp_path / "moved" / "access.log").read_text())


# Descriptors.


@contextmanager
def descriptors(most: int) -> Iterator[None]:
    """Lower the limit of open files for what is forked meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_no_descriptor_for_tls_costs_that_connection_alone(
    gateway: Start, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    none_left = tmp_path / "none left"
    none_left.touch()
    dup = os.dup

    def dup_if_any_left(descriptor: int) -> int:
        if none_left.exists():
            raise OSError(errno.EMFILE, "Too many open files")
        return dup(descriptor)

    monkeypatch.setattr("mod_progress.gateway.streams.stream.os.dup", dup_if_any_left)
    running = start(gateway, tls=tls)
    for _ in range(3):
        assert running_refuses(running)
    none_left.unlink()
    for _ in range(3):
        assert answers(running)


def running_refuses(running: Gateway) -> bool:
    """Whether a connection ends without an answer."""
    try:
        with running.connect() as client:
            client.sendall(OWN)
            return client.recv(100) == b""
    except OSError:
        return True


def test_without_a_pipe_bodies_are_copied(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(flags: int) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("mod_progress.gateway.streams.pipes.os.pipe2", none_left)
    backend = Backend()
    running = gateway(Proxy(HttpBackend(backend.address)))
    body = bytes(range(256)) * 4000
    with Client(running.port) as client:
        client.send(SIZED % len(body) + body)
        assert client.answer().status == 200
    assert backend.requests[0].payload == body
    running.stop()
    backend.close()


def test_a_slow_upload_takes_two_descriptors(gateway: Start) -> None:
    backend = Backend(Peer.read_on)
    running = gateway(Proxy(HttpBackend(backend.address)))
    sockets = Path(f"/proc/{running.pid}/fd")

    def count() -> int:
        return sum(1 for _ in sockets.iterdir())

    before = count()
    uploads = 20
    with ExitStack() as held:
        for _ in range(uploads):
            client = held.enter_context(Client(running.port))
            client.send(SIZED % 10_000_000 + b"x" * 100_000)
        eventually(lambda: sum(len(peer.raw) > 100_000 for peer in backend.peers) == uploads)
        assert count() - before <= 2 * uploads + 3  # an epoll, and a pipe that is kept
    running.stop()
    backend.close()


def test_at_the_limit_of_descriptors_it_goes_on_and_ends(gateway: Start) -> None:
    with descriptors(128):
        running = start(gateway, limits=Limits(idle_time=60.0, drain_time=0.1))
    with ExitStack() as held:
        clients = [held.enter_context(Client(running.port)) for _ in range(200)]
        for client in clients:
            client.send(OWN)
        for client in clients:  # each is answered, as idle ones make room
            assert client.answer().status == 200


# Connections.


def test_idle_connections_make_room_at_the_limit(gateway: Start) -> None:
    running = start(gateway, limits=Limits(connections=5, idle_time=60.0, drain_time=0.1))
    with ExitStack() as held:
        for _ in range(5):
            client = held.enter_context(Client(running.port))
            client.send(OWN)
            assert client.answer().status == 200
        with Client(running.port) as another:
            another.send(OWN)
            assert another.answer().status == 200


def test_a_handshake_that_never_ends_has_the_time_of_a_head(
    gateway: Start, tls: ssl.SSLContext
) -> None:
    running = start(gateway, tls=tls, limits=Limits(head_time=SHORT, drain_time=0.1))
    with socket.create_connection(("127.0.0.1", running.port), 10) as silent:
        assert silent.recv(1) == b""
    with socket.create_connection(("127.0.0.1", running.port), 10) as slow:
        slow.sendall(b"\x16\x03\x01")
        assert slow.recv(1) == b""
    assert answers(running)


def test_handshakes_count_as_connections(gateway: Start, tls: ssl.SSLContext) -> None:
    clock = StandingClock()
    limits = Limits(connections=3, head_time=60, drain_time=0.1)
    running = start(gateway, tls=tls, clock=clock, limits=limits)
    with ExitStack() as held:
        silent = []
        for _ in range(3):
            address = ("127.0.0.1", running.port)
            silent.append(held.enter_context(socket.create_connection(address, 10)))
            clock.advance(0)  # until it is accepted
            clock.advance(1)
        # They are given up for one who speaks: the ones that are silent for the longest time first.
        assert answers(running)
        silent[0].settimeout(10)
        assert silent[0].recv(1) == b""


def test_a_worker_ends_with_handshakes_open(gateway: Start, tls: ssl.SSLContext) -> None:
    running = start(gateway, tls=tls, limits=Limits(head_time=60, drain_time=60))
    with socket.create_connection(("127.0.0.1", running.port), 10) as silent:
        assert answers(running)
        running.stop()
        assert silent.recv(1) == b""


def test_the_listen_queue_stays_as_long_as_it_was_asked_for(gateway: Start) -> None:
    running = start(gateway)
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    command = ["ss", "--no-header", "--listening", "--tcp", f"sport = :{running.port}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(said.split()[2]) == min(listening.BACKLOG, most)
