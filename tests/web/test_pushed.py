"""The script and the server's own stream of events."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.connections import wait_until
from tests.web.playground import page_of
from tests.web.pushing import PushingApp, running_app

BARS = "".join(
    f'<transfer-progress for-id="{each}"></transfer-progress>' for each in ("own~one", "two")
)


@pytest.fixture
def app() -> Iterator[PushingApp]:
    with running_app() as running:
        running.page = page_of(BARS)
        yield running


class Upload:
    """An upload of another client, whose body comes piece by piece."""

    def __init__(self, app: PushingApp, identifier: str) -> None:
        self._app = app
        self._pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        arguments = (identifier, iter(self._pieces.get, b""))
        self._thread = threading.Thread(target=app.send, args=arguments)

    def __enter__(self) -> Upload:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._app.gate.set()
        self.end()
        self._thread.join()

    def send(self, size: int) -> None:
        self._pieces.put(bytes(size))

    def end(self) -> None:
        self._pieces.put(b"")


def test_it_is_pushed_and_nothing_is_asked_again(
    open_page: Callable[..., Page], app: PushingApp
) -> None:
    page = open_page(app.url)
    details = page.locator("[part=detail]")
    states = page.locator("[part=status]")
    with Upload(app, "own~one") as one, Upload(app, "two") as two:
        one.send(1_000_000)
        two.send(2_000_000)
        expect(details).to_contain_text(["1.0 MB", "2.0 MB"])
        one.send(1_000_000)
        expect(details.first).to_contain_text("2.0 MB")
        wait_until(lambda: any(query.endswith("&format=events") for query in app.asked))
        # Polls go on until the stream has told something.
        asked: list[str] = []
        amounts_pushed = 0
        for amount in range(3, 30):
            amounts_pushed = amounts_pushed + 1 if app.asked == asked else 0
            if amounts_pushed == 4:
                break
            asked = [*app.asked]
            two.send(1_000_000)
            expect(details.last).to_contain_text(f"{amount}.0 MB")
        assert amounts_pushed == 4
        one.end()
        expect(states.first).to_have_text("Processing")
        two.end()
        app.gate.set()
        expect(states).to_have_text(["Done", "Done"])
    assert app.asked == asked


def test_a_shared_id_lets_others_see_the_bar(
    open_page: Callable[..., Page], app: PushingApp
) -> None:
    page = open_page(app.url)
    shared = page.evaluate(
        "import('/progress-sharing.js').then((module) => module.sharedIdentifier('own~one'))"
    )
    app.page = page_of(f'<transfer-progress for-id="{shared}"></transfer-progress>')
    friend = open_page(app.url)
    with Upload(app, "own~one") as upload:
        upload.send(1_000_000)
        expect(friend.locator("[part=detail]")).to_contain_text("1.0 MB")
        upload.end()
        app.gate.set()
        expect(friend.locator("[part=status]")).to_have_text("Done")
