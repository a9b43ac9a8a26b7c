"""A new configuration takes the old one's place, and nothing is lost. On the real command."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import ssl
import subprocess
import threading
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.backend import Backend, Peer
from tests.gateway.origin import Origin
from tests.gateway.running import PATIENCE, eventually
from tests.gateway.server.sites import Upload, site
from tests.gateway.serving import Serve, Serving
from tests.gateway.watching import Watching
from tests.gateway.wire import Client


def test_a_reload_takes_the_new_configuration(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin))
    assert serving.get("/hello") == (200, b"one")
    eventually(lambda: len(serving.workers) == 2)
    before = set(serving.workers)
    serving.reload(site(origin, "two", workers=1))
    eventually(lambda: serving.get("/hello") == (200, b"two"))  # an old worker may accept one more
    eventually(lambda: len(serving.workers) == 1)
    assert not before & set(serving.workers)


def receive_body(peer: Peer, size: int) -> int:
    """Return the checksum of a body that is too large to be kept."""
    peer.take_through(b"\r\n\r\n")
    came = peer.raw.partition(b"\r\n\r\n")[2]
    count, checksum = len(came), zlib.crc32(came)
    room = memoryview(bytearray(1_000_000))
    while count < size:
        last = peer.connection.recv_into(room)
        assert last, f"the body was cut after {count} bytes"
        count += last
        checksum = zlib.crc32(room[:last], checksum)
    assert count == size
    return checksum


def test_an_upload_of_a_gigabyte_survives_a_reload(serve: Serve) -> None:
    size, until_reloaded = 1_000_000_000, 900_000_000
    piece = random.Random(0).randbytes(1_000_000)
    show = b"GET /progress?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\n\r\n"
    reloaded = threading.Event()
    received: list[int] = []
    sent: list[int] = []

    def script(peer: Peer) -> None:
        received.append(receive_body(peer, size))
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def upload() -> None:
        client.send(b"POST /?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\n")
        client.send(b"Content-Length: %d\r\n\r\n" % size)
        checksum = 0
        for at in range(0, size, len(piece)):
            if at == until_reloaded:
                reloaded.wait(PATIENCE)
            client.socket.sendall(piece)
            checksum = zlib.crc32(piece, checksum)
        sent.append(checksum)

    with closing(Backend(script)) as backend:
        serving = serve(site(backend, workers=1))
        with Client(serving.port) as client, Client(serving.port) as of_old_worker:

            def shown_by_old_worker() -> Any:
                of_old_worker.send(show)
                return json.loads(of_old_worker.answer().body)

            uploading = threading.Thread(target=upload)
            uploading.start()
            eventually(lambda: shown_by_old_worker().get("received", 0) > 100_000_000)
            serving.reload(site(backend, "two", workers=1))
            eventually(lambda: serving.get("/hello") == (200, b"two"))
            eventually(lambda: serving.show("a")["received"] == until_reloaded)
            shown = serving.show("a")
            assert (shown["state"], shown["request_size"]) == ("running", size)
            assert shown_by_old_worker() == shown
            reloaded.set()
            uploading.join()
            assert client.answer().status == 200
        eventually(lambda: serving.show("a")["state"] == "done")
        shown = serving.show("a")
        assert (shown["received"], shown["request_size"]) == (size, size)
        eventually(lambda: len(serving.workers) == 1)
    assert received == sent


def test_a_reload_keeps_the_table(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin))
    Upload(serving, "a").client.close()
    eventually(lambda: serving.show("a") == {"state": "error", "status": 0})
    serving.reload(site(origin, "two"))
    eventually(lambda: len(serving.workers) == 2)
    assert serving.show("a") == {"state": "error", "status": 0}


def test_no_request_is_lost_to_reloads(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin))
    over = threading.Event()
    answers: list[tuple[int, bytes]] = []
    failures: list[Exception] = []

    def ask() -> None:
        while not over.is_set():
            try:
                answers.append(serving.get("/hello"))
            except Exception as error:
                failures.append(error)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for says in ("two", "three", "four"):
        serving.reload(site(origin, says))
        eventually(lambda says=says: (200, says.encode()) in answers)  # type: ignore[misc]
    over.set()
    for asker in askers:
        asker.join()
    assert not failures
    assert {status for status, _ in answers} == {200}
    assert (200, b"one") in answers


def test_an_idle_connection_may_ask_once_more_after_a_reload(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin))
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving.connect() as fresh, serving.connect() as kept:
        kept.sendall(request)
        assert kept.recv(65536).endswith(b"one")
        serving.reload(site(origin, "two"))
        for client in (fresh, kept):
            client.sendall(request)
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"Connection: close" in answer or client is fresh


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("setup { listen 5; }", "site.conf:1:"),
        ('setup { listen "127.0.0.1:0"; listen "192.0.2.1:80"; }', "cannot listen on 192.0.2.1:80"),
        ('setup { listen "127.0.0..1:80"; }', "site.conf:1:16: "),
        ('setup { listen "unix:/a\\x00b"; }', "site.conf:1:16: "),
        (
            'setup { module_load "mod_accesslog"; accesslog "/nowhere/log"; }',
            "cannot write to the access log /nowhere/log: No such file or directory",
        ),
    ],
)
def test_a_bad_new_configuration_leaves_the_old_one_running(
    serve: Serve, origin: Origin, broken: str, said: str
) -> None:
    serving = serve(site(origin))
    eventually(lambda: len(serving.workers) == 2)
    before = serving.workers
    serving.configuration.write_text(broken)
    serving.signal(signal.SIGHUP)
    eventually(lambda: serving.said("the configuration is not reloaded") and serving.said(said))
    assert serving.get("/hello") == (200, b"one")
    assert serving.workers == before


def make_certificate(directory: Path, name: str) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    where = ["-subj", f"/CN={name}", "-out", "site.pem", "-keyout", "site.key"]
    subprocess.run(command + where, cwd=directory, check=True, capture_output=True)


def issued_to(serving: Serving) -> str:
    """Return the name in the certificate that a new connection is shown."""
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-subject"],
        input=ssl.get_server_certificate(("127.0.0.1", serving.port)),
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.rpartition("=")[2].strip()


def tls_site(directory: Path) -> str:
    return (
        'setup { module_load "mod_openssl"; openssl [ "listen" => "127.0.0.1:0", '
        f'"pemfile" => "{directory}/site.pem", "privkey" => "{directory}/site.key" ]; }}'
        'respond 200 => "%{req.scheme}";'
    )


def test_a_reload_reads_the_certificates_again(serve: Serve, tmp_path: Path) -> None:
    make_certificate(tmp_path, "before")
    text = tls_site(tmp_path)
    serving = serve(text)
    assert serving.url.startswith("https://")
    assert issued_to(serving) == "before"
    make_certificate(tmp_path, "after")
    serving.reload(text)
    eventually(lambda: issued_to(serving) == "after")  # an old worker may accept one more
    trusting = ssl.create_default_context(cafile=str(tmp_path / "site.pem"))
    trusting.check_hostname = False
    with trusting.wrap_socket(serving.connect()) as client:
        assert client.version() in ("TLSv1.2", "TLSv1.3")
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.endswith(b"https")
    for version, taken in (("-tls1_1", False), ("-tls1_2", True)):
        asking = ["openssl", "s_client", "-connect", f"127.0.0.1:{serving.port}", version]
        told = subprocess.run(
            [*asking, "-cipher", "DEFAULT@SECLEVEL=0"], input=b"", capture_output=True, check=False
        )
        assert (b"Cipher is (NONE)" not in told.stdout) is taken


def test_a_worker_that_is_replaced_has_the_certificate_of_the_others(
    serve: Serve, tmp_path: Path
) -> None:
    make_certificate(tmp_path, "before")
    serving = serve(tls_site(tmp_path))
    eventually(lambda: len(serving.workers) == 1)
    (tmp_path / "site.key").write_text("half of a new k")
    victim = serving.workers[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: serving.said(f"worker {victim} died"))
    assert issued_to(serving) == "before"
    serving.signal(signal.SIGHUP)
    eventually(lambda: serving.said("not reloaded: "))
    assert issued_to(serving) == "before"


def test_a_listener_that_is_gone_is_closed(serve: Serve, origin: Origin, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    text = site(origin)
    both = text.replace('listen "127.0.0.1:0";', f'listen "127.0.0.1:0"; listen "unix:{path}";')
    serving = serve(both)

    def answers() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(path)):
                return False
            client.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
            return client.recv(65536).startswith(b"HTTP/1.1 200")

    assert answers()
    serving.reload(text)
    eventually(lambda: not answers())
    serving.reload(both)
    assert answers()
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0
    assert not path.exists()


def test_a_reload_waits_for_nobody_who_watches(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin, "one"))
    workers = serving.workers
    target = "/progress?X-Progress-ID=a"
    events = "Accept: text/event-stream"
    with Watching(serving.connect(), target, events) as watching:
        watching.read_until("unknown")
        serving.reload(site(origin, "two"))
        watching.read_to_end()
        eventually(lambda: not set(workers) & set(serving.workers))
        last = f"Last-Event-ID: {watching.source.last_id}"
    with Watching(serving.connect(), target, events, last) as again, Upload(serving, "a").client:
        again.read_until("running", received=1_000_000)
        assert again.states[0] == "running"  # as it has heard already that the id was unknown
