"""The protocols of systemd: by its own socket activation, and a socket that hears the state."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from mod_progress.gateway.server.systemd import Notifier, take_sockets
from tests.gateway.running import PATIENCE, eventually
from tests.gateway.serving import COMMAND, Serve, Serving

# Sockets that are passed on.

SITE = """
setup {
    module_load "mod_progress";
    listen "systemd:web";
    limits.drain_time 1;
}
respond "hello";
"""

#: Passes on the descriptors of the first argument under the names of the second one, as systemd
#: does, and becomes the command that follows.
PASS_ON = """
import fcntl, os, sys
given, names, *command = sys.argv[1:]
kept = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in given.split(",")]
for number, descriptor in enumerate(kept, 3):
    os.dup2(descriptor, number)
    os.close(descriptor)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(kept))}
os.environ["LISTEN_FDNAMES"] = names
os.execv(command[0], command)
"""


def passing(*named: tuple[str, int]) -> tuple[str, ...]:
    descriptors = ",".join(str(descriptor) for _, descriptor in named)
    return sys.executable, "-c", PASS_ON, descriptors, ":".join(name for name, _ in named)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[list[socket.socket]]:
    """Return sockets that listen, as socket units have them: one of TCP, one of a path."""
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(tmp_path / "web.sock"))
        unix.listen()
        yield [tcp, unix]


def start(serve: Serve, *named: tuple[str, socket.socket], text: str = SITE) -> Serving:
    numbers = [(name, each.fileno()) for name, each in named]
    return serve(text, prefix=passing(*numbers), descriptors=[number for _, number in numbers])


def ask_path(path: Path) -> str:
    command = ["curl", "-sS", "-m", "9", "--unix-socket", str(path), "http://x/"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_all_sockets_of_the_name_are_served(
    serve: Serve, listening: list[socket.socket], tmp_path: Path
) -> None:
    tcp, unix = listening
    serving = start(serve, ("web", tcp), ("other", tcp), ("web", unix))
    assert serving.port == tcp.getsockname()[1]
    assert serving.get("/") == (200, b"hello")
    assert ask_path(tmp_path / "web.sock") == "hello"
    assert serving.said("systemd has passed 'other', which no listener takes: systemd:other")

    # A reload that gives the socket up can take it up again.
    serving.reload(SITE.replace("systemd:web", "127.0.0.1:0"))
    serving.reload(SITE.replace("hello", "again"))
    assert serving.get("/") == (200, b"again")


def test_no_connection_is_lost_at_a_restart(serve: Serve, listening: list[socket.socket]) -> None:
    first = start(serve, ("web", listening[0]))
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    with socket.create_connection(listening[0].getsockname(), PATIENCE) as waiting:
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        start(serve, ("web", listening[0]))
        assert waiting.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_client_of_ipv4_has_its_address_also_on_a_socket_of_ipv6(serve: Serve) -> None:
    """As ListenStream=80 makes it."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both:
        text = SITE.replace("hello", "%{req.remoteip}")
        serving = start(serve, ("web", both), text=text)
        assert serving.url == f"http://[::]:{both.getsockname()[1]}/"
        assert serving.get("/") == (200, b"127.0.0.1")


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("other", "listening", "systemd:web: systemd has passed no socket of this name, but other"),
        ("web", "connected", "systemd has passed 'web', which does not listen: Accept must be no"),
        ("web", "file", "systemd has passed 'web', which is no socket"),
    ],
)
def test_what_cannot_be_served(tmp_path: Path, name: str, kind: str, said: str) -> None:
    (tmp_path / "site.conf").write_text(SITE)
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        if kind == "listening":
            descriptor = server.fileno()
        elif kind == "connected":
            descriptor = stack.enter_context(
                socket.create_connection(server.getsockname())
            ).fileno()
        else:
            descriptor = stack.enter_context((tmp_path / "site.conf").open()).fileno()
        done = subprocess.run(
            [*passing((name, descriptor)), COMMAND, "serve", "site.conf"],
            cwd=tmp_path,
            pass_fds=[descriptor],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_is_passed_to_another_process_is_not_taken() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "HOME": "/"}
    assert take_sockets(environment) == {}
    assert environment == {"HOME": "/"}


def test_systemd_starts_it_at_the_first_connection(tmp_path: Path) -> None:
    """By systemd's own program, which does as the system's first process would."""
    (tmp_path / "site.conf").write_text(SITE)
    path = tmp_path / "first.sock"
    command = ["systemd-socket-activate", f"--listen={path}", "--fdname=web"]
    with subprocess.Popen(
        [*command, COMMAND, "serve", "site.conf"],
        cwd=tmp_path,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            eventually(path.exists)
            assert ask_path(path) == "hello"
            assert process.stdout is not None
            assert process.stdout.readline() == f"unix:{path}\n"
        finally:
            process.terminate()
    assert process.returncode == 0


# What systemd hears.


class Ear:
    """A socket that hears what a service tells, as systemd's own does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0") if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE)

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def hear(self) -> list[str]:
        """Return what is told next, but signs of life."""
        while (told := self._socket.recv(65536)) == b"WATCHDOG=1":
            pass
        return told.decode().split("\n")

    def signs(self) -> int:
        """Return how many signs of life wait here, and take them all."""
        count = 0
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                count += self._socket.recv(65536) == b"WATCHDOG=1"
        self._socket.settimeout(PATIENCE)
        return count


SERVES = """
setup { listen "127.0.0.1:0"; workers 2; }
respond "hello";
"""


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_it_hears_of_each_change(serve: Serve, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "notify"
    with Ear(f"@mod_progress-test-{os.getpid()}" if kind == "abstract" else str(path)) as ear:
        serving = serve(SERVES, environment={"NOTIFY_SOCKET": ear.address})
        assert ear.hear() == ["READY=1", f"STATUS=2 workers serve {serving.url}"]
        assert len(serving.workers) == 2

        before = time.monotonic_ns() // 1000
        serving.reload(SERVES.replace("hello", "again"))
        reloading, moment = ear.hear()
        assert reloading == "RELOADING=1"
        assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
        assert ear.hear() == ["READY=1", f"STATUS=2 workers serve {serving.url}"]

        serving.configuration.write_text("rubbish;")
        serving.signal(signal.SIGHUP)
        assert ear.hear()[0] == "RELOADING=1"
        ready, status = ear.hear()
        assert ready == "READY=1"
        assert status.startswith(f"STATUS=2 workers serve {serving.url}; the configuration is not")

        serving.signal(signal.SIGTERM)
        assert ear.hear() == ["STOPPING=1", "STATUS=finishing what is in flight"]
        assert serving.wait() == 0


def test_signs_of_life_come_while_workers_are_alive(serve: Serve, tmp_path: Path) -> None:
    with Ear(str(tmp_path / "notify")) as ear:
        environment = {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "100000"}
        serving = serve(SERVES, environment=environment)
        assert ear.hear()[0] == "READY=1"
        eventually(ear.signs)
        workers = serving.workers
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: _is_silent(ear))
            os.kill(workers[0], signal.SIGCONT)
            eventually(ear.signs)
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)


def _is_silent(ear: Ear) -> bool:
    """Whether no sign comes for five times the time between two."""
    ear.signs()
    time.sleep(0.25)
    return not ear.signs()


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000"}, 15.0),
        (
            {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000", "WATCHDOG_PID": str(os.getpid())},
            0.0015,
        ),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "x"}, 0.0),
        ({"WATCHDOG_USEC": "3000000"}, 0.0),
    ],
)
def test_how_often_it_wants_a_sign(environment: dict[str, str], interval: float) -> None:
    assert Notifier(environment).interval == interval
    assert environment == {}


def test_what_nobody_hears_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({}).send("READY=1")
    assert not caplog.records
    deaf = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    deaf.send("READY=1")
    deaf.send("STOPPING=1")
    (record,) = caplog.records
    assert "systemd cannot be told" in record.getMessage()
