"""`mod-progress top`: on a real terminal, and as lines of JSON."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mod_progress.cli import main
from mod_progress.terminal import top
from tests.cli.running import COMMAND, run
from tests.gateway.running import eventually
from tests.gateway.serving import Serving
from tests.terminal.running import Terminal, terminal, uploading

SITE = """
setup { module_load "mod_progress"; listen "127.0.0.1:0"; limits.body_idle_time 3600; }
if req.path == "/all" { progress.show "dump"; }
else if req.path == "/progress" { progress.show; }
else { progress.track; upload.store "uploads"; }
"""

NAMES = ["one", "two", "six"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The list of a gateway with three uploads in flight."""
    started = Serving(tmp_path_factory.mktemp("gateway"), SITE)
    with ExitStack() as uploads:
        for name in NAMES:
            upload = uploads.enter_context(uploading(started.port, f"id-of-{name}", f"/{name}/"))
            upload.send(250_000)
        yield f"http://127.0.0.1:{started.port}/all"
    started.stop()


@pytest.fixture
def screen(url: str, tmp_path: Path) -> Iterator[Terminal]:
    with terminal(tmp_path, "top", url, lines=6) as screen:
        yield screen


def test_a_screen_of_its_own_that_keys_change(screen: Terminal) -> None:
    screen.await_text("3 running, 0 done, 0 failed  (by started)", "up 25%", "1.0 MB", "1 more")
    assert not screen.has_cursor
    screen.type("/")
    screen.type("/two")
    screen.await_text("path begins with: /two_")
    screen.type("Enter")
    screen.await_text("1 running, 0 done, 0 failed  (by started, path /two)", "127.0.0.1")
    screen.type("fsr")
    screen.await_text("(by rate, reversed, state running, path /two)")
    screen.type("f")
    screen.await_text("state done")
    eventually(lambda: "127.0.0.1" not in screen.screen)
    screen.resize(120, 12)
    screen.type("/")
    screen.type("BSpace")
    screen.type("BSpace")
    screen.type("BSpace")
    screen.type("BSpace")
    screen.type("Enter")
    screen.type("fff")
    screen.await_text("3 running", "one", "two", "six")
    screen.type("q")
    assert screen.wait() == 0
    assert screen.has_cursor
    assert "running" not in screen.screen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_however_it_ends_the_terminal_is_left_as_it_was(
    screen: Terminal, number: signal.Signals, code: int
) -> None:
    screen.await_text("3 running")
    screen.signal(number)
    assert screen.wait() == code
    assert screen.has_cursor
    screen.type("echoed")
    screen.await_text("echoed")


def test_a_line_of_json_for_each_transfer_of_all_pages(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(top, "_PAGE", 2)

    def printed() -> list[str]:
        assert main(["top", url, "--json"]) == 0
        return sorted(json.loads(line)["path"] for line in capsys.readouterr().out.splitlines())

    eventually(lambda: printed() == sorted(f"/{name}/" for name in NAMES))


def test_who_reads_the_lines_may_leave(url: str) -> None:
    done = subprocess.run(
        f"{COMMAND} top {url} | head -c 0", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_without_permission(url: str) -> None:
    done = run("top", url.replace("/all", "/progress"))
    assert done.returncode == 2
    assert "the answer is 400 Bad Request" in done.stderr
