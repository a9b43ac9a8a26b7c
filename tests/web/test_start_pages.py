"""The pages that begin with nothing and end with a bar: what they say is done, in a browser."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.docs.blocks import BLOCKS
from tests.gateway.running import eventually
from tests.ports import free_port
from tests.web.brake import FREE, RELEASE, Brake, brake_before
from tests.web.browsing import make_file

PAGES = sorted({block.page for block in BLOCKS if block.title})

#: Programs that serve until they are ended.
SERVERS = ("gunicorn", "mod-progress serve", "node", "uvicorn")

#: Seconds for a server to start: Django and four workers on a busy machine.
PATIENCE = 60

#: Releases the brake when the bar says that a part of the file is there.
LISTEN = """release => addEventListener("progress", ({ detail }) => {
    if (detail.state === "uploading" && detail.value > 0 && detail.value < 1) fetch(release);
})"""

#: Bytes of the file that curl sends.
SIZE = 500_000


class Site:
    """What somebody has who does what a page says, in a folder of his own."""

    def __init__(self, page: str, folder: Path) -> None:
        self.folder = folder
        self._ports = {port: str(free_port()) for port in ("3000", "8000", "8080")}
        self.blocks = [block for block in BLOCKS if block.page == page]
        for block in self.blocks:
            if block.title:
                file = folder / block.title
                file.parent.mkdir(exist_ok=True)
                file.write_text(self.own(block.text))

    @property
    def port(self) -> int:
        """Where the page says to go."""
        public = "8080" if any("8080" in block.text for block in self.blocks) else "8000"
        return int(self._ports[public])

    def own(self, text: str) -> str:
        """Return a text with the ports of this test, and with what takes less time."""
        for port, free in self._ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text.replace("--limit-rate 1M", "--silent").replace("--workers 4", "--workers 2")

    def commands(self, *programs: str) -> list[list[str]]:
        """Return what the page says to type, for these programs."""
        lines = [line for block in self.blocks if block.language == "sh" for line in block.commands]
        found = [line for line in lines if line.startswith(programs)]
        return [shlex.split(self.own(line).removesuffix("&")) for line in found]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the servers of the page, in its order."""
        folder = Path(sys.executable).parent
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder), "PATH": path}
        with ExitStack() as stack:
            log = stack.enter_context((self.folder / "log").open("wb"))
            for words in self.commands(*SERVERS):
                server = subprocess.Popen(
                    words, cwd=self.folder, env=environment, stdout=log, stderr=log
                )
                stack.callback(end, server)
            eventually(self.answers, PATIENCE)
            yield

    def answers(self) -> bool:
        """Whether the page is there, which has to go through all servers."""
        with suppress(OSError), urlopen(f"http://localhost:{self.port}/") as answer:
            return bool(answer.status == 200)
        return False


def end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_leads_to_a_true_bar(
    name: str, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    site = Site(name, tmp_path)
    assert site.commands(*SERVERS)
    with site.running(), brake_before(site.port) as brake:
        page = open_page(f"http://localhost:{brake.port}/")
        see_the_bar(page, make_file(tmp_path / "film.mkv", 4 * FREE), brake)
        look_from_elsewhere(site)


def see_the_bar(page: Page, file: Path, brake: Brake) -> None:
    """Send a file in the browser; see the bar at a part of it, and then what the app answers."""
    page.locator("input[type=file]").set_input_files(str(file))
    page.evaluate(LISTEN, RELEASE)
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/upload?*", timeout=PATIENCE * 1000)
    expect(page.locator("body")).to_contain_text(re.compile(r"film|\d bytes"))
    assert brake.released.is_set(), "the bar did not move"


def look_from_elsewhere(site: Site) -> None:
    """Type what the page says to type into another terminal; the last command asks."""
    make_file(site.folder / "big.iso", SIZE)
    *others, ask = site.commands("curl")
    for words in others:
        subprocess.run(words, cwd=site.folder, check=True, capture_output=True)
    said = json.loads(subprocess.run(ask, check=True, capture_output=True).stdout)
    assert said["state"] in ({"done", "running"} if others else {"unknown"})
    shown = next(json.loads(block.text) for block in site.blocks if block.language == "json")
    assert list(said) == list(shown)
