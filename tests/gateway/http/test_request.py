"""Heads that actions change: a copy, which knows what the client sent."""

from __future__ import annotations

import pytest

from mod_progress.gateway.http.edits import Edit, Operation, edit_fields
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.http.request import RequestHead, parse_request
from mod_progress.gateway.limits import HeadLimits


def parse(line: str = "POST /a%20b?c=d HTTP/1.1", *fields: str) -> RequestHead:
    head = "\r\n".join([line, "Host: a.example", *fields, "", ""])
    return parse_request(head.encode(), HeadLimits())


def edit(head: RequestHead, operation: Operation, name: bytes, value: bytes = b"") -> RequestHead:
    return head.with_fields(edit_fields(head.fields, [Edit(operation, name, value)]), name)


def test_another_target() -> None:
    before = parse("POST /a%20b?c=d HTTP/1.1", "Content-Length: 5")
    after = before.with_target(b"/new/../%41?e=f")
    assert (after.target, after.path, after.query) == (b"/new/../%41?e=f", "/A", b"e=f")
    assert (after.method, after.host, after.body_size) == ("POST", b"a.example", 5)
    assert (before.target, before.path, before.query) == (b"/a%20b?c=d", "/a b", b"c=d")
    assert before.as_received is before
    assert after.as_received is after.with_target(b"/again").as_received is before


def test_a_target_with_a_nul_is_refused() -> None:
    with pytest.raises(Refusal, match="NUL"):
        parse().with_target(b"/%00")


def test_other_fields() -> None:
    before = parse("GET / HTTP/1.1", "A: 1")
    after = edit(before, Operation.OVERWRITE, b"A", b"2")
    assert (before.named[b"a"], after.named[b"a"]) == (b"1", b"2")
    assert after.fields == ((b"Host", b"a.example"), (b"A", b"2"))
    assert after.as_received is before


def test_another_host() -> None:
    before = parse()
    after = edit(before, Operation.OVERWRITE, b"Host", b"b.example:81")
    assert (after.host, after.as_received.host) == (b"b.example:81", b"a.example")
    with pytest.raises(Refusal, match="not a valid host"):
        edit(before, Operation.OVERWRITE, b"Host", b"a b")


def test_the_host_of_a_target_stays() -> None:
    """It counts before the field (RFC 9112, section 3.2.2)."""
    head = parse("GET http://b.example/c HTTP/1.1")
    assert head.with_target(b"/d").host == b"b.example"
    assert edit(head, Operation.ADD, b"A", b"1").host == b"b.example"
    assert edit(head, Operation.OVERWRITE, b"Host", b"c.example").host == b"c.example"


def test_a_client_cannot_keep_a_changed_field_from_going_on() -> None:
    """Its Connection names fields that are for one connection alone (RFC 9110, section 7.6.1)."""
    head = parse("GET / HTTP/1.1", "Connection: x-user, x-role, other")
    for name in (b"X-User", b"X-Role"):
        head = edit(head, Operation.OVERWRITE, name, b"ann")
    assert head.connection == {b"other"}
    assert edit(head, Operation.ADD, b"Other", b"1").with_target(b"/b").connection == frozenset()
