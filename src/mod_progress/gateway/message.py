"""The one place that knows the syntax of HTTP/1.1 heads: bytes to head or refusal, and back.

Strict: what RFC 9112 does not allow is refused, never repaired, so that what leaves the gateway
means to everybody behind it what it meant here. One expression holds the whole grammar of a head;
only where it does not match is the reason looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

from mod_progress.gateway.limits import HeadLimits
from mod_progress.gateway.target import is_host, split_target, split_url

Fields = tuple[tuple[bytes, bytes], ...]

#: Ends a head.
HEAD_END = b"\r\n\r\n"

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, phrase) for status, phrase in _PHRASES.items()
}

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
# RFC 9110, section 5.5: visible characters, space, tab and obs-text; no other control character.
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"
_FIELDS = rb"((?:" + _TOKEN + rb":" + _VALUE + rb"\r\n)*+)\r\n"
# The longest method that is registered has 17 letters: UPDATEREDIRECTREF.
_METHOD = rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}+) "
_REQUEST_LINE = _METHOD + rb"([\x21\x22\x24-\x7e]++) HTTP/([0-9])\.([0-9])\r\n"
_STATUS_LINE = rb"HTTP/1\.([0-9]) ([1-5][0-9]{2})(?: " + _VALUE + rb")?\r\n"
_REQUEST = re.compile(_REQUEST_LINE + _FIELDS).fullmatch
_RESPONSE = re.compile(_STATUS_LINE + _FIELDS).fullmatch
_FIELD = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n")

_FIRST_LINE = re.compile(_REQUEST_LINE).match
#: What may become a request line: its method, whole or in part.
_FIRST_WORD = re.compile(_METHOD + rb"|[!#$%&'*+.^_`|~0-9A-Za-z-]{0,32}+\Z|\r\Z").match

#: What no head may contain, found before the head is complete: a line end that is not CRLF, or
#: another control character (RFC 9112, section 2.2; RFC 9110, section 5.5).
FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])").search

_CODING = re.compile(_TOKEN).fullmatch

#: 18 digits hold every size below an exabyte and never overflow 64 bits.
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch

#: Bytes of the longest request line beside its target: method, version, spaces, line end.
_BESIDE_TARGET = 32 + len(b"  HTTP/1.1\r\n")

#: Parsed heads that are kept: a client that polls sends the same bytes each time, and a backend
#: answers many requests of a second in the same.
_REMEMBERED = 512
#: Bytes of the longest head that is remembered: 512 of them stay below 2 MB with what they hold.
_LONGEST_REMEMBERED = 1024


class Refusal(Exception):
    """A message that is not HTTP/1.1, or not one that the gateway takes."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class RequestFields:
    """What the fields of a request say, whatever it is for; nobody changes it.

    Apart from the request line, since the requests of one client differ in little else: so this is
    what is remembered of those that do differ.
    """

    __slots__ = (
        "chunked",
        "connection",
        "content_length",
        "expects_continue",
        "fields",
        "host",
        "keep_alive",
        "minor",
        "named",
        "onward",
        "upgrade",
    )

    def __init__(self, fields: Fields, minor: int) -> None:
        self.minor = minor
        self.fields = fields
        #: The first value of each field, by its name in lower case.
        self.named = _by_name(fields)
        self.connection = _tokens(self._all(b"connection"))
        self.host = self._host()
        #: The fields as they go on to an upstream, once that was worked out.
        self.onward: bytes | None = None
        self.chunked = self._chunked()
        #: Bytes of the body; None where there is no such field.
        self.content_length = self._content_length()
        self.keep_alive = _persists(self.connection, minor)
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
        codings = [coding.lower() for coding in _elements(self._all(b"transfer-encoding"))]
        if codings == [b"chunked"]:
            return True
        if all(_CODING(coding) for coding in codings) and set(codings) != {b"chunked"}:
            raise Refusal(501, "a transfer coding other than chunked")
        raise Refusal(400, "Transfer-Encoding is not chunked, once")

    def _content_length(self) -> int | None:
        if b"content_length" in self.named or b"transfer_encoding" in self.named:
            raise Refusal(400, "a framing field with an underscore")
        if b"content-length" not in self.named:
            return None
        return _length(self._all(b"content-length"))

    def _expects_continue(self) -> bool:
        if b"expect" not in self.named:
            return False
        if _tokens(self._all(b"expect")) != {b"100-continue"}:
            raise Refusal(417, "an expectation other than 100-continue")
        return self.minor >= 1  # RFC 9110, section 10.1.1: ignored in HTTP/1.0

    def _upgrade(self) -> list[bytes]:
        """RFC 9110, section 7.8: may always be ignored, and must be in HTTP/1.0.

        With a body it is, as what follows the body is then ours to tell from the other protocol.
        """
        body = self.chunked or self.content_length
        if not self.minor or body or b"upgrade" not in self.connection:
            return []
        return [protocol.lower() for protocol in _elements(self._all(b"upgrade"))]


class RequestHead:
    """A request's head; nobody changes it, as equal requests share one."""

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
        if "\0" in self.path:
            raise Refusal(400, "a NUL in the path")

    def _authority(self, target: bytes) -> tuple[bytes, bytes]:
        """Reduce an absolute target to its path; its host is the one that counts then.

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


class ResponseHead:
    """The head of a response, as an upstream sent it."""

    __slots__ = (
        "chunked",
        "connection",
        "content_length",
        "fields",
        "keep_alive",
        "minor",
        "named",
        "onward",
        "status",
    )

    def __init__(self, status: int, minor: int, fields: Fields) -> None:
        self.status = status
        self.minor = minor
        self.fields = fields
        #: The fields as they go on to a client, once that was worked out.
        self.onward: bytes | None = None
        self.named = _by_name(fields)
        self.connection = _tokens(value for key, value in fields if key.lower() == b"connection")
        self.keep_alive = _persists(self.connection, minor)
        codings = [value for key, value in fields if key.lower() == b"transfer-encoding"]
        self.chunked = bool(codings)
        lengths = [value for key, value in fields if key.lower() == b"content-length"]
        self.content_length = _length(lengths) if lengths else None
        if codings and (not minor or lengths or [c.lower() for c in codings] != [b"chunked"]):
            raise Refusal(502, "its framing is ambiguous")


def parse_request(head: bytes, limits: HeadLimits) -> RequestHead:
    """Parse a request's head, its closing empty line included; raises `Refusal`."""
    # One with a query hardly comes again, and would take the place of one that does.
    if len(head) <= _LONGEST_REMEMBERED and head.find(b"?", 0, head.find(b"\r")) < 0:
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
    read = _remembered_fields if len(fields) <= _LONGEST_REMEMBERED else _read_fields
    return RequestHead(method, target, read(fields, min(int(minor), 1), limits))


def _read_fields(fields: bytes, minor: int, limits: HeadLimits) -> RequestFields:
    return RequestFields(_split_fields(fields, limits), minor)


_remembered_fields = lru_cache(_REMEMBERED)(_read_fields)
_remembered_request = lru_cache(_REMEMBERED)(_parse_request)


def parse_response(head: bytes, limits: HeadLimits) -> ResponseHead:
    """Parse a response's head, its closing empty line included; raises `Refusal` (502)."""
    if len(head) <= _LONGEST_REMEMBERED:
        return _remembered_response(head, limits)
    return _parse_response(head, limits)


def _parse_response(head: bytes, limits: HeadLimits) -> ResponseHead:
    if len(head) > limits.size:
        raise Refusal(502, "the upstream's head is too large")
    match = _RESPONSE(head)
    if match is None:
        raise Refusal(502, "the upstream's answer is not HTTP/1.1")
    minor, status, fields = match.groups()
    try:
        return ResponseHead(int(status), min(int(minor), 1), _split_fields(fields, limits))
    except Refusal as refusal:
        raise Refusal(502, f"the upstream's answer: {refusal.reason}") from None


_remembered_response = lru_cache(_REMEMBERED)(_parse_response)


def check_incomplete(head: bytes, start: int, limits: HeadLimits) -> None:
    """Refuse early what cannot become a request's head, however it goes on; raises `Refusal`.

    What is before ``start`` was looked at before.
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


def check_incomplete_response(head: bytes, start: int, limits: HeadLimits) -> None:
    """Refuse early what cannot become a response's head; raises `Refusal` (502)."""
    if FORBIDDEN(head, start) or head[:7] != b"HTTP/1."[: len(head)]:
        raise Refusal(502, "the upstream's answer is not HTTP/1.1")
    if len(head) > limits.size:
        raise Refusal(502, "the upstream's head is too large")


def _check_line(target: bytes, major: bytes, limits: HeadLimits) -> None:
    if major != b"1":
        raise Refusal(505, "not HTTP/1.0 or HTTP/1.1")
    if len(target) > limits.target:
        raise Refusal(414, "the request target is too long")


def _why_refused(head: bytes) -> Refusal:
    """Find the words for a head that the grammar does not match."""
    if FORBIDDEN(head):
        return Refusal(400, "a control character, or a line end that is not CRLF")
    if b"\r\n " in head or b"\r\n\t" in head:
        return Refusal(400, "a folded header field, or a space before one")
    return Refusal(400, "the request line or a header field is malformed")


def _split_fields(fields: bytes, limits: HeadLimits) -> Fields:
    split = _FIELD.findall(fields)
    if len(split) > limits.fields:
        raise Refusal(431, "too many header fields")
    return tuple([(name, value.rstrip(b" \t")) for name, value in split])


def _by_name(fields: Fields) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in reversed(fields)}  # the first of a name stays


def _elements(values: Iterable[bytes]) -> list[bytes]:
    return [token.strip(b" \t") for value in values for token in value.split(b",")]


def _tokens(values: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(token.lower() for token in _elements(values) if token)


def _persists(connection: frozenset[bytes], minor: int) -> bool:
    """Whether the connection stays for another message (RFC 9112, section 9.3)."""
    return b"close" not in connection if minor else b"keep-alive" in connection


def _length(values: list[bytes]) -> int:
    """Return the one Content-Length (RFC 9112, section 6.3); raises `Refusal`."""
    if len(values) != 1 or _LENGTH(values[0]) is None:
        raise Refusal(400, "Content-Length is not one decimal number")
    return int(values[0])


def request_head(method: str, target: bytes, lines: Iterable[bytes]) -> bytes:
    """Serialise a request's head."""
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method.encode(), target, b"".join(lines))


def response_head(status: int, lines: Iterable[bytes]) -> bytes:
    """Serialise a response's head."""
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    return b"".join((line, *lines, b"\r\n"))


def reason_phrase(status: int) -> bytes:
    """Return the words for a status; empty where there are none."""
    return _PHRASES.get(status, b"")
