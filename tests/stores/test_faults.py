"""A real Redis that is absent, killed, frozen, full, locked or behind a network that loses packets.

In each case: every transfer goes on; this process's own transfers are shown right; every other
show is answered within a second; the log says once that the store went and once that it is back;
and then the store is right again, by itself.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from mod_progress import publisher
from mod_progress.stores.contract import Update
from mod_progress.stores.redis import lookups
from mod_progress.stores.redis.store import RedisStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State, Transfer
from tests.namespaces import HERE, cable, namespace, run
from tests.stores.store_servers import RedisServer, eventually, look

DONE = Snapshot(State.DONE, 1, 2, 1, 2, 200)

#: Seconds from one attempt to reach the store to the next, and for how long a fault outlives the
#: first: of all the attempts, the log tells one.
RETRY = 0.2
OUTLIVES = 1.0


class Fault:
    """Something that befalls the server, and is mended."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.url = server.url

    def prepare(self) -> None:
        self.server.start()

    def begin(self) -> None:
        raise NotImplementedError

    def mend(self) -> None:
        raise NotImplementedError


class Absent(Fault):
    def prepare(self) -> None:
        """Not there at the start."""

    def begin(self) -> None:
        """Nor now."""

    def mend(self) -> None:
        self.server.start()


class Killed(Fault):
    def begin(self) -> None:
        self.server.kill()

    def mend(self) -> None:
        self.server.start()


class Frozen(Fault):
    def begin(self) -> None:
        self.server.send(signal.SIGSTOP)

    def mend(self) -> None:
        self.server.send(signal.SIGCONT)


class Full(Fault):
    def begin(self) -> None:
        self.server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.server.command("CONFIG", "SET", "maxmemory", "1")

    def mend(self) -> None:
        self.server.command("CONFIG", "SET", "maxmemory", "0")


class Locked(Fault):
    """The server takes another password than the one of the URL."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__(server)
        self.url = server.url.replace("://", "://:geheim@")

    def prepare(self) -> None:
        self.server.start()
        self.server.command("CONFIG", "SET", "requirepass", "other")

    def begin(self) -> None:
        """It does so from the start."""

    def mend(self) -> None:
        self.server.command("-a", "other", "CONFIG", "SET", "requirepass", "geheim")


class Unreachable(Fault):
    """Every packet is lost between the network namespaces of client and server."""

    loss = "1"

    def _filter(self, operation: str) -> None:
        lost = ["-m", "statistic", "--mode", "random", "--probability", self.loss, "-j", "DROP"]
        run(*self.server.prefix, "iptables", operation, "INPUT", *lost)

    def begin(self) -> None:
        self._filter("-A")

    def mend(self) -> None:
        self._filter("-D")


@pytest.fixture
def far_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server in a network namespace of its own, at the other end of a cable."""
    # Of the block for tests of networks (RFC 2544); apart from those of other processes' tests.
    network = f"198.18.{os.getpid() % 256}"
    with namespace("redis") as far, cable("redis", network, HERE, far):
        server = RedisServer(tmp_path, "--protected-mode", "no", prefix=far.inside)
        server.host = f"{network}.2"
        yield server
        server.kill()


@pytest.fixture(params=[Absent, Killed, Frozen, Full, Locked, Unreachable])
def fault(request: pytest.FixtureRequest) -> Fault:
    kind: type[Fault] = request.param
    server = request.getfixturevalue("far_redis" if kind is Unreachable else "own_redis")
    fault = kind(server)
    fault.prepare()
    return fault


def track(tracker: Tracker, identifier: str) -> Transfer:
    transfer = tracker.track("POST", b"X-Progress-ID=" + identifier.encode(), None, 1000)
    assert transfer is not None
    return transfer


def seen(tracker: Tracker, identifier: str) -> Snapshot:
    """Show: a future is always answered, whatever the server does."""
    found = tracker.look(identifier)
    return found.result(timeout=10) if isinstance(found, Future) else found


def test_a_fault_touches_no_transfer(
    fault: Fault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in lookups, publisher:
        monkeypatch.setattr(module, "RETRY", RETRY)
    tracker = Tracker(store=RedisStore(fault.url))
    runs = track(tracker, "runs")
    if not isinstance(fault, Absent | Locked):
        elsewhere = RedisStore(fault.url)
        elsewhere.publish([Update("foreign", 1, DONE, 60.0, first=True)])
        eventually(lambda: seen(tracker, "foreign") == DONE)
        eventually(lambda: look(elsewhere, "runs").state is State.RUNNING)
        elsewhere.close()
    fault.begin()
    ends_within = track(tracker, "ends-within")
    gone = 0.0
    while not gone or time.monotonic() - gone < OUTLIVES:
        runs.received += 1
        assert seen(tracker, "runs")[:2] == (State.RUNNING, runs.received)
        assert seen(tracker, "foreign").state in (State.DONE, State.UNKNOWN)
        track(tracker, "short").delivered()
        assert seen(tracker, "short").state is State.DONE
        gone = gone or (time.monotonic() if caplog.records else 0.0)
        time.sleep(0.01)
    ends_within.delivered()
    assert seen(tracker, "ends-within").state is State.DONE
    assert len(caplog.records) == 1
    fault.mend()
    eventually(lambda: len(caplog.records) == 2)
    runs.received = 900
    after = RedisStore(fault.url)
    eventually(lambda: look(after, "runs")[:2] == (State.RUNNING, 900))
    eventually(lambda: look(after, "ends-within").state is State.DONE)
    eventually(lambda: look(after, "short").state is State.DONE)
    runs.cut()
    eventually(lambda: look(after, "runs").state is State.ERROR)
    eventually(lambda: seen(tracker, "unheard-of").state is State.UNKNOWN)
    tracker.close()
    after.close()
    went, back = (record.getMessage() for record in caplog.records)
    assert went.startswith(f"store {fault.server.url}: ")
    assert back == f"store {fault.server.url}: it is back"
    assert "geheim" not in caplog.text


def test_a_network_that_loses_every_fifth_packet_delays_but_misleads_nobody(
    far_redis: RedisServer,
) -> None:
    fault = Unreachable(far_redis)
    fault.loss = "0.2"
    fault.prepare()
    mine, other = Tracker(store=RedisStore(fault.url)), Tracker(store=RedisStore(fault.url))
    transfer = track(mine, "a")
    eventually(lambda: seen(other, "a").state is State.RUNNING)
    fault.begin()
    last = 0
    for step in range(100):
        transfer.received = 10 * step
        assert seen(mine, "a")[:2] == (State.RUNNING, 10 * step)
        found = seen(other, "a")
        if found.state is not State.UNKNOWN:
            assert found.state is State.RUNNING
            assert last <= found.received <= 10 * step
            last = found.received
        time.sleep(0.02)
    transfer.delivered()
    fault.mend()
    eventually(lambda: seen(other, "a").state is State.DONE)
    for tracker in mine, other:
        tracker.close()


def test_what_finished_before_a_restart_is_published_again(own_redis: RedisServer) -> None:
    own_redis.start()
    tracker, other = Tracker(store=RedisStore(own_redis.url)), RedisStore(own_redis.url)
    track(tracker, "finished").delivered()
    track(tracker, "runs")
    eventually(lambda: look(other, "finished").state is State.DONE)
    own_redis.kill()
    own_redis.start()
    eventually(lambda: look(other, "finished").state is State.DONE)
    tracker.close()
    other.close()
