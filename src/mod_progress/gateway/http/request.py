"""The head of a request: from bytes to a `RequestHead`, or to a `Refusal`; no I/O.

One regular expression holds the whole grammar of a head. The reason for a refusal is looked for
only where the expression does not match.
"""

from __future__ import annotations

import re
from copy import copy
from functools import lru_cache

from mod_progress.gateway.http.heads import (
    FIELDS,
    FORBIDDEN,
    LONGEST_REMEMBERED,
    REMEMBERED,
    TCHAR,
    TOKEN,
    Fields,
    Refusal,
    first_by_name,
    list_elements,
    list_tokens,
    parse_content_length,
    persists,
    split_fields,
)
from mod_progress.gateway.http.target import is_host, split_target, split_url
from mod_progress.gateway.limits import HeadLimits

# The longest method that is registered has 17 letters: UPDATEREDIRECTREF.
_METHOD = rb"([" + TCHAR + rb"]{1,32}+) "
# RFC 9112, section 3.2, and what browsers send raw in a query: | ^ { } and the grave accent. What
# no browser sends raw is refused, as backends read it differently: " < > # and the backslash.
_TARGET = rb"([\x21\x24-\x3b\x3d\x3f-\x5b\x5d-\x7e]++)"

_REQUEST_LINE = _METHOD + _TARGET + rb" HTTP/([0-9])\.([0-9])\r\n"

_REQUEST = re.compile(_REQUEST_LINE + FIELDS).fullmatch

_FIRST_LINE = re.compile(_REQUEST_LINE).match

#: Matches what may still become a request line: a method, or the beginning of one.
_FIRST_WORD = re.compile(_METHOD + rb"|[" + TCHAR + rb"]{0,32}+\Z|\r\Z").match

_CODING = re.compile(TOKEN).fullmatch

#: Bytes of the longest request line beside its target: method, version, spaces, line end.
_BESIDE_TARGET = 32 + len(b"  HTTP/1.1\r\n")


class RequestFields:
    """What the fields of a request mean. It is never changed.

    It is apart from the request line, as the requests of one client differ in little else. So the
    fields are remembered although the whole heads differ.
    """

    __slots__ = (
        "chunked",
        "connection",
        "content_length",
        "expects_continue",
        "fields",
        "forwarded",
        "host",
        "keep_alive",
        "minor",
        "named",
        "upgrade",
    )

    def __init__(self, fields: Fields, minor: int) -> None:
        self.minor = minor
        self.fields = fields
        #: The first value of each field, by its name in lower case.
        self.named = first_by_name(fields)
        self.connection = list_tokens(self._all(b"connection"))
        self.host = self._host()
        #: The fields as they go on to a backend; None until a request needs them.
        self.forwarded: bytes | None = None
        self.chunked = self._chunked()
        #: Bytes of the body; None where there is no such field.
        self.content_length = self._content_length()
        self.keep_alive = persists(self.connection, minor)
        self.expects_continue = self._expects_continue()
        #: The protocols that the client would switch to, in lower case, the preferred one first.
        self.upgrade = self._upgrade()

    def _all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name]

    def _host(self) -> bytes:
        """Check Host (RFC 9112, section 3.2)."""
        hosts = self._all(b"host") if b"host" in self.named else []
        if len(hosts) > 1:
            raise Refusal(400, "Host is repeated")
        if not hosts and self.minor:
            raise Refusal(400, "Host is missing")
        if hosts and not is_host(hosts[0]):
            raise Refusal(400, "Host is not a valid host")
        return hosts[0] if hosts else b""

    def _chunked(self) -> bool:
        if b"transfer-encoding" not in self.named:
            return False
        if b"content-length" in self.named:
            raise Refusal(400, "Transfer-Encoding together with Content-Length")
        if self.minor == 0:
            raise Refusal(400, "Transfer-Encoding in HTTP/1.0")
        codings = [coding.lower() for coding in list_elements(self._all(b"transfer-encoding"))]
        if codings == [b"chunked"]:
            return True
        # RFC 9112, section 6.3: without a final chunked, nobody can tell where the body ends.
        if codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
            raise Refusal(400, "chunked is not the last transfer coding, once")
        if not all(_CODING(coding) for coding in codings):
            raise Refusal(400, "a transfer coding is malformed")
        raise Refusal(501, "a transfer coding other than chunked")

    def _content_length(self) -> int | None:
        if b"content_length" in self.named or b"transfer_encoding" in self.named:
            raise Refusal(400, "a framing field with an underscore")
        if b"content-length" not in self.named:
            return None
        return parse_content_length(self._all(b"content-length"))

    def _expects_continue(self) -> bool:
        if b"expect" not in self.named:
            return False
        if list_tokens(self._all(b"expect")) != {b"100-continue"}:
            raise Refusal(417, "an expectation other than 100-continue")
        return self.minor >= 1  # RFC 9110, section 10.1.1: ignored in HTTP/1.0

    def _upgrade(self) -> list[bytes]:
        """Return the protocols of Upgrade, which is ignored in HTTP/1.0 (RFC 9110, section 7.8).

        It is also ignored with a body. Else the gateway would have to find out where the body ends
        and the other protocol begins.
        """
        body = self.chunked or self.content_length
        if not self.minor or body or b"upgrade" not in self.connection:
            return []
        return [protocol.lower() for protocol in list_elements(self._all(b"upgrade"))]


class RequestHead:
    """A request's head. It is never changed, as equal requests share one."""

    __slots__ = (
        "chunked",
        "connection",
        "content_length",
        "expects_continue",
        "fields",
        "host",
        "keep_alive",
        "method",
        "minor",
        "named",
        "original",
        "path",
        "query",
        "shared",
        "target",
        "upgrade",
    )

    def __init__(self, method: bytes, target: bytes, shared: RequestFields) -> None:
        #: What it has in common with other requests of its client.
        self.shared = shared
        self.minor = shared.minor
        self.fields = shared.fields
        self.named = shared.named
        self.connection = shared.connection
        self.chunked = shared.chunked
        self.content_length = shared.content_length
        self.keep_alive = shared.keep_alive
        self.expects_continue = shared.expects_continue
        self.upgrade = shared.upgrade
        self.method = method.decode("ascii")
        self.target, self.host = self._authority(target)
        self.path, self.query = split_target(self.target)
        #: The head as the client sent it, where actions have changed this one; else None.
        self.original: RequestHead | None = None
        if "\0" in self.path:
            raise Refusal(400, "a NUL in the path")

    @property
    def as_received(self) -> RequestHead:
        """The head as the client sent it."""
        return self.original or self

    def with_target(self, target: bytes) -> RequestHead:
        """Return the head with another target, a path and perhaps a query; raises `Refusal`."""
        head = copy(self)
        head.original = self.as_received
        head.target = target
        head.path, head.query = split_target(target)
        if "\0" in head.path:
            raise Refusal(400, "a NUL in the path")
        return head

    def with_fields(self, fields: Fields, changed: bytes) -> RequestHead:
        """Return the head with other fields, which differ in those named ``changed``.

        A new Host counts; raises `Refusal` where it is none. The client's Connection cannot keep a
        field that has changed from going on.
        """
        shared = RequestFields(fields, self.minor)
        head = RequestHead(self.method.encode(), self.target, shared)
        head.original = self.as_received
        head.connection = self.connection - {changed.lower()}
        if shared.host == self.shared.host:
            head.host = self.host
        return head

    def _authority(self, target: bytes) -> tuple[bytes, bytes]:
        """Return the target as a path, and the host. The host of an absolute target counts.

        RFC 9112, section 3.2.2.
        """
        if self.method == "CONNECT":
            raise Refusal(405, "CONNECT is not served here")
        if target.startswith(b"/"):
            return target, self.shared.host
        url = split_url(target)
        if url is not None:
            host, rest = url
            if not is_host(host):
                raise Refusal(400, "the target's host is not a valid host")
            if not rest and self.method == "OPTIONS":
                return b"*", host  # RFC 9112, section 3.2.4
            return (rest if rest.startswith(b"/") else b"/" + rest), host
        if target == b"*" and self.method == "OPTIONS":
            return target, self.shared.host
        raise Refusal(400, "the request target is neither a path nor a URL")

    @property
    def body_size(self) -> int | None:
        """Bytes of the body; None while nobody knows."""
        return None if self.chunked else self.content_length or 0


def parse_request(head: bytes, limits: HeadLimits) -> RequestHead:
    """Parse a request's head, its closing empty line included; raises `Refusal`."""
    # A request with a query hardly comes again. It would take the place of one that does.
    if len(head) <= LONGEST_REMEMBERED and head.find(b"?", 0, head.find(b"\r")) < 0:
        return _remembered_request(head, limits)
    return _parse_request(head, limits)


def _parse_request(head: bytes, limits: HeadLimits) -> RequestHead:
    match = _REQUEST(head)
    if match is None:
        raise _why_refused(head)
    method, target, major, minor, fields = match.groups()
    _check_line(target, major, limits)
    if len(head) > limits.size:
        raise Refusal(431, "the head is too large")
    read = _remembered_fields if len(fields) <= LONGEST_REMEMBERED else _read_fields
    return RequestHead(method, target, read(fields, min(int(minor), 1), limits))


def _read_fields(fields: bytes, minor: int, limits: HeadLimits) -> RequestFields:
    return RequestFields(split_fields(fields, limits), minor)


_remembered_fields = lru_cache(REMEMBERED)(_read_fields)

_remembered_request = lru_cache(REMEMBERED)(_parse_request)


def check_incomplete(head: bytes, start: int, limits: HeadLimits) -> None:
    """Check the beginning of a head; raises `Refusal` where it cannot become a valid one.

    The bytes before ``start`` were checked before.
    """
    if FORBIDDEN(head, start) or not _FIRST_WORD(head):
        raise _why_refused(head)
    if b"\r\n" in head:
        line = _FIRST_LINE(head)
        if line is None:
            raise _why_refused(head)
        _check_line(line[2], line[3], limits)
    elif len(head) > limits.target + _BESIDE_TARGET:
        raise Refusal(414, "the request target is too long")
    if len(head) > limits.size:
        raise Refusal(431, "the head is too large")


def _check_line(target: bytes, major: bytes, limits: HeadLimits) -> None:
    if major != b"1":
        raise Refusal(505, "not HTTP/1.0 or HTTP/1.1")
    if len(target) > limits.target:
        raise Refusal(414, "the request target is too long")


def _why_refused(head: bytes) -> Refusal:
    """Find the reason why the grammar does not match a head."""
    if FORBIDDEN(head):
        return Refusal(400, "a control character, or a line end that is not CRLF")
    if b"\r\n " in head or b"\r\n\t" in head:
        return Refusal(400, "a folded header field, or a space before one")
    return Refusal(400, "the request line or a header field is malformed")
