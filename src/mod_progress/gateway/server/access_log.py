"""One line a request, when it is over: the combined format, or JSON.

An id is a capability: whoever knows it may look, and many people read logs. So ids are cut short
wherever they are.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from contextlib import suppress
from io import FileIO

from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.server.identity import Identity
from mod_progress.gateway.server.site import AccessLog
from mod_progress.gateway.streams.disk import write
from mod_progress.identifier import shorten, shorten_in_url

logger = logging.getLogger("mod_progress.gateway")

#: Bytes that wait before they are written without the clock's asking.
_BUFFER = 64 * 1024

#: Characters that would end a quoted string of the combined format, or the line.
_UNQUOTABLE = re.compile(r'["\\\x00-\x1f\x7f-\xff]')

#: Not to wait for the reader of a pipe.
_TRY = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class AccessLogWriter:
    """Appends to the access log of a site. What cannot be written is dropped, and that is said."""

    def __init__(self, log: AccessLog) -> None:
        """Open the file; raises OSError."""
        self._path = log.path
        self._file = _open(log.path)
        self._line = _json if log.form == "json" else _combined
        self._waiting: list[bytes] = []
        self._size = 0
        # Whether the last lines were lost.
        self._losing = False

    def ended(self, exchange: Exchange) -> None:
        """Note an exchange that is over."""
        line = self._line(exchange).encode("ascii", "backslashreplace") + b"\n"
        self._waiting.append(line)
        self._size += len(line)
        if self._size >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Bring what waits to the file."""
        if not self._waiting:
            return
        lines, self._waiting, self._size = self._waiting, [], 0
        try:
            write(self._file, b"".join(lines))
        except OSError as error:
            if not self._losing:
                logger.error("access log %s: %s; lines are lost", self._path, error.strerror)
            self._losing = True
        else:
            if self._losing:
                logger.error("access log %s: it can be written again", self._path)
            self._losing = False

    def reopen(self) -> None:
        """Open the file of that name anew; raises OSError, and goes on with the old file then."""
        self.flush()
        before, self._file = self._file, _open(self._path)
        before.close()

    def close(self) -> None:
        """Flush, and close the file."""
        self.flush()
        self._file.close()


def _open(path: str) -> FileIO:
    return FileIO(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666), "ab")


def prepare_log(path: str, identity: Identity | None) -> None:
    """See that the workers' user can write to the log; raises OSError, and ValueError.

    A new file belongs to that user. One that is there keeps its owner, as it may be a link that the
    user has put there to a file of somebody else's.
    """
    if identity is None:
        _try_to_write(path, os.O_CREAT)
        return
    with suppress(FileExistsError):
        descriptor = os.open(path, _TRY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            identity.own(descriptor)
        finally:
            os.close(descriptor)
    with identity.in_force():
        _try_to_write(path)


def _try_to_write(path: str, flags: int = 0) -> None:
    os.close(os.open(path, _TRY | flags, 0o666))


def _combined(exchange: Exchange) -> str:
    request, transfer = exchange.request, exchange.transfer
    line = f"{request.method} {exchange.logged_target} HTTP/1.{request.minor}"
    moment = time.strftime("%d/%b/%Y:%H:%M:%S %z")
    return (
        f'{exchange.remote[0] or "-"} - - [{moment}] "{_quoted(line)}"'
        f" {transfer.status} {transfer.written}"
        f' "{_quoted(_referer(exchange) or "-")}"'
        f' "{_quoted(_field(exchange, b"user-agent") or "-")}"'
    )


def _json(exchange: Exchange) -> str:
    request, transfer = exchange.request, exchange.transfer
    noted = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "client": exchange.remote[0],
        "method": request.method,
        "host": request.as_received.host.decode("latin-1"),
        "target": exchange.logged_target,
        "status": transfer.status,
        "received": transfer.received,
        "sent": transfer.written,
        "complete": exchange.finished,
        "referer": _referer(exchange),
        "user_agent": _field(exchange, b"user-agent"),
        "id": shorten(transfer.identifier) if transfer.identifier else None,
    }
    return json.dumps(noted)


def _referer(exchange: Exchange) -> str | None:
    referer = exchange.request.as_received.named.get(b"referer")
    return None if referer is None else shorten_in_url(referer).decode("latin-1")


def _field(exchange: Exchange, name: bytes) -> str | None:
    value = exchange.request.as_received.named.get(name)
    return None if value is None else value.decode("latin-1")


def _quoted(text: str) -> str:
    return _UNQUOTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
