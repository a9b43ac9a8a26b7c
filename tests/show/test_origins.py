from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mod_progress.options import OptionError
from mod_progress.show.origins import Origins

PAGE = "https://page.example"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("https://a.example/", "allow_origins: 'https://a.example/' is not '*' or origins"),
        (["a.example"], "allow_origins: 'a.example' is not '*' or origins"),
        ([1], "allow_origins: 1 is not '*' or origins"),
        (None, "allow_origins: None is not '*' or origins"),
    ],
)
def test_what_is_no_origin_is_refused(value: Any, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        Origins(value)
    assert str(raised.value) == f"{message} such as 'https://example.com'"


@pytest.mark.parametrize(
    ("allowed", "origin", "fields"),
    [
        ((), PAGE, {}),
        ("*", PAGE, {"Access-Control-Allow-Origin": "*"}),
        ("*", None, {"Access-Control-Allow-Origin": "*"}),
        (PAGE, PAGE, {"Access-Control-Allow-Origin": PAGE, "Vary": "Origin"}),
        ("null", "null", {"Access-Control-Allow-Origin": "null", "Vary": "Origin"}),
        ([PAGE], "https://evil.example", {"Vary": "Origin"}),
        ([PAGE], None, {"Vary": "Origin"}),
    ],
)
def test_pages_of_allowed_origins_may_read(
    allowed: Any, origin: str | None, fields: dict[str, str]
) -> None:
    assert dict(Origins(allowed).fields(origin.encode() if origin else None)) == fields


def test_a_preflight_allows_the_header() -> None:
    assert dict(Origins(PAGE).preflight(PAGE.encode(), ["GET", "HEAD"]).fields) == {
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Methods": "GET, HEAD",
        "Access-Control-Allow-Headers": "X-Progress-ID, If-None-Match, Last-Event-ID, Prefer",
        "Access-Control-Max-Age": "7200",
        "Vary": "Origin",
    }


def test_a_preflight_of_another_page_allows_nothing() -> None:
    answer = Origins(PAGE).preflight(b"https://evil.example", ["GET"])
    assert (answer.status, dict(answer.fields)) == (204, {"Vary": "Origin"})


HOST = b"app.example"


@pytest.mark.parametrize(
    ("allowed", "fields", "lets"),
    [
        # By default, and for *, any page may.
        ((), {b"sec-fetch-site": b"cross-site", b"referer": b"https://evil.example/"}, True),
        ("*", {b"sec-fetch-site": b"cross-site", b"referer": b"https://evil.example/"}, True),
        # The browser says from where it asks.
        (PAGE, {b"sec-fetch-site": b"same-origin"}, True),
        (PAGE, {b"sec-fetch-site": b"none"}, True),
        (PAGE, {b"sec-fetch-site": b"cross-site"}, False),
        (PAGE, {b"sec-fetch-site": b"same-site"}, False),
        (PAGE, {b"sec-fetch-site": b"cross-site", b"referer": b"https://page.example/a"}, True),
        (PAGE, {b"sec-fetch-site": b"cross-site", b"referer": b"https://evil.example/"}, False),
        # It does not where the page is not a secure one.
        (PAGE, {b"referer": b"https://page.example/"}, True),
        (PAGE, {b"referer": b"https://page.example"}, True),
        (PAGE, {b"referer": b"https://page.example.evil.example/"}, False),
        (PAGE, {b"referer": b"https://evil.example/https://page.example/"}, False),
        (PAGE, {b"referer": b"https://evil.example?https://app.example"}, False),
        (PAGE, {b"referer": b"http://app.example/page"}, True),
        (PAGE, {b"referer": b"http://app.example:81/page"}, False),
        (PAGE, {b"origin": b"https://page.example"}, True),
        (PAGE, {b"origin": b"https://evil.example"}, False),
        (PAGE, {b"origin": b"null"}, False),
        (PAGE, {b"origin": b"null", b"referer": b"https://page.example/"}, False),
        (PAGE, {b"referer": b""}, False),
        (PAGE, {}, False),
    ],
)
def test_scripts_are_given_to_the_same_origin_and_to_allowed_ones(
    allowed: Any, fields: dict[bytes, bytes], lets: bool
) -> None:
    assert Origins(allowed).let_run({b"host": HOST, **fields}.get) is lets


@given(st.binary(), st.binary(), st.binary())
def test_no_other_fields_let_a_script_be_given(site: bytes, referer: bytes, host: bytes) -> None:
    assume(site not in (b"same-origin", b"none"))
    fields = {b"sec-fetch-site": site, b"referer": referer, b"host": b"/" + host}
    assert not Origins(PAGE).let_run(fields.get)
