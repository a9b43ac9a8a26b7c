"""Quotas of `upload.store`, over the wire."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mod_progress.gateway.files.reservation import FORM_OVERHEAD
from mod_progress.gateway.files.upload_limits import UploadLimits
from mod_progress.gateway.files.uploads import StoreUploads
from tests.gateway.running import Gateway, Response, eventually
from tests.gateway.serving import Serving

FILE = b'--b\r\nContent-Disposition: form-data; name=a; filename="a"\r\n\r\n%b\r\n'

HEAD = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"

#: Asks for an answer as soon as there is room for the body.
ASKING = HEAD.removesuffix(b"\r\n") + b"Expect: 100-continue\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def limited(gateway: Callable[..., Gateway], tmp_path: Path) -> Callable[..., Gateway]:
    def start(**limits: int) -> Gateway:
        return gateway(StoreUploads(str(tmp_path / "saved"), UploadLimits(**limits)))

    return start


def pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


#: The ways in which a file comes.
WAYS = ["raw", "chunked", "form", "chunked form"]


def send(server: Gateway, how: str, *contents: bytes) -> Response:
    if "form" in how:
        body = b"".join(FILE % content for content in contents) + b"--b--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return server.request("POST", "/", pieces(body) if "chunked" in how else body, kind)
    (content,) = contents
    return server.request("PUT", "/a", pieces(content) if "chunked" in how else content)


def has_room(server: Gateway | Serving, size: int) -> bool:
    """Ask for room, and take none."""
    with server.connect() as client:
        client.sendall(ASKING % size)
        return client.recv(len(CONTINUE)) == CONTINUE


def sizes(tmp_path: Path) -> list[int]:
    return sorted(path.stat().st_size for path in (tmp_path / "saved").glob("*"))


@pytest.mark.parametrize("size", [100, 200_000])
@pytest.mark.parametrize("how", WAYS)
def test_a_file_that_is_too_large_is_413(
    limited: Callable[..., Gateway], tmp_path: Path, how: str, size: int
) -> None:
    server = limited(file_size=size)
    answer = send(server, how, bytes(size + 1))
    assert answer.status == 413
    said = f"the file is larger than {size} bytes, the most for one file here"
    assert answer.json() == {"error": said}
    assert send(server, how, bytes(size)).status == 201
    assert sizes(tmp_path) == [size]


def test_each_file_of_a_form_has_its_size(limited: Callable[..., Gateway], tmp_path: Path) -> None:
    server = limited(file_size=1000)
    assert send(server, "form", bytes(1000), bytes(1000)).status == 201
    assert send(server, "form", bytes(1000), bytes(1001)).status == 413
    assert sizes(tmp_path) == [1000, 1000]


@pytest.mark.parametrize("how", WAYS)
def test_a_directory_that_is_full_is_507(
    limited: Callable[..., Gateway], tmp_path: Path, how: str
) -> None:
    (tmp_path / "saved" / "folder").mkdir(parents=True)
    (tmp_path / "saved" / "folder" / "before").write_bytes(bytes(100_000))
    server = limited(total_size=300_000)
    assert send(server, how, bytes(100_000)).status == 201
    answer = send(server, how, bytes(100_001))
    assert answer.status == 507
    said = "there is no room for this upload: the server keeps 300000 bytes at most"
    assert answer.json() == {"error": said}
    assert send(server, how, bytes(100_000)).status == 201
    assert send(server, how, b"1").status == 507
    assert send(server, how, b"").status == 201


@pytest.mark.parametrize("how", ["raw", "form"])
def test_there_are_so_many_files(limited: Callable[..., Gateway], tmp_path: Path, how: str) -> None:
    server = limited(total_files=2, total_size=10_000)
    assert [send(server, how, b"1").status for _ in range(3)] == [201, 201, 507]
    answer = send(server, how, b"1")
    said = "there is no room for this upload: the server keeps 10000 bytes and 2 files at most"
    assert answer.json() == {"error": said}
    assert sizes(tmp_path) == [1, 1]


def test_a_form_with_more_files_than_there_is_room_for_saves_none(
    limited: Callable[..., Gateway], tmp_path: Path
) -> None:
    server = limited(total_files=2)
    assert send(server, "form", b"1", b"2", b"3").status == 507
    assert sizes(tmp_path) == []
    assert send(server, "form", b"1", b"2").status == 201  # the room was given back


def test_who_asks_before_sending_is_refused_at_once(
    limited: Callable[..., Gateway], tmp_path: Path
) -> None:
    server = limited(total_size=1000, file_size=5000)
    head = "Host: a\r\nExpect: 100-continue\r\n"
    form = f"Content-Type: multipart/form-data; boundary=b\r\n{head}"
    for lines, size, status in (
        ("", 1001, b"507"),
        ("", 5001, b"413"),
        (form, FORM_OVERHEAD + 1001, b"507"),
    ):
        request = f"POST / HTTP/1.1\r\n{lines or head}Content-Length: {size}\r\n\r\n"
        with server.connect() as client:
            client.sendall(request.encode())
            assert client.recv(12) == b"HTTP/1.1 " + status


def test_the_disk_keeps_its_free_space(gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    directory = tmp_path / "saved"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", directory], check=True)
    try:
        floor = 10 * 1024**2
        server = gateway(StoreUploads(str(directory), UploadLimits(free_space=floor)))
        said = {"error": "the server's disk has too little free space for this upload"}
        for how, size in (("raw", 11), ("chunked", 18), ("chunked form", 18)):
            answer = send(server, how, bytes(size * 1024**2))
            assert (answer.status, answer.json()) == (507, said)
        assert send(server, "raw", bytes(5 * 1024**2)).status == 201
        assert send(server, "raw", bytes(6 * 1024**2)).status == 507
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def test_uploads_at_one_time_share_the_room(
    limited: Callable[..., Gateway], tmp_path: Path
) -> None:
    server = limited(total_size=1_000_000)
    with server.connect() as one, server.connect() as other:
        for client in (one, other):
            client.sendall(HEAD % 800_000 + bytes(400_000))
        one.sendall(bytes(400_000))
        assert one.recv(12) == b"HTTP/1.1 201"
        other.sendall(bytes(400_000))
        assert other.recv(12) == b"HTTP/1.1 507"
    assert sizes(tmp_path) == [800_000]


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_an_upload_that_is_cut_gives_its_room_back(
    limited: Callable[..., Gateway], how: str
) -> None:
    server = limited(total_size=1_000_000, total_files=1)
    with server.connect() as client:
        client.sendall(HEAD % 900000 + bytes(9000))
        eventually(lambda: not has_room(server, 200_000))
        if how == "reset":
            client.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER
    eventually(lambda: has_room(server, 200_000))
    assert send(server, "raw", bytes(200_000)).status == 201


def test_somebody_makes_room(
    limited: Callable[..., Gateway], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mod_progress.gateway.files.reservation.RENEW_WHEN_FULL", 0)
    server = limited(total_files=1)
    assert send(server, "raw", b"1").status == 201
    assert send(server, "raw", b"1").status == 507
    (tmp_path / "saved" / "a").unlink()
    eventually(lambda: send(server, "raw", b"1").status == 201)


SITE = """
setup { module_load "mod_progress"; listen "127.0.0.1:0"; workers 3; limits.drain_time 10; }
upload.store "saved", ["total_size" => 1000, "total_files" => 5];
"""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    started = Serving(tmp_path, SITE)
    yield started
    started.stop()


def curl(serving: Serving, size: int) -> str:
    """Upload with curl, and return the status."""
    command = ["curl", "-sS", "-m", "9", "-X", "PUT", "--data-binary", "@-", "-o", "/dev/null"]
    command += ["-w", "%{http_code}", serving.url + "a"]
    done = subprocess.run(command, input=bytes(size), capture_output=True, check=True)
    return done.stdout.decode()


def test_workers_and_configurations_count_together(serving: Serving) -> None:
    eventually(lambda: len(serving.workers) == 3)
    with serving.connect() as client:
        client.sendall(HEAD % 600 + bytes(599))
        eventually(lambda: not has_room(serving, 402))
        serving.reload(SITE + "# another")
        assert [curl(serving, 402) for _ in range(6)] == ["507"] * 6
        client.sendall(b"x")
        assert client.recv(12) == b"HTTP/1.1 201"
    assert [curl(serving, 401) for _ in range(6)] == ["507"] * 6
    assert [curl(serving, 100) for _ in range(5)] == ["201"] * 4 + ["507"]


def test_a_worker_that_dies_keeps_no_room(serving: Serving) -> None:
    eventually(lambda: len(serving.workers) == 3)
    with serving.connect() as client:
        client.sendall(HEAD % 600 + bytes(599))
        eventually(lambda: not has_room(serving, 402))
        for pid in serving.workers:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(serving.workers) == 3)
    eventually(lambda: curl(serving, 1000) == "201")
