from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.server.generation import Generation, ReloadError, Sockets
from mod_progress.gateway.server.listening import ListenError
from mod_progress.gateway.server.site import MOST_WORKERS, AccessLog, Listener, Site, Tls


def site(*addresses: str) -> Site:
    return Site(action=Respond(200), listeners=tuple(map(Listener, addresses)))


def descriptors(generation: Generation) -> list[int]:
    return [listening.fileno() for listening, _ in generation.listeners]


def test_generations_share_the_sockets_of_an_address(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    sockets = Sockets()
    first = sockets.prepare(site("127.0.0.1:0", f"unix:{path}"))
    second = sockets.prepare(site("[::1]:0", "127.0.0.1:0"))
    assert descriptors(second)[1] == descriptors(first)[0]

    sockets.close_unused([first, second])
    assert -1 not in descriptors(first) + descriptors(second)
    sockets.close_unused([second])
    assert descriptors(first)[1] == -1
    assert not path.exists()
    assert -1 not in descriptors(second)
    sockets.close_unused([])
    assert descriptors(second) == [-1, -1]


def test_what_cannot_be_prepared_leaves_what_there_was(tmp_path: Path) -> None:
    sockets = Sockets()
    first = sockets.prepare(site("127.0.0.1:0"))
    path = tmp_path / "socket"
    with pytest.raises(ListenError):
        sockets.prepare(site(f"unix:{path}", "192.0.2.1:80"))
    sockets.close_unused([first])
    assert -1 not in descriptors(first)
    assert not path.exists()
    sockets.close_unused([])


def test_a_worker_keeps_the_sockets_of_its_generation() -> None:
    sockets = Sockets()
    first = sockets.prepare(site("127.0.0.1:0"))
    second = sockets.prepare(site("127.0.0.2:0"))
    sockets.close_inherited(first)
    assert -1 not in descriptors(first)
    assert descriptors(second) == [-1]
    sockets.close_unused([])


def test_the_urls_have_the_ports_that_the_system_chose(certificate: tuple[Path, Path]) -> None:
    tls = Tls(*map(str, certificate))
    listeners = (Listener("127.0.0.1:0"), Listener("[::1]:0", tls))
    made = Site(action=Respond(200), listeners=listeners)
    sockets = Sockets()
    plain, encrypted = sockets.prepare(made).listeners
    assert (plain[1] is None, encrypted[1] is None) == (True, False)
    ports = [listening.getsockname()[1] for listening, _ in (plain, encrypted)]
    assert sockets.urls(made) == [
        f"http://127.0.0.1:{ports[0]}/",
        f"https://[::1]:{ports[1]}/",
    ]
    sockets.close_unused([])


def test_there_is_a_bound_to_the_workers() -> None:
    many = Site(action=Respond(200), workers=MOST_WORKERS + 1)
    with pytest.raises(ReloadError, match="at most 1024 workers"):
        Sockets().prepare(many)


@pytest.mark.parametrize("name", ["directory", "none/log", "pipe", "socket", "a\0b"])
def test_an_access_log_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    log = AccessLog(str(tmp_path / name))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(ReloadError, match="cannot write to the access log"):
            Sockets().prepare(Site(action=Respond(200), access_log=log))


def test_an_access_log_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("as it is")
    for path in (tmp_path / "log", tmp_path / "new", Path("/dev/null")):
        Sockets().prepare(Site(action=Respond(200), access_log=AccessLog(str(path))))
    assert (tmp_path / "log").read_text() == "as it is"
    assert (tmp_path / "new").read_text() == ""
