"""`mod-progress watch` in pipes, as scripts run it."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from mod_progress.identifier import shared_form
from tests.cli.running import COMMAND, assert_one_line, run
from tests.gateway.serving import Serving
from tests.ports import free_port
from tests.terminal.odd_show import odd_show, running
from tests.terminal.running import SIZE, command, release, serving, uploading

SITE = """
setup {
    module_load ["mod_progress", "mod_openssl"];
    listen "127.0.0.1:0";
    progress.methods ("POST", "PUT");
}
if req.path == "/progress" { progress.show; } else { progress.track; upload.store "uploads"; }
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


@pytest.fixture(params=["port", "gateway"])
def either_port(request: pytest.FixtureRequest) -> int:
    """The port of a middleware's server, and that of a gateway."""
    found: int = request.getfixturevalue(request.param)
    return found


def test_an_upload_from_before_its_begin_to_its_end(either_port: int) -> None:
    with command("watch", "mine", "--at", f"http://127.0.0.1:{either_port}") as watch:
        watch.await_line("mine: waiting")
        with uploading(either_port, "mine") as upload:
            upload.send(SIZE // 4)
            watch.await_line("mine: 25%, 250 kB of 1.0 MB")
            upload.send(SIZE // 2)
            watch.await_line("mine: 75%, 750 kB of 1.0 MB")
            upload.finish()
        assert watch.wait() == 0
    assert watch.output[-1].startswith("mine: done, 1.0 MB")
    assert watch.errors == []


def test_a_line_of_json_for_each_change(either_port: int) -> None:
    url = f"http://127.0.0.1:{either_port}/progress?X-Progress-ID=json"
    with command("watch", url, "--json") as watch:
        watch.await_line('{"id": "json", "state": "unknown"}')
        with uploading(either_port, "json") as upload:
            upload.send(SIZE // 2)
            watch.await_line(f'"received": {SIZE // 2}')
            upload.finish()
        assert watch.wait() == 0
    lines = [json.loads(line) for line in watch.output]
    assert list(lines[-1]) == [
        "id",
        "state",
        "received",
        "sent",
        "request_size",
        "response_size",
    ]
    assert {line["state"] for line in lines} == {"unknown", "running", "done"}
    assert all(before != after for before, after in pairwise(lines))
    received = [line.get("received", 0) for line in lines]
    assert received == sorted(received)


def test_an_app_at_work_is_processing(port: int) -> None:
    with command("watch", "held", "--at", f"http://127.0.0.1:{port}/progress") as watch:
        with uploading(port, "held", "/held") as upload:
            upload.send(SIZE)
            watch.await_line("held: processing, 1.0 MB")
            release(port)
            upload.finish()
        assert watch.wait() == 0


def test_several_shows_at_once(port: int, gateway: int) -> None:
    urls = [f"http://127.0.0.1:{each}/progress?X-Progress-ID=here" for each in (port, gateway)]
    with command("watch", "own~x", *urls, "--at", f"http://127.0.0.1:{port}") as watch:
        for each, identifier in ((port, "here"), (gateway, "here"), (port, "own~x")):
            with uploading(each, identifier) as upload:
                upload.finish()
        assert watch.wait() == 0
    assert sum(line.startswith("here: done") for line in watch.output) == 2
    assert sum(line.startswith("own~x: done") for line in watch.output) == 1


def test_a_secret_is_not_sent_to_a_show(port: int) -> None:
    asked = []
    with odd_show() as show:
        find = show.members.get

        class Members(dict[str, object]):
            def get(self, identifier: str, default: object = None) -> object:
                asked.append(identifier)
                return find(identifier, default)

        show.members = Members()  # type: ignore[assignment]
        run("watch", "own~secret", "--at", show.url, "--wait", "0.1")
    assert set(asked) == {shared_form("own~secret")}


@pytest.mark.parametrize(
    ("path", "code", "line"),
    [
        ("/upload", 0, "x: done"),
        ("/form", 0, "x: done"),
        ("/too-large", 1, "x: failed, status 413"),
    ],
)
def test_the_exit_code(port: int, path: str, code: int, line: str) -> None:
    with uploading(port, "x", path) as upload:
        upload.finish()
    done = run("watch", "x", "--at", f"http://127.0.0.1:{port}")
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.splitlines()[-1].startswith(line)


def test_a_client_that_leaves_is_a_failure(port: int) -> None:
    with command("watch", "cut", "--at", f"http://127.0.0.1:{port}") as watch:
        with uploading(port, "cut") as upload:
            upload.send(SIZE // 2)
            watch.await_line("cut: 50%")
        assert watch.wait() == 1
    assert watch.output[-1] == "cut: failed, cut off"


@pytest.mark.parametrize(("flag", "line"), [((), "never: failed, unknown id"), (("--json",), "")])
def test_an_id_that_never_comes(port: int, flag: tuple[str, ...], line: str) -> None:
    done = run("watch", "never", *flag, "--at", f"http://127.0.0.1:{port}", "--wait", "0.3")
    assert done.returncode == 2
    assert line in done.stdout


def test_the_worst_of_several_counts(port: int) -> None:
    for identifier, path in (("good", "/upload"), ("bad", "/broken")):
        with uploading(port, identifier, path) as upload:
            upload.finish()
    at = ("--at", f"http://127.0.0.1:{port}", "--wait", "0.2")
    assert run("watch", "good", "bad", *at).returncode == 1
    assert run("watch", "good", "bad", "never", *at).returncode == 2


def test_one_show_that_is_gone_does_not_end_the_others(port: int) -> None:
    gone = f"http://127.0.0.1:{free_port()}/progress"
    words = ["watch", f"{gone}?X-Progress-ID=a", "b", "--at", f"http://127.0.0.1:{port}"]
    with command(*words) as watch:
        watch.await_line("b: waiting")
        with uploading(port, "b") as upload:
            upload.finish()
        assert watch.wait() == 2
    assert watch.output[-1].startswith("b: done")
    assert watch.errors == [f"mod-progress: {gone}: Connection refused"]


def test_a_server_that_stays_away() -> None:
    with odd_show() as show:
        show.members["a"] = running(3)
        with command("watch", "a", "--at", show.url, "--wait", "2") as watch:
            watch.await_line("a: 33%")
            show.close()
            assert watch.wait() == 2
    assert f"{show.url}: Connection refused; waiting up to 2 seconds" in watch.output
    assert watch.output[-1] == "a: failed, no longer known"
    assert watch.errors == [f"mod-progress: {show.url}: Connection refused"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", "--at", "http://127.0.0.1:9"], "http://127.0.0.1:9/progress: Connection refused"),
        (["a", "--at", "https://127.0.0.1:{port}"], "/progress: no TLS comes back: "),
        (["a", "--at", "http://127.0.0.1:{port}/x"], "/x: the answer is 201 Created, no progress"),
        (["a", "--at", "http://nowhere.invalid"], "http://nowhere.invalid/progress: "),
        (["a", "--at", "nonsense"], "nonsense: an address such as http://localhost:8080/progress"),
        (["a"], "a: --at URL is needed"),
        (["a b", "--at", "http://h"], "'a b' is no id"),
        (["a", "--at", "http://h", "--wait", "-1"], "--wait: '-1' is not a number of seconds"),
        (
            ["a", "--at", "http://h", "-H", "secret"],
            "-H/--header: 'secret' does not begin a header",
        ),
        ([], "the following arguments are required: ID"),
    ],
)
@pytest.mark.parametrize("json", [[], ["--json"]])
def test_what_is_wrong_is_one_clear_line(
    port: int, words: list[str], said: str, json: list[str]
) -> None:
    done = run("watch", *(word.format(port=port) for word in words), *json)
    assert_one_line(done, 2, said)


def test_a_certificate_that_nobody_trusts(
    tmp_path: Path, certificate: tuple[Path, Path], tls: ssl.SSLContext
) -> None:
    files = [str(path) for path in certificate]
    flags = ("--tls-cert", files[0], "--tls-key", files[1])
    gateway = Serving(tmp_path, SITE, *flags, "--listen", "127.0.0.1:0")
    try:
        url = f"https://localhost:{gateway.port}/progress"
        assert_one_line(run("watch", "a", "--at", url), 2, f"{url}: its certificate is not trusted")
    finally:
        gateway.stop()


@pytest.mark.parametrize(
    ("reason", "said"),
    [("\x1b[31mNo", r"403 \x1b[31mNo, no progress"), ("No", "403 No, no progress")],
)
def test_what_a_server_says_cannot_command_the_terminal(reason: str, said: str) -> None:
    with odd_show() as show:
        show.refusal = (403, reason)
        assert_one_line(run("watch", "a", "--at", show.url), 2, said)


def test_a_login_goes_with_every_question() -> None:
    with odd_show() as show:
        show.members["a"] = {"state": "error", "status": 500}
        show.required = ("Authorization", "Bearer x")
        assert_one_line(run("watch", "a", "--at", show.url), 2, "the answer is 401 Unauthorized")
        done = run("watch", "a", "--at", show.url, "-H", "Authorization: Bearer x")
    assert done.stdout == "a: failed, status 500\n"


def test_a_reader_that_leaves_is_no_fault(port: int) -> None:
    words = [COMMAND, "watch", "never", "--json", "--at", f"http://127.0.0.1:{port}", "--wait", "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
