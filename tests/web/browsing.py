"""Gateways that serve the page, and what a person does in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from urllib.request import urlopen

from playwright.sync_api import Locator, Page

#: A name by which the browser reaches 127.0.0.1 and that is no secure context, unlike localhost.
ELSEWHERE = "files.example"


class Server(NamedTuple):
    """A running `mod-progress serve`."""

    url: str
    uploads: Path
    process: subprocess.Popen[str]

    def ask(self, identifier: str) -> dict[str, Any]:
        with urlopen(f"{self.url}progress?X-Progress-ID={quote(identifier)}") as answer:
            snapshot: dict[str, Any] = json.load(answer)
            return snapshot

    def kill(self) -> None:
        """End it with its workers, and with what is in flight."""
        os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def serving(directory: Path, *arguments: str) -> Iterator[Server]:
    command = Path(sys.executable).with_name("mod-progress")
    with subprocess.Popen(
        [command, "serve", *arguments],
        cwd=directory,
        env={**os.environ, "XDG_RUNTIME_DIR": str(directory)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, "it did not start"
            yield Server(url, directory / "uploads", process)
        finally:
            process.terminate()


@contextmanager
def throttled(page: Page, rate: int) -> Iterator[None]:
    """Let the page send no more than so many bytes a second, for as long as the block runs.

    A file should be so large that it takes many times as long as what happens in the block.
    """
    session = page.context.new_cdp_session(page)
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": rate})
    yield
    # To detach alone would not change a form that is on its way.
    session.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": -1})
    session.detach()


def hurry(page: Page) -> None:
    """Let what the page waits for come ten times as soon."""
    page.evaluate(
        """() => {
            const wait = setTimeout;
            window.setTimeout = (callback, milliseconds) => wait(callback, milliseconds / 10);
        }"""
    )


def make_file(path: Path, size: int) -> Path:
    """Make a file whose every MiB is the same."""
    block = os.urandom(min(size, 1 << 20))
    with path.open("wb") as file:
        for begin in range(0, size, 1 << 20):
            file.write(block[: size - begin])
    return path


def choose(page: Page, *paths: Path) -> None:
    page.get_by_label("Choose files").set_input_files([str(path) for path in paths])


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("progressbar", name=name))


def said(page: Page, word: str) -> Locator:
    """Return what is said of uploads, of each by itself, that is this word."""
    return page.get_by_role("listitem").get_by_text(word, exact=True)
