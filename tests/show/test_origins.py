from typing import Any

import pytest

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
    assert dict(Origins(PAGE).preflight(PAGE.encode())) == {
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Methods": "GET, HEAD",
        "Access-Control-Allow-Headers": "X-Progress-ID",
        "Access-Control-Max-Age": "7200",
        "Vary": "Origin",
    }


def test_a_preflight_of_another_page_allows_nothing() -> None:
    assert dict(Origins(PAGE).preflight(b"https://evil.example")) == {"Vary": "Origin"}
