"""Every example runs by the commands in its first lines, and its page in a browser."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.running import eventually
from tests.ports import free_port
from tests.web.browsing import make_file, throttled

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ["asgi_app.py", "django_app.py", "fastapi_app.py", "flask_app.py", "htmx/app.py"]
NAMES += ["react/app.py"]

PATIENCE = 60

#: What is sent by curl.
SIZE = 1_000_000

#: What is sent in a browser, and bytes a second: it would take 20 seconds.
FILM_SIZE = 2_000_000
RATE = 100_000

#: What shows in each page that the upload is on its way.
BARS = {
    "react/app.py": "progress[value]",
    **dict.fromkeys(
        ("django_app.py", "fastapi_app.py", "flask_app.py", "htmx/app.py"),
        "transfer-progress[state=uploading]",
    ),
}


#: Lets a page say when there is what a selector describes.
SAY_SEEN = """selector => {
    const look = () => document.querySelector(selector) && console.log("seen");
    new MutationObserver(look).observe(document.body, {
        subtree: true, childList: true, attributes: true
    });
}"""


class Example(NamedTuple):
    """An example that runs."""

    name: str
    url: str
    #: Its commands that send a file and look, where it has some.
    asking: list[list[str]]


def read_commands(program: Path) -> list[list[str]]:
    """Return what the docstring says to type, the server on a free port."""
    port = str(free_port())
    text = ast.get_docstring(ast.parse(program.read_text())) or ""
    text = text.replace("8000", port).replace("1M", "100M")
    lines = [line for line in text.splitlines() if line.startswith("    ")]
    return [shlex.split(line.removesuffix("&")) for line in lines]


def ask(command: list[str]) -> str:
    return subprocess.run([*command, "--silent"], capture_output=True, text=True).stdout


@pytest.fixture(scope="module", params=NAMES)
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Example]:
    """Do what an example says, in a copy of its folder."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("node_modules"))
    commands = read_commands(folder / "examples" / request.param)
    asking = [command for command in commands if command[0] == "curl"]
    *preparing, (server, *arguments) = [command for command in commands if command[0] != "curl"]
    for command in preparing:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with subprocess.Popen(
        [Path(sys.executable).with_name(server), *arguments],
        cwd=folder,
        env=os.environ | {"XDG_RUNTIME_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            (port,) = {*re.findall(r"\b\d{4,5}\b", " ".join(arguments))}
            url = f"http://localhost:{port}/"
            eventually(lambda: ask(["curl", f"{url}progress?X-Progress-ID=none"]), PATIENCE)
            yield Example(request.param, url, asking)
        finally:
            process.terminate()


def test_the_commands_of_an_example(example: Example, tmp_path: Path) -> None:
    if not example.asking:
        assert example.name in BARS
        return
    file = make_file(tmp_path / "film", SIZE)
    send, look = example.asking
    assert str(SIZE) in ask([word.replace("big.iso", str(file)) for word in send])
    answer: dict[str, Any] = {}

    def is_done() -> bool:
        answer.update(json.loads(ask(look)))
        return bool(answer["state"] == "done")

    eventually(is_done, PATIENCE)
    assert answer["received"] == answer["request_size"] >= SIZE


def test_the_page_of_an_example(
    example: Example, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    if example.name not in BARS:
        assert example.asking
        return
    page = open_page(example.url)
    page.locator("input[type=file]").set_input_files(make_file(tmp_path / "film.mkv", FILM_SIZE))
    page.evaluate(SAY_SEEN, BARS[example.name])
    # While a form is sent the next page is awaited, and Playwright looks at none until it is there.
    with throttled(page, RATE), page.expect_console_message(lambda said: said.text == "seen"):
        page.get_by_role("button", name="Upload").evaluate("button => { button.click(); }")
    expect(page.locator("body")).to_contain_text(str(FILM_SIZE))
    expect(page.locator("body")).to_contain_text("film.mkv")


def test_all_examples_are_listed() -> None:
    listed = {*re.findall(r"\]\(([\w./-]+)\)", (EXAMPLES / "README.md").read_text())}
    tracked = subprocess.run(
        ["git", "ls-files", "."], cwd=EXAMPLES, check=True, capture_output=True, text=True
    ).stdout.split()
    files = {f"{name.split('/')[0]}/" if "/" in name else name for name in tracked}
    assert listed == files - {"README.md"}
