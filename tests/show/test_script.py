"""The script for browsers, as fronts serve it."""

from __future__ import annotations

from importlib.resources import files

import pytest

from mod_progress.show.answer import Answer
from mod_progress.show.script import MAIN, MODULES, script_paths, serve_script

WEB = files("mod_progress") / "web"


def ask(path: str, **fields: str) -> Answer:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
    return serve_script(path, given.get)


@pytest.mark.parametrize("module", MODULES)
def test_each_module_is_served_as_it_is_in_the_package(module: str) -> None:
    answer = ask(f"/static/{module}")
    fields = dict(answer.fields)
    assert answer.status == 200
    assert answer.body == (WEB / module).read_bytes()
    assert fields["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_that_one_imports_is_served(module: str) -> None:
    source = (WEB / module).read_text()
    imported = {part.split('"')[0] for part in source.split('"./')[1:]}
    assert imported <= {*MODULES}


def test_another_name_is_the_main_module() -> None:
    assert ask("/any/name").body == (WEB / MAIN).read_bytes()


def test_the_main_module_stays_small() -> None:
    body = ask("/progress.js", accept_encoding="gzip").body
    assert isinstance(body, bytes)
    assert len(body) < 8192


def test_the_modules_are_beside_the_script() -> None:
    assert script_paths("/static/bar.js") == {
        "/static/bar.js",
        *(f"/static/{module}" for module in MODULES),
    }
