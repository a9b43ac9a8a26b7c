"""Files from disk: the actions `docroot`, `index` and `static`.

They mean what they mean in lighttpd 2.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import FileIO
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import quote

from mod_progress.gateway.exchange import NOSNIFF, Exchange, MethodNotAllowed
from mod_progress.gateway.files.media_types import media_type, with_charset
from mod_progress.gateway.files.upload_directories import (
    CONFINED,
    UploadDirectories,
    confined_type,
    is_active,
)
from mod_progress.gateway.http.conditional import Validators, precondition, range_holds
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.http.ranges import Range, parse_ranges
from mod_progress.gateway.http.target import PATH_SAFE
from mod_progress.gateway.streams.body import FileBody
from mod_progress.gateway.streams.relay import SPLICE_FROM, relay

logger = logging.getLogger("mod_progress.gateway")

# O_NONBLOCK, so that nobody waits for the other end of a FIFO.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

#: The answers to a file that cannot be opened, as lighttpd 2 has them.
_STATUSES = {
    errno.ENOENT: 404,
    errno.ENOTDIR: 404,
    errno.ELOOP: 404,
    errno.EACCES: 403,
    errno.EPERM: 403,
    errno.ENXIO: 403,  # a socket
    errno.ENAMETOOLONG: 414,
}

_METHODS = ("GET", "HEAD")
_OTHER_METHOD = MethodNotAllowed(_METHODS)


@dataclass(frozen=True, slots=True)
class Docroot:
    """Names the directory that the request's path starts from.

    The path may begin with ``prefix``, which is not part of the file's path.
    """

    directory: str
    prefix: str = ""

    def __call__(self, exchange: Exchange) -> None:
        """Map the path to a file below it: the path has no dot segments."""
        path = exchange.request.path.removeprefix(self.prefix)
        exchange.docroot = self.directory
        exchange.physical_path = self.directory.rstrip("/") + path
        exchange.path_info = ""


@dataclass(frozen=True, slots=True)
class Static:
    """Answers GET and HEAD with the file that the path leads to.

    It leaves alone a request that is handled already, one for which there is no `docroot`, and a
    directory. ``uploads`` are the directories of the site that strangers write to.
    """

    uploads: UploadDirectories = field(default_factory=UploadDirectories, compare=False)

    def __call__(self, exchange: Exchange) -> None:
        """Take the request."""
        path = exchange.physical_path
        if exchange.handler is not None or path is None or path.endswith("/"):
            return
        if not os.path.isdir(path):  # noqa: PTH112
            exchange.handler = self

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer; a small file at once."""
        if exchange.path_info:
            raise Refusal(404, "nothing is below a file")
        if exchange.request.method not in _METHODS:
            _OTHER_METHOD.handle(exchange)
            return None
        if not exchange.body.finished:
            exchange.body.discard()
        path = exchange.physical_path
        assert path is not None
        kind = media_type(os.path.splitext(path)[1])  # noqa: PTH122
        confined = is_active(kind) and self.uploads.hold(path)
        descriptor = _open(path)
        try:
            return _answer(exchange, descriptor, _describe_open(descriptor, kind, confined))
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Index:
    """Looks for a default file in a directory; a name that starts with / is below the docroot."""

    names: tuple[str, ...]

    def __call__(self, exchange: Exchange) -> None:
        """Change the physical path to the first of the files that exists."""
        path, docroot = exchange.physical_path, exchange.docroot
        if exchange.handler is not None or path is None or docroot is None:
            return
        mode = _mode(path)
        if stat.S_ISREG(mode):
            return
        for name in self.names:
            if name.startswith("/"):
                candidate = docroot.rstrip("/") + name
            elif not stat.S_ISDIR(mode):
                continue
            elif not path.endswith("/"):
                exchange.handler = _Slash()
                return
            else:
                candidate = path + name
            if stat.S_ISREG(_mode(candidate)):
                exchange.physical_path = candidate
                return


class _Slash:
    """Sends the client to the same path with a slash at its end."""

    def handle(self, exchange: Exchange) -> None:
        """Redirect, within this host."""
        request = exchange.request
        if request.path.endswith(request.as_received.path):
            request = request.as_received  # `rewrite` has only put something before the path
        location = quote(request.path, PATH_SAFE, errors="surrogateescape").encode() + b"/"
        if request.query:
            location += b"?" + request.query
        exchange.respond(301, b"", NOSNIFF + b"Location: %b\r\n" % location)


class _File(NamedTuple):
    """What the response says about a file."""

    size: int
    content_type: bytes
    validators: Validators
    #: The validators and whatever else every response about the file has, as header lines.
    lines: bytes


class _Stretch(NamedTuple):
    """A range of a file, and the bytes that are sent before it."""

    before: bytes
    part: Range


def send_file(
    exchange: Exchange, path: str, content_type: bytes | None, lines: bytes
) -> Awaitable[None] | None:
    """Answer with a file that somebody else has chosen; raises `Refusal` (403, 404).

    ``content_type`` is its media type, None for that of its name; ``lines`` are more fields.
    """
    descriptor = _open(path)
    try:
        file = _describe_open(descriptor, media_type(os.path.splitext(path)[1]), False)  # noqa: PTH122
        file = file._replace(
            content_type=content_type or file.content_type, lines=file.lines + lines
        )
        return _answer(exchange, descriptor, file)
    finally:
        os.close(descriptor)


def _mode(path: str) -> int:
    """Return the kind of file that is at ``path``; 0 where there is none."""
    try:
        return os.stat(path).st_mode  # noqa: PTH116
    except OSError:
        return 0


def _open(path: str) -> int:
    """Open for reading; raises `Refusal`."""
    try:
        return os.open(path, _FLAGS)
    except OSError as error:
        status = _STATUSES.get(error.errno or 0, 500)
        if status == 500:
            logger.error("cannot open %s: %s", path, error.strerror)
        raise Refusal(status, error.strerror or "") from None


def _describe_open(descriptor: int, kind: str, confined: bool) -> _File:
    """Describe an open file as `_describe` does; raises `Refusal` (403)."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise Refusal(403, "not a regular file")
    return _describe(kind, confined, found.st_ino, found.st_size, found.st_mtime_ns)


def _answer(exchange: Exchange, descriptor: int, file: _File) -> Awaitable[None] | None:
    status = precondition(exchange.request, file.validators)
    if status == 412:
        raise Refusal(412, "the file is not the one that the request names")
    if status == 304:
        exchange.start(304, file.lines, None)
        exchange.finish()
        return None
    ranges = _ranges(exchange, file)
    if ranges is None:
        return _send(exchange, descriptor, 200, file, (_Stretch(b"", Range(0, file.size)),))
    if not ranges:
        refusal = Refusal(416, f"the file has {file.size} bytes")
        exchange.refuse(refusal, b"Content-Range: bytes */%d\r\n" % file.size)
        return None
    if len(ranges) == 1:
        content_range = ranges[0].line(file.size)
        return _send(exchange, descriptor, 206, file, (_Stretch(b"", ranges[0]),), content_range)
    return _send_multipart(exchange, descriptor, file, ranges)


def _ranges(exchange: Exchange, file: _File) -> list[Range] | None:
    """Return the ranges that the client wants, None for the whole file.

    Range is for GET alone (RFC 9110, section 14.2).
    """
    request = exchange.request
    value = request.named.get(b"range")
    if value is None or request.method != "GET" or not range_holds(request, file.validators):
        return None
    return parse_ranges(value, file.size)


def _send_multipart(
    exchange: Exchange, descriptor: int, file: _File, ranges: list[Range]
) -> Awaitable[None] | None:
    """Send several ranges (RFC 9110, section 14.6)."""
    boundary = token_hex(16).encode()
    head = b"\r\n--%b\r\nContent-Type: %b\r\n" % (boundary, file.content_type)
    stretches = [_Stretch(head + each.line(file.size) + b"\r\n", each) for each in ranges]
    stretches.append(_Stretch(b"\r\n--%b--\r\n" % boundary, Range(0, 0)))
    multipart = file._replace(content_type=b"multipart/byteranges; boundary=" + boundary)
    return _send(exchange, descriptor, 206, multipart, stretches)


def _send(
    exchange: Exchange,
    descriptor: int,
    status: int,
    file: _File,
    stretches: Sequence[_Stretch],
    lines: bytes = b"",
) -> Awaitable[None] | None:
    """Send head and body: a small one in one write, a large one by sendfile."""
    lines += b"Content-Type: %b\r\n%b" % (file.content_type, file.lines)
    size = sum(len(before) + part.length for before, part in stretches)
    small = size < SPLICE_FROM
    first = b"".join(_read(descriptor, each) for each in stretches) if small else b""
    exchange.start(status, lines, size, first)
    if not small and not exchange.bodiless:
        return _stream(exchange, FileIO(os.dup(descriptor)), stretches)
    if not exchange.bodiless and len(first) != size:
        raise OSError("the file became shorter while it was read")
    exchange.finish()
    return None


def _read(descriptor: int, stretch: _Stretch) -> bytes:
    return stretch.before + os.pread(descriptor, stretch.part.length, stretch.part.start)


async def _stream(exchange: Exchange, file: FileIO, stretches: Sequence[_Stretch]) -> None:
    with file:
        for before, part in stretches:
            await exchange.send(before)
            body = FileBody(file, part.start, part.length)
            await relay(body, exchange.client, sent=exchange.sent)
    exchange.finish()


@lru_cache(1024)
def _describe(kind: str, confined: bool, inode: int, size: int, changed: int) -> _File:
    """Return what the response says about a file of this media type.

    ``changed`` is its time of change in nanoseconds since 1970. A ``confined`` file is one that is
    active, and that a stranger may have uploaded.
    """
    validators = Validators(b'"%x-%x-%x"' % (inode, size, changed), changed // 10**9)
    lines = b"ETag: %b\r\nLast-Modified: %b\r\nAccept-Ranges: bytes\r\n" % (
        validators.etag,
        validators.last_modified,
    )
    lines += NOSNIFF
    if confined:
        lines += CONFINED
        kind = confined_type(kind)
    return _File(size, with_charset(kind).encode(), validators, lines)
