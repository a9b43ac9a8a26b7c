"""`mod-progress wait-idle` as a deployment runs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mod_progress.cli import main
from mod_progress.terminal import wait_idle
from tests.cli.running import run
from tests.gateway.serving import Serving
from tests.ports import free_port
from tests.terminal.running import command, serving, uploading

SITE = """
setup { module_load "mod_progress"; listen "127.0.0.1:0"; limits.body_idle_time 3600; }
if req.path == "/all" { progress.show "dump"; }
else if req.path == "/progress" { progress.show; }
else { progress.track; upload.store "uploads"; }
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A middleware in a real server."""
    with serving("tracked", tmp_path_factory.mktemp("app")) as port:
        yield port


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    started = Serving(tmp_path_factory.mktemp("gateway"), SITE)
    yield started.port
    started.stop()


@pytest.mark.parametrize(("front", "path"), [("port", ""), ("gateway", "/all")])
def test_it_waits_for_the_last_transfer(
    front: str, path: str, request: pytest.FixtureRequest
) -> None:
    port: int = request.getfixturevalue(front)
    words = ["wait-idle", f"http://127.0.0.1:{port}{path}", "-H", "key: geheim"]
    with uploading(port, "slow", "/upload/") as slow:
        slow.send(1)
        assert_busy(words)
        with command(*words) as waiting:
            waiting.await_line("1 transfer is running")
            slow.finish()
            assert waiting.wait() == 0
    assert waiting.output[-1].endswith(": no transfer is running")
    assert waiting.errors == []


def assert_busy(words: list[str]) -> None:
    """Assert that a wait ends in vain; the first may come before the transfer is listed."""
    for _ in range(20):
        done = run(*words, "--timeout", "0.1")
        if done.returncode:
            break
    assert (done.returncode, done.stdout.count("1 transfer is running")) == (1, 1)
    assert done.stderr == "mod-progress: transfers are still running after 0.1 seconds\n"


def fails(capsys: pytest.CaptureFixture[str], said: str, *words: str) -> bool:
    """Whether a wait fails at once with one line that says this."""
    code = main(["wait-idle", *words])
    printed = capsys.readouterr()
    return (code, printed.out, printed.err.count("\n")) == (2, "", 1) and said in printed.err


def test_without_permission(port: int, gateway: int, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{port}/progress"
    assert fails(capsys, f"{url}: the answer is 403 Forbidden, the format dump is not for you", url)
    elsewhere = f"http://127.0.0.1:{gateway}/progress"
    assert fails(capsys, "the answer is 400 Bad Request", elsewhere)


def test_where_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}/progress"
    assert fails(capsys, f"{url}: Connection refused", url)
    assert fails(capsys, "an address such as http://", "nowhere")


class Told(ThreadingHTTPServer):
    """Gives each answer of a list in turn, and the last one again and again."""

    def __init__(self, answers: list[tuple[int, str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.asked: list[str] = []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Told

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answers = self.server.answers
        status, total, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        if total:
            self.send_header("X-Progress-Total", total)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


AWAY = (503, "", b'{"error": "the store is away"}')


@pytest.mark.parametrize(
    ("answers", "timeout", "code", "said"),
    [
        ([AWAY, (200, "2", b"[{}]"), AWAY, (200, "0", b"[]")], "60", 0, ""),
        ([AWAY], "0.1", 2, "503 Service Unavailable, the store is away"),
        ([(200, "1", b'{"state": "unknown"}')], "60", 2, "no list of transfers"),
        ([(200, "", b"[]")], "60", 2, "no list of transfers"),
        ([(200, "many", b"[]")], "60", 2, "no list of transfers"),
        ([(200, "1", b"[7]")], "60", 2, "no list of transfers"),
        ([(200, "1", b"[")], "60", 2, "no list of transfers"),
        ([(302, "", b"")], "60", 2, "302 Found"),
        ([(401, "", b'{"error": 7}')], "60", 2, "401 Unauthorized"),
    ],
)
def test_what_a_server_may_say(
    answers: list[tuple[int, str, bytes]],
    timeout: str,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(wait_idle, "PACE", 0.01)
    server = Told(answers)
    try:
        url = f"http://127.0.0.1:{server.server_port}/progress?token=t&limit=5"
        assert main(["wait-idle", url, "--timeout", timeout]) == code
    finally:
        server.close()
    printed = capsys.readouterr()
    assert said in printed.err
    assert set(server.asked) == {"/progress?token=t&format=dump&state=running&limit=1"}
    if not code:
        counts = [line.rpartition(": ")[2] for line in printed.out.splitlines()]
        assert counts == ["2 transfers are running", "no transfer is running"]
