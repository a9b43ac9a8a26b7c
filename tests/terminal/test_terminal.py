"""The commands in a real terminal: what is on the screen, and how it is left."""

from __future__ import annotations

import itertools
import re
import signal
import threading
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import pytest

from mod_progress.identifier import shared_form
from tests.gateway.running import PATIENCE
from tests.terminal.apps import HALF
from tests.terminal.odd_show import DONE, event, odd_show, running
from tests.terminal.running import SIZE, release, serving, terminal, uploading

INTERRUPTED = 130
TERMINATED = 143


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A middleware in a real server."""
    with serving("tracked", tmp_path_factory.mktemp("app")) as port:
        yield port


def line_of(screen: str, text: str) -> str:
    """Return the only line of the screen that begins with a text."""
    (line,) = (line for line in screen.splitlines() if line.startswith(text))
    return line


def test_several_transfers_have_a_bar_each(port: int, tmp_path: Path) -> None:
    with terminal(tmp_path, "watch", "one", "two", "--at", f"http://127.0.0.1:{port}") as screen:
        screen.await_text("one ━", "two ━", "waiting")
        assert not screen.has_cursor
        with uploading(port, "one") as one, uploading(port, "two", "/too-large") as two:
            one.send(SIZE // 2)
            two.send(SIZE // 4)
            screen.await_text("50% 500 kB of 1.0 MB", "25% 250 kB of 1.0 MB")
            two.finish()
            screen.await_text("status 413")
            one.finish()
        assert screen.wait() == 1
        shown = screen.screen
        assert "done" in line_of(shown, "one ")
        assert "failed" in line_of(shown, "two ")
        assert screen.has_cursor


def test_rate_time_left_and_the_time_of_the_end(tmp_path: Path) -> None:
    received = itertools.count(10**8, 10**6)

    class Members(dict[str, Any]):
        """Each look finds more, so the transfer never stalls."""

        def get(self, identifier: str, _: object = None) -> Any:
            return super().get(identifier) or {**running(next(received)), "request_size": 10**9}

    with odd_show() as show:
        show.members = Members()
        with terminal(tmp_path, "watch", "film", "--at", show.url, columns=120) as screen:
            screen.await_text(" left", "ends ")
            line = line_of(screen.screen, "film ")
            assert re.search(
                r" [0-9]+% [0-9.]+ MB of 1\.0 GB +[0-9.]+ [kM]B/s +[0-9:]+ left ends [0-9]", line
            )
            assert " 0:00" not in line
            show.members["film"] = DONE
            assert screen.wait() == 0


def test_an_app_at_work(port: int, tmp_path: Path) -> None:
    words = ["watch", "held", "--at", f"http://127.0.0.1:{port}"]
    with terminal(tmp_path, *words) as screen, uploading(port, "held", "/held") as upload:
        upload.send(SIZE)
        screen.await_text("processing")
        release(port)
        upload.finish()
        assert screen.wait() == 0


def test_a_server_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    with odd_show() as show:
        show.members["a"] = running(3)
        with terminal(tmp_path, "watch", "a", "--at", show.url, columns=120) as screen:
            screen.await_text("33%")
            show.close()
            screen.await_text(f"{show.url}: Connection refused; waiting up to 30 seconds")
            with odd_show(port=show.server_port) as other:
                other.members["a"] = running(6)
                screen.await_text(f"{show.url}: it answers again", "66%")
                other.members["a"] = DONE
                assert screen.wait() == 0
            assert "done" in line_of(screen.screen, "a ")


def test_what_was_sent_and_what_the_server_has(port: int, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.truncate(40 * HALF)
    words = ["send", str(path), f"http://127.0.0.1:{port}/half", "--id", "own~x"]
    with terminal(tmp_path, *words) as screen:
        screen.await_text("film.mp4 sent", "         server ━")
        shown = screen.screen
        command = "".join(shown.splitlines()[:2])
        assert command == (
            f"to watch it: mod-progress watch {shared_form('own~x')}"
            f" --at http://127.0.0.1:{port}/progress"
        )
        release(port)
        assert screen.wait() == 0
        *_, sent, server, end = screen.screen.splitlines()
        assert sent.startswith("film.mp4 sent   ━")
        assert server.startswith("         server ━")
        assert "done" in sent
        assert "done" in server
        assert end == "film.mp4: 201 Created"
        assert screen.has_cursor


@pytest.mark.parametrize(
    "words",
    [
        ["watch", "a", "b", "--at", "http://127.0.0.1:{port}"],
        ["send", "-", "http://127.0.0.1:{port}/upload"],
        ["send", "{file}", "http://127.0.0.1:{port}/half"],
    ],
)
@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM"])
def test_it_leaves_the_terminal_clean(
    port: int, tmp_path: Path, words: list[str], way: str
) -> None:
    path = tmp_path / "film"
    with path.open("wb") as file:
        file.truncate(40 * HALF)
    with terminal(tmp_path, *(word.format(port=port, file=path) for word in words)) as screen:
        screen.await_text("━━━")
        assert not screen.has_cursor
        if way == "Ctrl-C":
            screen.type("C-c")
        else:
            screen.signal(signal.SIGTERM)
        assert screen.wait() == (INTERRUPTED if way == "Ctrl-C" else TERMINATED)
        assert screen.has_cursor
        assert "Traceback" not in screen.screen


def test_the_bars_follow_the_width(tmp_path: Path) -> None:
    with odd_show() as show:
        show.members["a"] = running(3)
        with terminal(tmp_path, "watch", "a", "--at", show.url, columns=120) as screen:
            screen.await_text("33%")
            wide = line_of(screen.screen, "a ").count("━")
            screen.resize(60, 24)
            show.members["a"] = running(6)
            screen.await_text("66%")
            assert max(map(len, screen.screen.splitlines())) <= 60
            assert screen.screen.splitlines()[-1].count("━") < wide
            show.members["a"] = DONE
            assert screen.wait() == 0


def test_a_file_name_cannot_command_the_terminal(port: int, tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\nb"
    path.write_bytes(b"x")
    with terminal(tmp_path, "send", str(path), f"http://127.0.0.1:{port}/upload") as screen:
        assert screen.wait() == 0
        assert screen.screen.endswith(r"a\x1b[2J\nb: 201 Created")


def test_pushed_events_move_a_bar(tmp_path: Path) -> None:
    seen = threading.Event()

    def stream(file: BufferedIOBase, *_: object) -> None:
        file.write(event(running(4)))
        assert seen.wait(PATIENCE)
        file.write(event(DONE))

    with odd_show(stream) as show, terminal(tmp_path, "watch", "a", "--at", show.url) as screen:
        screen.await_text("44%")
        seen.set()
        assert screen.wait() == 0
