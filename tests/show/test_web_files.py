"""Files of the package for browsers: their fields, compressed, and for clients that have them."""

from __future__ import annotations

import gzip
from importlib.resources import files

import pytest

from mod_progress.show.answer import Answer
from mod_progress.show.web_files import serve_web_file

WEB = files("mod_progress") / "web"


def ask(name: str, **fields: str) -> Answer:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
    return serve_web_file(name, given.get)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("progress.js", "text/javascript; charset=utf-8"),
        ("dashboard.html", "text/html; charset=utf-8"),
        ("dashboard.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_is_served_as_it_is_in_the_package(name: str, media_type: str) -> None:
    answer = ask(name)
    fields = dict(answer.fields)
    assert answer.status == 200
    assert answer.body == (WEB / name).read_bytes()
    assert fields["Content-Type"] == media_type
    assert fields["Cache-Control"] == "no-cache"
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert "Content-Encoding" not in fields


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
    answer = ask("progress.js", accept_encoding=accepted)
    fields = dict(answer.fields)
    assert fields["Vary"] == "Accept-Encoding"
    assert (fields.get("Content-Encoding") == "gzip") is compressed
    assert isinstance(answer.body, bytes)
    body = gzip.decompress(answer.body) if compressed else answer.body
    assert body == (WEB / "progress.js").read_bytes()


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
@pytest.mark.parametrize("accepted", ["", "gzip"])
def test_a_client_that_has_it_gets_no_body(form: str, accepted: str) -> None:
    tag = dict(ask("progress.js", accept_encoding=accepted).fields)["ETag"]
    answer = ask("progress.js", accept_encoding=accepted, if_none_match=form.format(tag))
    assert answer.status == 304
    assert answer.body == b""
    assert dict(answer.fields)["ETag"] == tag


def test_what_a_client_has_in_another_form_does_not_count() -> None:
    tag = dict(ask("progress.js").fields)["ETag"]
    assert ask("progress.js", accept_encoding="gzip", if_none_match=tag).status == 200
    assert ask("progress-upload.js", if_none_match=tag).status == 200
    assert ask("progress.js", if_none_match="nonsense").status == 200
