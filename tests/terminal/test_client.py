from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from mod_progress import __version__
from mod_progress.terminal.client import (
    Field,
    HeaderError,
    add_fields,
    open_client,
    parse_header,
    read_beginning,
)

TIMEOUT = httpx.Timeout(10.0)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("Name: value", ("Name", "value")),
        ("Name:value", ("Name", "value")),
        ("Name:\t a b \t", ("Name", "a b")),
        ("Cookie: a=b; c=d:e", ("Cookie", "a=b; c=d:e")),
        ("Name: ü", ("Name", "ü")),
        ("Name;", ("Name", "")),
        ("Name:", ("Name", None)),
        ("Name: ", ("Name", None)),
    ],
)
def test_a_field(text: str, field: tuple[str, str | None]) -> None:
    assert parse_header(text) == [Field(*field)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Name",
        ": value",
        "Na me: value",
        "Näme: value",
        "Name; value",
        "Name: a\r\nB: c",
        "N: \0",
    ],
)
def test_what_is_no_field(text: str) -> None:
    with pytest.raises(HeaderError, match="does not begin a header field, NAME: VALUE"):
        parse_header(text)


def test_a_value_that_may_be_a_secret_is_not_told() -> None:
    with pytest.raises(HeaderError) as raised:
        parse_header("Authori zation: Bearer secret")
    assert "secret" not in str(raised.value)


def test_a_file_of_fields(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("Authorization: Bearer x\n\nAccept:\n")
    assert parse_header(f"@{file}") == [Field("Authorization", "Bearer x"), Field("Accept", None)]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), (b"\xff", "it is no text"), (b"x", "does not begin")],
)
def test_a_file_that_has_none(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "headers"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(HeaderError, match=said):
        parse_header(f"@{file}")


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ([], [(b"A", b"1"), (b"B", b"2")]),
        ([Field("a", "3")], [(b"B", b"2"), (b"a", b"3")]),
        ([Field("a", None)], [(b"B", b"2")]),
        ([Field("a", "")], [(b"B", b"2"), (b"a", b"")]),
        (
            [Field("C", "3"), Field("C", "4")],
            [(b"A", b"1"), (b"B", b"2"), (b"C", b"3"), (b"C", b"4")],
        ),
        ([Field("C", "ü")], [(b"A", b"1"), (b"B", b"2"), (b"C", b"\xc3\xbc")]),
    ],
)
def test_fields_replace_those_of_the_same_name(
    fields: list[Field], sent: list[tuple[bytes, bytes]]
) -> None:
    assert add_fields(httpx.Headers({"A": "1", "B": "2"}), fields).raw == sent


@pytest.mark.parametrize(
    ("fields", "agent"),
    [
        ([], f"mod-progress/{__version__}"),
        ([Field("user-agent", "me")], "me"),
    ],
)
def test_what_every_request_carries(fields: list[Field], agent: str) -> None:
    with open_client(httpx.Client, fields, TIMEOUT) as client:
        request = client.build_request("GET", "http://h/")
    assert request.headers["User-Agent"] == agent
    assert request.headers["Accept-Encoding"] == "identity"


def test_a_field_can_be_left_out() -> None:
    with open_client(httpx.Client, [Field("User-Agent", None)], TIMEOUT) as client:
        assert "User-Agent" not in client.build_request("GET", "http://h/").headers


@pytest.mark.parametrize(("most", "read"), [(0, 1), (2, 3), (4, 5), (5, 5), (9, 5)])
def test_of_a_long_body_only_the_beginning_is_read(most: int, read: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"a"

    body = asyncio.run(read_beginning(httpx.Response(200, content=pieces()), most))
    assert body == b"a" * read
