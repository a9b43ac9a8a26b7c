"""Every block of code in the documentation holds, each in the way of its language.

- Python runs: the blocks of a page one after the other, in one module.
- A configuration is checked as ``mod-progress check`` does. One without ``setup`` has all modules.
- Shell is parsed by ``sh``, and the words of ``mod-progress`` by its own parser.
- JavaScript is parsed by Node, nginx's configuration by nginx, JSON and YAML by their parsers.
- Whole sites of other servers, on the pages about moving over, are started by ``tests/moving``.
- HTML and CSS are opened in a browser, by ``tests/web/test_documented_html.py``. What belongs to
  another library, in JSX and TypeScript too, meets the real one in ``test_libraries.py`` and
  ``test_upload_libraries.py`` beside it.

Pages that begin with nothing and end with a running site have files with titles: those really run,
in ``tests/web/test_start_pages.py``.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask
from ruamel.yaml import YAML

from mod_progress.asgi import ProgressMiddleware
from mod_progress.cli import COMMANDS
from mod_progress.cli.arguments import Parser
from mod_progress.config import check
from mod_progress.config.directives import MODULES
from tests.docs.blocks import BLOCKS, Block, blocks_in, words_of

LANGUAGES = set("console css html js json jsx lighttpd nginx python sh ts yaml".split()) | {""}

#: Those of other servers' sites: Apache's, and lighttpd 1's as highlighters call it.
OTHER_SERVERS = {"apache", "lighty"}

#: Those that are no files of a page to start from.
PYTHON = [block for block in blocks_in("python") if not block.title]

#: What `htpasswd -B` writes.
PASSWORDS = "ann:$2y$05$" + "." * 53 + "\n"

#: nginx around what a page shows.
NGINX = """
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    upstream app {{ server 127.0.0.1:8000; }}
    server {{ listen 127.0.0.1:1; {text} }}
}}
"""


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Stand for the reader's app."""


#: The app that a reader has, by the heading above what is done to it; else the one above.
APPS: dict[str, Callable[[], Any]] = {
    "FastAPI, Starlette": FastAPI,
    "Flask": lambda: Flask("app"),
}


def without_sites(language: str) -> list[Block]:
    """Return the blocks of a language without whole sites, which ``tests/moving`` starts."""
    return [block for block in blocks_in(language) if not block.page.startswith("docs/moving-")]


@pytest.fixture
def names() -> dict[str, Any]:
    """What a reader has before the first block of a page."""
    return {
        "__name__": "page",
        "ProgressMiddleware": ProgressMiddleware,
        "application": _app,
        "get_asgi_application": lambda: _app,
        "get_wsgi_application": lambda: _app,
        "logging": logging,
    }


@pytest.mark.parametrize(
    "page", sorted({block.page for block in blocks_in("python") if not block.title})
)
def test_python_runs(
    page: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for block in PYTHON:
        if block.page == page:
            names["app"] = APPS[block.heading]() if block.heading in APPS else _app
            code = "\n" * (block.line) + block.text
            exec(compile(code, page, "exec"), names)


@pytest.mark.parametrize("block", without_sites("lighttpd"), ids=str)
def test_a_configuration_holds(block: Block, tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text(PASSWORDS)
    text = block.text.replace('"/etc/mod_progress/passwords"', f'"{tmp_path}/passwords"')
    if "module_load" not in text:
        text = f"setup {{ module_load {json.dumps(list(MODULES))}; }}\n{text}"
    (tmp_path / "site.conf").write_text(text)
    errors = [str(error) for error in check(tmp_path / "site.conf") if not error.is_warning]
    assert errors == []


@pytest.mark.parametrize("block", blocks_in("sh", "console"), ids=str)
def test_a_shell_understands_it(block: Block) -> None:
    assert block.commands
    text = block.text if block.language == "sh" else "\n".join(block.commands)
    done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "block",
    [block for block in blocks_in("sh", "console") if "mod-progress " in block.text],
    ids=str,
)
def test_the_command_line_takes_it(block: Block) -> None:
    for command in block.commands:
        for words in words_of(command):
            if words[:1] == ["mod-progress"] and not words[1].startswith("--"):
                parse(words[1], words[2:])


def parse(name: str, words: list[str]) -> None:
    """Parse the words of a command; fail where they are not what it takes."""
    assert name in {command.name for command in COMMANDS}
    parser = Parser(name, "")
    import_module(f"mod_progress.cli.{name.replace('-', '_')}").add_arguments(parser)
    parser.parse(words)


@pytest.mark.parametrize("block", blocks_in("js"), ids=str)
def test_javascript_is_right(block: Block) -> None:
    command = ["node", "--input-type=module", "--check"]
    done = subprocess.run(command, input=block.text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", without_sites("nginx"), ids=str)
def test_nginx_takes_it(block: Block, tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, text=block.text))
    command = ["nginx", "-t", "-p", str(tmp_path), "-c", "nginx.conf"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", blocks_in("json"), ids=str)
def test_json_is_right(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks_in("yaml"), ids=str)
def test_yaml_is_right(block: Block) -> None:
    assert YAML(typ="safe").load(block.text)


def test_every_block_has_a_language_that_is_tried() -> None:
    assert {block.language for block in BLOCKS} <= LANGUAGES | OTHER_SERVERS


def test_what_has_no_language_is_no_code() -> None:
    code = re.compile(
        r"^(\$ |mod-progress |pip |curl |make |docker |setup \{|import |from \w+ import)"
    )
    assert [str(block) for block in blocks_in("") if code.match(block.text)] == []
