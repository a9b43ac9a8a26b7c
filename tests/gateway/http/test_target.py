from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.http.request import parse_request
from mod_progress.gateway.http.target import (
    encode_path,
    encode_unsafe,
    is_host,
    remove_dot_segments,
    split_target,
    split_url,
)
from mod_progress.gateway.limits import HeadLimits


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", b""),
        (b"/a?b", "/a", b"b"),
        (b"/a?b?c", "/a", b"b?c"),
        (b"/a%20b?c%20d", "/a b", b"c%20d"),
        (b"/%C3%A9", "/é", b""),
        (b"/%ff", "/\udcff", b""),
        (b"/%zz%2", "/%zz%2", b""),
        (b"/%3Fa?b", "/?a", b"b"),
        (b"/a/../b", "/b", b""),
        (b"/a/%2e%2E/b", "/b", b""),
        (b"/%2E%2E/%2e%2e/etc", "/etc", b""),
        (b"/a%2f..%2fb", "/b", b""),
        (b"//a///b", "/a/b", b""),
        (b"/?a=/../b", "/", b"a=/../b"),
        (b"*", "*", b""),
    ],
)
def test_a_path_is_decoded_and_has_no_dot_segments(target: bytes, path: str, query: bytes) -> None:
    assert split_target(target) == (path, query)


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        ("/..", "/"),
        ("/../..", "/"),
        ("/.", "/"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/./b/", "/a/b/"),
        ("/a..b/...", "/a..b/..."),
        ("//", "/"),
    ],
)
def test_dot_segments(path: str, resolved: str) -> None:
    assert remove_dot_segments(path) == resolved


@given(st.text("/.ab"))
def test_no_path_leads_above_the_root(tail: str) -> None:
    resolved = remove_dot_segments("/" + tail)
    assert resolved.startswith("/")
    assert not {"", ".", ".."} & set(resolved.strip("/").split("/")) - {""}
    assert "//" not in resolved
    assert remove_dot_segments(resolved) == resolved


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"/a/b", b"/a/b"),
        (b"a", b"/a"),
        (b"", b"/"),
        (b"/a b?c#d%", b"/a%20b%3Fc%23d%25"),
        (b"/\r\nHost: b", b"/%0D%0AHost:%20b"),
        (b"/../../etc/./passwd", b"/etc/passwd"),
        (b"//evil.example/", b"/evil.example/"),
        (b"/\xc3\xa9\xff", b"/%C3%A9%FF"),
    ],
)
def test_the_target_of_a_path(path: bytes, target: bytes) -> None:
    assert encode_path(path) == target


@pytest.mark.parametrize(
    ("part", "encoded"),
    [
        (b"a=b&c=%20+d", b"a=b&c=%20+d"),
        (b"a b\r\n", b"a%20b%0D%0A"),
        (b'"<>#\\\xff', b"%22%3C%3E%23%5C%FF"),
        (b"|^{}`", b"|^{}`"),
    ],
)
def test_what_no_target_has_is_encoded(part: bytes, encoded: bytes) -> None:
    assert encode_unsafe(part) == encoded


@given(st.binary(), st.binary())
def test_a_target_that_was_made_is_one_that_is_taken(path: bytes, query: bytes) -> None:
    target = b"%b?%b" % (encode_path(path), encode_unsafe(query))
    head = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target
    if b"\0" not in path:
        parsed = parse_request(head, HeadLimits())
        assert parsed.target == target
        assert parsed.path == remove_dot_segments("/" + path.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("host", [b"a", b"a:1", b"a:", b"[::1]", b"[::ffff:1.2.3.4]:80", b"%41"])
def test_hosts(host: bytes) -> None:
    assert is_host(host)


@pytest.mark.parametrize("host", [b"", b":1", b"a b", b"[]", b"[1]", b"[::1", b"a@b", b"%4", b"a/"])
def test_what_is_no_host(host: bytes) -> None:
    assert not is_host(host)


@pytest.mark.parametrize(
    ("target", "split"),
    [
        (b"http://host", (b"host", b"")),
        (b"HTTPS://host:1/path?query", (b"host:1", b"/path?query")),
        (b"http://host?query", (b"host", b"?query")),
        (b"http:///path", (b"", b"/path")),
        (b"/path", None),
        (b"ftp://host/", None),
        (b"*", None),
    ],
)
def test_urls(target: bytes, split: tuple[bytes, bytes] | None) -> None:
    assert split_url(target) == split
