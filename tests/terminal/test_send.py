"""`mod-progress send` in pipes: what the server gets, and what is said about it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mod_progress.identifier import shared_form
from tests.cli.running import COMMAND, assert_one_line, run
from tests.gateway.running import PATIENCE, eventually
from tests.gateway.serving import Serving
from tests.ports import free_port
from tests.terminal.apps import HALF
from tests.terminal.running import command, release, serving

SITE = """
setup { module_load "mod_progress"; listen "127.0.0.1:0"; limits.body_size 64 mbyte; }
if req.path == "/progress" { progress.show; }
else { progress.track; upload.store "uploads"; }
"""

#: The command that lets others watch an upload.
WATCH = re.compile(r"to watch it: mod-progress (watch (see~[0-9a-f]{64}) --at \S+)")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A middleware in a real server."""
    with serving("tracked", tmp_path_factory.mktemp("app")) as port:
        yield port


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Serving]:
    """A gateway that saves uploads in tmp_path."""
    directory = tmp_path / "gateway"
    directory.mkdir()
    started = Serving(directory, SITE)
    yield started
    started.stop()


def saved(gateway: Serving) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in (gateway.configuration.parent / "uploads").iterdir()
    }


def make(directory: Path, name: str, size: int) -> tuple[str, bytes]:
    content = os.urandom(size)
    (directory / name).write_bytes(content)
    return str(directory / name), content


def test_files_one_after_the_other(gateway: Serving, tmp_path: Path) -> None:
    a, a_content = make(tmp_path, "a b.txt", 300_000)
    b, b_content = make(tmp_path, "ü.bin", 0)
    done = run("send", a, b, f"{gateway.url}upload")
    assert (done.returncode, done.stderr) == (0, "")
    assert saved(gateway) == {"a b.txt": a_content, "ü.bin": b_content}
    lines = done.stdout.splitlines()
    assert lines.index("a b.txt: 201 Created") < lines.index("ü.bin: 201 Created")
    assert "a b.txt sent: done, 300 kB" in lines
    assert "a b.txt server: done, 300 kB" in lines


def test_files_in_one_form(gateway: Serving, tmp_path: Path) -> None:
    a, a_content = make(tmp_path, 'a "1".txt', 300_000)
    b, b_content = make(tmp_path, "b.txt", 5)
    done = run("send", "--form", "file", a, b, f"{gateway.url}upload")
    assert (done.returncode, done.stderr) == (0, "")
    assert saved(gateway) == {'a "1".txt': a_content, "b.txt": b_content}
    assert 'a "1".txt +1: 201 Created' in done.stdout


def test_a_put_has_the_name_in_its_address(gateway: Serving, tmp_path: Path) -> None:
    a, content = make(tmp_path, "a%20b.txt", 10)
    assert run("send", a, f"{gateway.url}x/", "--method", "put").returncode == 0
    assert saved(gateway) == {"a%20b.txt": content}


def test_the_standard_input(gateway: Serving, tmp_path: Path) -> None:
    content = os.urandom(200_000)
    with command("send", "-", f"{gateway.url}upload", stdin=subprocess.PIPE) as send:
        stdin = send.process.stdin
        assert stdin is not None
        stdin.write(content[:100_000])
        stdin.flush()
        send.await_line("standard input server: uploading")
        stdin.write(content[100_000:])
        stdin.close()
        assert send.wait() == 0
    assert saved(gateway) == {"upload": content}
    assert "standard input sent: done, 200 kB" in send.text


def test_a_file_as_the_standard_input_has_its_size(port: int, tmp_path: Path) -> None:
    path, _ = make(tmp_path, "a", 5_000)
    with Path(path).open("rb") as file:
        done = subprocess.run(
            [COMMAND, "send", "-", f"http://127.0.0.1:{port}/upload"],
            stdin=file,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0
    assert "standard input sent: done, 5 kB" in done.stdout


def test_what_was_sent_and_what_the_server_has(port: int, tmp_path: Path) -> None:
    path, _ = make(tmp_path, "film", 4 * HALF)
    with command("send", path, f"http://127.0.0.1:{port}/half") as send:

        def percents(part: str) -> list[int]:
            return [int(found) for found in re.findall(rf"film {part}: (\d+)%", send.text)]

        # The server stops reading, and the rest is on its way.
        eventually(lambda: max(percents("server"), default=0) >= 20, 3 * PATIENCE)
        eventually(
            lambda: send.said("film sent: done") or percents("sent")[-1] > percents("server")[-1],
            3 * PATIENCE,
        )
        assert percents("server")[-1] < 50
        release(port)
        assert send.wait() == 0
    assert send.output[-1] == "film: 201 Created"


def test_others_can_watch(port: int, tmp_path: Path) -> None:
    path, _ = make(tmp_path, "film", 1000)
    with command("send", path, f"http://127.0.0.1:{port}/held") as send:
        send.await_line("film server: processing")
        found = WATCH.search(send.text)
        assert found is not None
        with command(*found[1].split()) as watch:
            watch.await_line("processing, 1 kB")
            release(port)
            assert watch.wait() == 0
        assert send.wait() == 0


def test_each_upload_has_an_id_of_its_own(port: int, tmp_path: Path) -> None:
    path, _ = make(tmp_path, "a", 1000)
    done = run("send", path, path, f"http://127.0.0.1:{port}/upload")
    assert done.returncode == 0
    first, second = WATCH.findall(done.stdout)
    assert first != second


@pytest.mark.parametrize("words", [["/upload", "--id", "own~x"], ["/upload?X-Progress-ID=own~x"]])
def test_an_id_of_the_users(port: int, tmp_path: Path, words: list[str]) -> None:
    path, _ = make(tmp_path, "a", 1000)
    url, *more = words
    done = run("send", path, f"http://127.0.0.1:{port}{url}", *more)
    assert done.returncode == 0
    found = WATCH.search(done.stdout)
    assert found is not None
    assert found[2] == shared_form("own~x")
    assert "own~" not in done.stdout


def test_header_fields(tmp_path: Path) -> None:
    path, _ = make(tmp_path, "a.txt", 4)
    fields = ["X-A: 1", "X-A: 2", "Content-Type: x/y", "User-Agent:", "X-Empty;"]
    with Peer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as peer:
        words = [word for field in fields for word in ("-H", field)]
        assert run("send", path, f"{peer.url}/up?a=b", *words).returncode == 0
    head = peer.head.decode().split("\r\n")
    assert head[0] == "POST /up?a=b HTTP/1.1"
    names = [line.partition(":")[0].lower() for line in head[1:] if line]
    assert "user-agent" not in names
    assert names.count("content-type") == 1
    assert {"X-A: 1", "X-A: 2", "Content-Type: x/y", "X-Empty: "} <= set(head)
    assert "content-length: 4" in [line.lower() for line in head]
    assert "content-disposition: attachment; filename*=utf-8''a.txt" in map(str.lower, head)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/too-large", r"413 Request Entity Too Large: one \x1b[31mmegabyte\x1b[0m at most"),
        ("/no-key", "401 Unauthorized: a key is needed"),
        ("/not-valid", "422 Unprocessable"),
        ("/broken", "500 Internal Server Error"),
        ("/moved", "308 Permanent Redirect, to /there: elsewhere"),
    ],
)
def test_a_refusal_is_one_clear_line(port: int, tmp_path: Path, path: str, said: str) -> None:
    file, _ = make(tmp_path, "a", 1000)
    done = run("send", file, f"http://127.0.0.1:{port}{path}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"mod-progress: a: {said}")
    assert done.stderr.count("\n") == 1
    assert "a sent: failed, status " in done.stdout or "a sent: done" in done.stdout


def test_a_redirect_after_a_form_is_a_success(port: int, tmp_path: Path) -> None:
    file, _ = make(tmp_path, "a", 1000)
    done = run("send", file, f"http://127.0.0.1:{port}/form", "--form", "f")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "a: 303 See Other, to /there"


def test_an_early_refusal_ends_a_long_upload(port: int, tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    done = run("send", str(path), f"http://127.0.0.1:{port}/early")
    assert done.returncode == 1
    assert done.stderr.endswith(": that is too much\n")


def test_a_limit_of_the_gateway(gateway: Serving, tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    done = run("send", str(path), f"{gateway.url}upload")
    assert done.returncode == 1
    assert "mod-progress: huge: 413 " in done.stderr


def test_one_refusal_does_not_keep_the_others(port: int, tmp_path: Path) -> None:
    a, _ = make(tmp_path, "a", 10)
    b, _ = make(tmp_path, "b", 10)
    done = run("send", a, b, f"http://127.0.0.1:{port}/no-key")
    assert done.returncode == 1
    assert [line[:16] for line in done.stderr.splitlines()] == [
        "mod-progress: a:",
        "mod-progress: b:",
    ]


class Peer:
    """Accepts one connection, reads so many bytes, answers and closes."""

    def __init__(self, answer: bytes, read: int = 1) -> None:
        self._answer = answer
        self._read = read
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        #: The head of the request.
        self.head = b""
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        # Others ask for progress at the same time.
        with self._listening:
            while not self.head.startswith(b"P"):
                accepted, _ = self._listening.accept()
                with accepted as client:
                    client.settimeout(PATIENCE)
                    self.head, _, body = client.recv(65536).partition(b"\r\n\r\n")
                    if self.head.startswith(b"P"):
                        self._take(client, len(body))

    def _take(self, client: socket.socket, size: int) -> None:
        while size < self._read:
            size += len(client.recv(65536))
        client.sendall(self._answer)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()


def test_what_is_cut_cannot_be_resumed(tmp_path: Path) -> None:
    path, _ = make(tmp_path, "film", 50_000_000)
    with Peer(b"", 1_000_000) as peer:
        done = run("send", path, f"{peer.url}/up")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("mod-progress: film: it was cut after ")
    assert line.endswith("; it cannot be resumed yet, send it again")
    assert "film sent: failed, cut off" in done.stdout


def test_what_answers_speaks_no_http(tmp_path: Path) -> None:
    path, _ = make(tmp_path, "a", 10)
    with Peer(b"SSH-2.0-x\r\n\r\n") as peer:
        done = run("send", path, f"{peer.url}/up")
    assert done.returncode == 1
    assert "a: it was cut after 10 bytes: no HTTP comes back: illegal status line" in done.stderr


def test_a_file_that_becomes_shorter(port: int, tmp_path: Path) -> None:
    path, _ = make(tmp_path, "film", 40 * HALF)
    with command("send", path, f"http://127.0.0.1:{port}/half") as send:
        send.await_line("film server: ")
        os.truncate(path, 1000)
        release(port)
        assert send.wait() == 1
    assert send.errors == [f"mod-progress: film: {path}: it became shorter while it was sent"]


@pytest.mark.parametrize(
    ("app", "show", "said"),
    [
        ("untracked", "/progress", "the answer is 201 Created, no progress"),
        ("tracked", "/elsewhere", "/elsewhere: the answer is 201 Created, no progress"),
    ],
)
def test_without_a_show_it_is_sent_all_the_same(
    tmp_path: Path, app: str, show: str, said: str
) -> None:
    path, _ = make(tmp_path, "a", 1000)
    with serving(app, tmp_path) as port:
        done = run("send", path, f"http://127.0.0.1:{port}/upload", "--show", show)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-2].startswith("no progress from the server: http://")
    assert said in lines[-2]
    assert lines[-1] == "a: 201 Created"


def test_what_is_not_tracked_is_sent_all_the_same(port: int, tmp_path: Path) -> None:
    path, _ = make(tmp_path, "a", 1000)
    done = run("send", path, f"http://127.0.0.1:{port}/upload", "--method", "PATCH")
    assert done.returncode == 0
    assert "/progress: it does not know the upload" in done.stdout
    assert "to watch it" not in done.stdout


def test_a_large_file_is_not_read_whole(gateway: Serving, tmp_path: Path) -> None:
    peaks = []
    for name, size in (("small", 1 << 10), ("large", 60 << 20)):
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(size)
        words = [COMMAND, "send", str(path), f"{gateway.url}upload"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peaks.append(usage.ru_maxrss)
    assert saved(gateway) == {"small": bytes(1 << 10), "large": bytes(60 << 20)}
    assert peaks[1] - peaks[0] < 20 << 10  # KiB


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: FILE, URL"),
        (["{file}"], "the following arguments are required: URL"),
        (["{file}", "nonsense"], "nonsense: an address such as"),
        (["{file}", "http://h/", "--show", "x"], "x: an address of a show, or a path"),
        (["{file}", "http://h/", "--id", "a b"], "'a b' is no id"),
        (
            ["{file}", "http://h/", "--id", "see~x"],
            "see~x: an id that begins with see~ can only be",
        ),
        (["{file}", "http://h/?X-Progress-ID=a", "--id", "b"], "there are several ids: a, b"),
        (["{file}", "{file}", "http://h/", "--id", "a"], "an id is for one request: several files"),
        (["-", "-", "http://h/"], "-: the standard input can be sent once"),
        (["/nowhere", "http://h/"], "/nowhere: No such file or directory"),
        (["/", "http://h/"], "/: it is a directory; send its files"),
        (["{file}", "http://h/", "--method", "a b"], "--method: 'a b' is not an HTTP method"),
        (["{file}", "http://h/", "-H", "x"], "-H/--header: 'x' does not begin a header field"),
        (
            ["{file}", "http://127.0.0.1:{free}/up"],
            "http://127.0.0.1:{free}/up: Connection refused",
        ),
        (["{file}", "http://nowhere.invalid/up"], "http://nowhere.invalid/up: "),
        (
            ["{file}", "https://127.0.0.1:{port}/up"],
            "https://127.0.0.1:{port}/up: no TLS comes back",
        ),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    port: int, tmp_path: Path, words: list[str], said: str
) -> None:
    file, _ = make(tmp_path, "a", 10)
    values = {"port": port, "free": free_port(), "file": file}
    assert_one_line(
        run("send", *(word.format(**values) for word in words)), 2, said.format(**values)
    )


def test_a_password_in_an_address_is_used_and_not_told(port: int, tmp_path: Path) -> None:
    path, _ = make(tmp_path, "a", 10)
    done = run("send", path, f"http://me:secret@127.0.0.1:{port}/upload")
    assert done.returncode == 0
    assert "secret" not in done.stdout + done.stderr
    done = run("send", path, f"http://me:secret@127.0.0.1:{free_port()}/upload")
    assert done.returncode == 2
    assert "secret" not in done.stdout + done.stderr


def test_nobody_listens_any_more_for_the_second_file(tmp_path: Path) -> None:
    a, _ = make(tmp_path, "a", 10)
    b, _ = make(tmp_path, "b", 10)
    with Peer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as peer:
        done = run("send", a, b, b, f"{peer.url}/up")
    assert done.returncode == 2
    assert done.stdout.count("a: 200 OK") == 1
    assert done.stderr == f"mod-progress: {peer.url}/up: Connection refused\n"
