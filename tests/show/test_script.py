"""The script for browsers, as fronts serve it."""

from __future__ import annotations

import gzip
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
    assert fields["Cache-Control"] == "no-cache"
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert "Content-Encoding" not in fields


@pytest.mark.parametrize("module", MODULES)
def test_every_module_that_one_imports_is_served(module: str) -> None:
    source = (WEB / module).read_text()
    imported = {part.split('"')[0] for part in source.split('"./')[1:]}
    assert imported <= {*MODULES}


def test_another_name_is_the_main_module() -> None:
    assert ask("/any/name").body == (WEB / MAIN).read_bytes()


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("deflate, GZip, br", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("x-gzip", False),
        ("identity", False),
        ("", False),
    ],
)
def test_it_is_compressed_for_clients_that_take_it(accepted: str, compressed: bool) -> None:
    answer = ask("/progress.js", accept_encoding=accepted)
    fields = dict(answer.fields)
    assert fields["Vary"] == "Accept-Encoding"
    assert (fields.get("Content-Encoding") == "gzip") is compressed
    assert isinstance(answer.body, bytes)
    body = gzip.decompress(answer.body) if compressed else answer.body
    assert body == (WEB / MAIN).read_bytes()


def test_the_main_module_stays_small() -> None:
    body = ask("/progress.js", accept_encoding="gzip").body
    assert isinstance(body, bytes)
    assert len(body) < 8192


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
@pytest.mark.parametrize("accepted", ["", "gzip"])
def test_a_client_that_has_it_gets_no_body(form: str, accepted: str) -> None:
    tag = dict(ask("/progress.js", accept_encoding=accepted).fields)["ETag"]
    answer = ask("/progress.js", accept_encoding=accepted, if_none_match=form.format(tag))
    assert answer.status == 304
    assert answer.body == b""
    assert dict(answer.fields)["ETag"] == tag


def test_what_a_client_has_in_another_form_does_not_count() -> None:
    tag = dict(ask("/progress.js").fields)["ETag"]
    assert ask("/progress.js", accept_encoding="gzip", if_none_match=tag).status == 200
    assert ask("/progress-upload.js", if_none_match=tag).status == 200
    assert ask("/progress.js", if_none_match="nonsense").status == 200


def test_the_modules_are_beside_the_script() -> None:
    assert script_paths("/static/bar.js") == {
        "/static/bar.js",
        *(f"/static/{module}" for module in MODULES),
    }
