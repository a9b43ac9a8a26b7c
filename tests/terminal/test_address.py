from __future__ import annotations

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.identifier import PARAMETER, find_parameter
from mod_progress.terminal.address import (
    AddressError,
    ask_for,
    ask_for_list,
    below,
    displayed,
    parse_targets,
    parse_url,
    resolve_show,
    split_identifiers,
)

AT = "http://h:8080/progress"


@pytest.mark.parametrize(
    ("words", "at", "targets"),
    [
        (["a"], AT, {AT: ["a"]}),
        (["a", "b", "a"], AT, {AT: ["a", "b"]}),
        (["a"], "http://h:8080", {AT: ["a"]}),
        (["a"], "http://h:8080/", {AT: ["a"]}),
        (["a"], "https://h/p?key=1", {"https://h/p?key=1": ["a"]}),
        (["a"], "http://h:8080/progress?X-Progress-ID=b", {AT: ["a"]}),
        ([f"{AT}?X-Progress-ID=a"], None, {AT: ["a"]}),
        ([f"{AT}?x-progress-id=a%2Bb&X-Progress-ID=c+d"], None, {AT: ["a+b", "c+d"]}),
        ([f"{AT}?key=1&X-Progress-ID=a"], None, {f"{AT}?key=1": ["a"]}),
        ([f"{AT}?X-Progress-ID=a#part"], None, {AT: ["a"]}),
        (["http://h:8080/?X-Progress-ID=a"], None, {"http://h:8080/": ["a"]}),
        (["a", f"{AT}?X-Progress-ID=b"], AT, {AT: ["a", "b"]}),
        (["a", "http://i/p?X-Progress-ID=b"], AT, {AT: ["a"], "http://i/p": ["b"]}),
        (["http:a"], AT, {AT: ["http:a"]}),
        (["-"], AT, {AT: ["-"]}),
    ],
)
def test_what_is_watched(words: list[str], at: str | None, targets: dict[str, list[str]]) -> None:
    assert parse_targets(words, at) == {httpx.URL(url): ids for url, ids in targets.items()}


@pytest.mark.parametrize(
    ("words", "at", "said"),
    [
        (["a"], None, "a: --at URL is needed"),
        (["a b"], AT, "'a b' is no id: an id is 1 to 128 visible ASCII characters"),
        (["ü"], AT, "'ü' is no id"),
        ([""], AT, "'' is no id"),
        (["a" * 129], AT, "is no id"),
        (["a\udcff"], AT, "is no id"),
        ([AT], None, "the address has no X-Progress-ID"),
        ([f"{AT}?X-Progress-ID="], None, "'' is no id"),
        ([f"{AT}?X-Progress-ID=%00"], None, "is no id"),
        (["http://?X-Progress-ID=a"], None, "an address such as http://localhost:8080/progress"),
        (["a"], "h:8080", "h:8080: an address such as"),
        (["a"], "ftp://h/", "an address such as"),
        (["a"], "http://h:0/", "an address such as"),
        (["a"], "http://h:x/", "an address such as"),
        (["a"], "http://h/\x1b", "an address such as"),
        (["a"], "", "an address such as"),
    ],
)
def test_what_cannot_be_watched(words: list[str], at: str | None, said: str) -> None:
    with pytest.raises(AddressError, match=r".*") as raised:
        parse_targets(words, at)
    assert said in str(raised.value)


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128))
def test_a_server_finds_the_id_that_it_is_asked_for(identifier: str) -> None:
    url = ask_for(httpx.URL("http://h/p?key=%20+&format=x"), [identifier], "json")
    assert find_parameter(url.query, PARAMETER) == identifier.encode()
    assert find_parameter(url.query, "format") == b"json"
    assert url.query.startswith(b"key=%20+&")
    assert split_identifiers(url)[1] == [identifier]


def test_a_list_is_asked_for_with_its_parameters_and_those_of_the_address() -> None:
    show = httpx.URL("http://h/p?key=%20+&FORMAT=json&limit=7&after=x")
    url = ask_for_list(show, {"path": "/a b", "limit": "2", "after": ""})
    assert str(url) == "http://h/p?key=%20+&format=dump&path=%2Fa%20b&limit=2"


def test_several_are_asked_for_at_once() -> None:
    url = ask_for(httpx.URL("http://h/p"), ["a", "b"], "events")
    assert str(url) == "http://h/p?X-Progress-ID=a&X-Progress-ID=b&format=events"


@pytest.mark.parametrize(
    ("text", "show"),
    [
        ("/progress", "http://u:p@h:81/progress"),
        ("/a?b=c", "http://u:p@h:81/a?b=c"),
        ("https://i/p", "https://i/p"),
        ("https://i", "https://i/progress"),
    ],
)
def test_the_show_of_an_upload(text: str, show: str) -> None:
    assert str(resolve_show(text, parse_url("http://u:p@h:81/up/load?x=y"))) == show


def test_a_show_is_a_path_or_an_address() -> None:
    with pytest.raises(AddressError, match="progress: an address of a show, or a path"):
        resolve_show("progress", parse_url("http://h/"))


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("a b.txt", "http://h/up/a%20b.txt?k=v"),
        ("100%?#.txt", "http://h/up/100%25%3F%23.txt?k=v"),
        ("ü", "http://h/up/%C3%BC?k=v"),
        ("\udcff", "http://h/up/%FF?k=v"),
    ],
)
def test_a_file_in_a_directory(name: str, url: str) -> None:
    assert str(below(httpx.URL("http://h/up/?k=v"), name)) == url


def test_a_password_is_not_displayed() -> None:
    assert displayed(httpx.URL("http://user:secret@h:81/p")) == "http://h:81/p"
