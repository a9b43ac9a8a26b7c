"""A stream of events about an upload, read as the EventSource of a page reads it."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import zlib
from contextlib import suppress
from email.message import Message

from mod_progress.doctor.target import Reply, Target
from mod_progress.show.events import LEAST_LIFE
from mod_progress.show.formats import EVENTS

#: Bytes that are read at once: an event takes a hundred or two.
_PIECE = 1 << 16

#: Bytes of a line that are kept while its end has not come.
_MOST = 1 << 16

#: What asks for a stream, and allows the one coding that every browser and every proxy knows.
_FIELDS = {"Accept": EVENTS.content_type, "Accept-Encoding": "gzip"}

_LINE_END = re.compile(rb"\r\n|\n|\r")


class Stream:
    """One stream, and when its events came. Times are those of `time.monotonic`."""

    def __init__(self, target: Target, identifier: str) -> None:
        self._target = target
        self._identifier = identifier
        #: The head of the answer; None while it has not come.
        self.reply: Reply | None = None
        self.fields = Message()
        #: The coding of the body, such as gzip; empty where there is none.
        self.coding = ""
        #: When the first event came, and the first that tells of a running upload.
        self.first_event: float | None = None
        self.first_running: float | None = None
        #: Whether the event came after which a page needs no other.
        self.complete = False
        #: Seconds from the question until the answer was over; None before that.
        self.lasted: float | None = None
        self._connection = target.connect()
        self._socket: socket.socket | None = None
        self._rest = b""
        self._ends = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def open(self) -> None:
        """Ask for the stream, and read it in a thread."""
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until the stream is over."""
        self._thread.join(seconds)

    def close(self) -> None:
        """Stop reading."""
        self._closed = self.lasted is None
        with suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of events."""
        reply = self.reply
        kind = self.fields.get_content_type()
        return reply is not None and reply.status == 200 and kind == EVENTS.content_type

    @property
    def was_cut(self) -> bool:
        """Whether something ended the stream before its time, and before its last event."""
        early = not self._closed and self.lasted is not None and self.lasted < LEAST_LIFE
        return early and not self.complete

    def _run(self) -> None:
        """Read the whole stream. Raises nothing."""
        begun = time.monotonic()
        try:
            self._read()
        except Exception as error:
            # Whatever it is, the doctor judges what came until then: this is the end of a thread.
            if self.reply is None and not self._closed:
                self.reply = Reply(0, repr(error))
        finally:
            self.lasted = time.monotonic() - begun
            self._connection.close()

    def _read(self) -> None:
        connection = self._connection
        connection.connect()
        connection.sock.settimeout(None)  # a stream may be silent; `close` ends the wait
        self._socket = connection.sock
        if self._closed:
            return  # nobody waits any more, and `close` has found no socket
        connection.request(
            "GET",
            self._target.show_target(self._identifier),
            headers={**self._target.request_fields, **_FIELDS},
        )
        response = connection.getresponse()
        self.fields = response.headers
        self.coding = response.headers.get("Content-Encoding", "")
        self.reply = Reply.of(response)
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 16) if self.coding == "gzip" else None
        while data := response.read1(_PIECE):
            self._take(data if decoder is None else decoder.decompress(data))

    def _take(self, data: bytes) -> None:
        *lines, self._rest = _LINE_END.split(self._rest + data)
        self._rest = self._rest[:_MOST]
        for line in lines:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"event":
                self._ends = value == b"end"
            elif name == b"data":
                self._take_data(value)

    def _take_data(self, data: bytes) -> None:
        now = time.monotonic()
        self.complete = self._ends
        if self.first_event is None:
            self.first_event = now
        if self.first_running is None and _state(data) == "running":
            self.first_running = now


def _state(data: bytes) -> object:
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        return json.loads(data)["state"]
    return None
