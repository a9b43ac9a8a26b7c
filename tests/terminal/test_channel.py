"""How transfers are followed: by a stream, by polls, and over the faults of both."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path

import httpx
import pytest

from mod_progress.terminal import channel
from mod_progress.terminal.channel import Channel
from mod_progress.terminal.client import open_client
from mod_progress.terminal.show import PATIENCE, Show, ShowError
from mod_progress.transfer import Snapshot
from tests.gateway.running import eventually
from tests.gateway.serving import Serving
from tests.ports import free_port
from tests.terminal.odd_show import DONE, OddShow, Stream, event, odd_show, running
from tests.terminal.running import SIZE, serving, uploading

SITE = """
setup { module_load "mod_progress"; listen "127.0.0.1:0"; }
if req.path == "/events" { progress.show "events"; }
else if req.path == "/progress" { progress.show; }
else { progress.track; upload.store "uploads"; }
"""


class Recorder:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.snapshots: list[tuple[str, Snapshot]] = []
        self.notes: list[str] = []
        #: Called with each snapshot.
        self.react: Callable[[Snapshot], object] = lambda _: None

    def told(self, identifier: str, snapshot: Snapshot) -> None:
        self.snapshots.append((identifier, snapshot))
        self.react(snapshot)

    def expired(self, identifier: str) -> None:
        self.notes.append(f"expired {identifier}")

    def lost(self, reason: str, seconds: float) -> None:
        self.notes.append(f"lost {reason}, {seconds:g}")

    def found(self) -> None:
        self.notes.append("found")

    def states(self, identifier: str = "a") -> list[str]:
        return [snapshot.state.value for name, snapshot in self.snapshots if name == identifier]

    def received(self, identifier: str = "a") -> list[int]:
        """What it was told of an id, without repetitions."""
        return [snapshot.received for name, snapshot in self.snapshots if name == identifier]


def follow(
    url: str,
    *identifiers: str,
    wait: float = 10.0,
    push: bool = True,
    recorder: Recorder | None = None,
) -> Recorder:
    """Follow transfers until they are over."""
    recorder = recorder or Recorder()

    async def run() -> None:
        async with open_client(httpx.AsyncClient, [], PATIENCE) as client:
            show = Show(client, httpx.URL(url))
            await Channel(show, identifiers or ["a"], recorder, wait, push).run()

    asyncio.run(run())
    return recorder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for long where a server is odd."""
    monkeypatch.setattr(channel, "PACE", 0.02)
    monkeypatch.setattr(channel, "SILENCE", 0.2)
    monkeypatch.setattr(channel, "_GRACE", 0.1)
    monkeypatch.setattr(channel, "_LEAST_LIFE", 0.01)
    monkeypatch.setattr(channel, "_RETRY", 0.05)


def test_an_upload_through_a_middleware_is_pushed(tmp_path: Path) -> None:
    recorder = Recorder()
    with serving("tracked", tmp_path) as port, uploading(port, "a") as upload:
        upload.send(SIZE // 2)

        def go_on(snapshot: Snapshot) -> None:
            if snapshot.received == SIZE // 2:
                upload.finish()

        recorder.react = go_on
        follow(f"http://127.0.0.1:{port}/progress", recorder=recorder)
    assert recorder.states()[-1] == "done"
    assert recorder.received()[-1] == SIZE


@pytest.mark.parametrize("path", ["progress", "events"])
@pytest.mark.parametrize("push", [True, False])
def test_an_upload_through_the_gateway(tmp_path: Path, path: str, push: bool) -> None:
    gateway = Serving(tmp_path, SITE)
    recorder = Recorder()
    try:
        with uploading(gateway.port, "a") as upload:
            upload.send(SIZE // 4)

            def go_on(snapshot: Snapshot) -> None:
                if snapshot.received == SIZE // 4:
                    upload.send(SIZE // 4)
                elif snapshot.received == SIZE // 2:
                    upload.finish()

            recorder.react = go_on
            follow(f"{gateway.url}{path}", push=push, recorder=recorder)
    finally:
        gateway.stop()
    assert recorder.states()[-1] == "done"
    assert {SIZE // 4, SIZE // 2, SIZE} <= set(recorder.received())


def test_several_ids_share_one_stream() -> None:
    def stream(file: BufferedIOBase, identifiers: list[str], _: str) -> None:
        assert identifiers == ["a", "b"]
        for members in (running(1), running(2), DONE):
            for identifier in identifiers:
                file.write(event({"id": identifier, **members}))
        file.write(event({"id": "c", **DONE}))
        file.write(b"event: end\ndata: {}\n\n")

    with odd_show(stream) as show:
        recorder = follow(show.url, "a", "b")
    assert recorder.received("a") == recorder.received("b") == [0, 1, 2, 9]
    assert recorder.states("c") == []
    assert (show.streams, show.polls) == (1, 2)


def test_what_is_over_is_asked_for_no_more() -> None:
    asked = []

    def stream(file: BufferedIOBase, identifiers: list[str], last: str) -> None:
        asked.append((identifiers, last))
        file.write(event({"id": identifiers[0], **DONE}, f"after {identifiers[0]}"))

    with odd_show(stream) as show:
        show.members = {"a": running(1), "b": running(1)}
        recorder = follow(show.url, "a", "b")
    assert recorder.states("a")[-1] == recorder.states("b")[-1] == "done"
    assert asked == [(["a", "b"], ""), (["b"], "after a")]


def test_a_stream_that_ends_is_opened_again(quick: None) -> None:
    lasts = []

    def stream(file: BufferedIOBase, _: list[str], last: str) -> None:
        lasts.append(last)
        file.write(b"retry: 1000\n\n")
        if len(lasts) == 4:
            file.write(event(DONE))
        elif len(lasts) % 2:
            file.write(event(running(len(lasts)), f"tag {len(lasts)}"))

    with odd_show(stream) as show:
        show.members["a"] = running(3)
        recorder = follow(show.url)
    assert lasts == ["", "tag 1", "tag 1", "tag 3"]
    assert recorder.received()[-1] == 9
    assert recorder.notes == []


def silent(file: BufferedIOBase, *_: object) -> None:
    """Say nothing for a while, as a proxy does that holds a stream back."""
    file.flush()
    time.sleep(1)


def broken(file: BufferedIOBase, *_: object) -> None:
    file.write(b"data: {")


def garbage(file: BufferedIOBase, *_: object) -> None:
    file.write(b"data: garbage\n\n")


def endless(file: BufferedIOBase, *_: object) -> None:
    file.write(bytes(1 << 20))


@pytest.mark.parametrize("stream", [None, silent, broken, garbage, endless])
def test_where_no_stream_is_of_use_it_is_polled(quick: None, stream: Stream | None) -> None:
    recorder = Recorder()
    with odd_show(stream) as show:
        show.members["a"] = running(1)

        def go_on(snapshot: Snapshot) -> None:
            show.members["a"] = running(snapshot.received + 1) if snapshot.received < 5 else DONE

        recorder.react = go_on
        follow(show.url, recorder=recorder)
    assert recorder.received() == [1, 2, 3, 4, 5, 9]
    assert recorder.notes == []


def test_a_silent_stream_is_no_fault_while_nothing_happens(quick: None) -> None:
    def stream(file: BufferedIOBase, *_: object) -> None:
        eventually(lambda: show.polls > 3)
        show.members["a"] = DONE
        file.write(event(DONE))

    with odd_show(stream) as show:
        show.members["a"] = running(9)
        recorder = follow(show.url)
    assert recorder.states() == ["running", "done"]
    assert show.streams == 1


def test_polls_are_rarer_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = asyncio.sleep
    pauses = []

    async def pause(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
            if len(pauses) == 8:
                show.members["a"] = running(2)
            elif len(pauses) == 10:
                show.members["a"] = DONE
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    with odd_show() as show:
        show.members["a"] = running(1)
        recorder = follow(show.url, push=False)
    assert recorder.received() == [1, 2, 9]
    assert pauses == pytest.approx([0.2, 0.3, 0.45, 0.675, 1.0125, 1.51875, 2.0, 2.0, 0.2, 0.3])


def test_an_id_that_is_not_there_yet_is_waited_for() -> None:
    recorder = Recorder()
    with odd_show() as show:

        def begin(_: Snapshot) -> None:
            show.members["a"] = DONE

        recorder.react = begin
        follow(show.url, recorder=recorder)
    assert recorder.states() == ["unknown", "done"]


@pytest.mark.parametrize("stream", [None, silent])
def test_an_id_that_never_comes_is_given_up(stream: Stream | None) -> None:
    with odd_show(stream) as show:
        show.members["b"] = DONE
        began = time.monotonic()
        recorder = follow(show.url, "a", "b", wait=0.3)
    assert time.monotonic() - began >= 0.3
    assert recorder.notes == ["expired a"]
    assert recorder.states("b") == ["done"]


def test_a_transfer_that_is_forgotten_is_over() -> None:
    recorder = Recorder()
    with odd_show() as show:
        show.members["a"] = running(1)

        def forget(_: Snapshot) -> None:
            show.members.clear()

        recorder.react = forget
        follow(show.url, recorder=recorder)
    assert recorder.states() == ["running", "unknown"]


def test_the_first_question_has_to_be_answered() -> None:
    port = free_port()
    with pytest.raises(ShowError, match=f"^http://127.0.0.1:{port}/p: Connection refused$"):
        follow(f"http://127.0.0.1:{port}/p", wait=math.inf)


def go_away(show: OddShow, recorder: Recorder) -> threading.Thread:
    """Close a show; when that is told, open one at the same port, which says that all is done."""

    def run() -> None:
        show.close()
        eventually(lambda: recorder.notes)
        with odd_show(port=show.server_port) as other:
            other.members["a"] = DONE
            eventually(lambda: other.polls > 1 or other.streams)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("stream", [None, silent])
def test_a_server_that_is_gone_is_waited_for(quick: None, stream: Stream | None) -> None:
    recorder = Recorder()
    show = OddShow(stream)
    show.members["a"] = running(1)
    threads: list[threading.Thread] = []

    def close(_: Snapshot) -> None:
        if not threads:
            threads.append(go_away(show, recorder))

    recorder.react = close
    follow(show.url, recorder=recorder)
    threads[0].join()
    assert recorder.states() == ["running", "done"]
    assert recorder.notes == [f"lost {show.url}: Connection refused, 10", "found"]


def test_a_server_that_stays_away_is_given_up(quick: None) -> None:
    recorder = Recorder()
    show = OddShow()
    show.members["a"] = running(1)
    threads: list[threading.Thread] = []

    def close(_: Snapshot) -> None:
        threads.append(threading.Thread(target=show.close))
        threads[0].start()

    recorder.react = close
    with pytest.raises(ShowError, match="Connection refused"):
        follow(show.url, wait=1, recorder=recorder)
    threads[0].join()
    assert recorder.notes == [f"lost {show.url}: Connection refused, 1"]


def test_a_show_that_is_away_for_a_moment_is_not_mentioned() -> None:
    recorder = Recorder()
    cut = threading.Event()

    def stream(file: BufferedIOBase, *_: object) -> None:
        if not cut.is_set():
            cut.set()
            raise ConnectionResetError
        file.write(event(DONE))

    with odd_show(stream) as show:
        show.handle_error = lambda *_: None  # type: ignore[method-assign]
        show.members["a"] = running(1)
        follow(show.url, recorder=recorder)
    assert recorder.states() == ["running", "done"]
    assert recorder.notes == []
