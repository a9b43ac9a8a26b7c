"""An upload that is slow enough to be watched."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from mod_progress.doctor.target import Reply, Target, request_target
from mod_progress.identifier import PARAMETER

#: Bytes of the upload: more than a proxy keeps in memory (nginx: 16 KiB), and than fits into the
#: buffers of the system between two programs.
UPLOAD_SIZE = 8 << 20

#: Parts in which it is sent.
PARTS = 64

#: Bytes after which the upload stops and waits until the app has half of them.
HELD_AT = UPLOAD_SIZE * 9 // 10

#: Seconds to wait until the app has what was sent, and until every worker knows an end.
PATIENCE = 5.0

_BOUNDARY = "----mod-progress-doctor"
_FORM_HEAD = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="doctor.bin"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n"
).encode()
_FORM_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()


#: Stands for the reply until there is one.
RUNNING = Reply(0, "the upload runs")


@dataclass(slots=True)
class Upload:
    """An upload of a form with one file."""

    target: Target
    #: Added to the query and to the header fields of the request: the id, in one or both.
    query: str
    header: str
    size: int
    #: For how long to send.
    seconds: float = 0.0
    #: For how long the last tenth waits to be released.
    patience: float = PATIENCE
    #: Bytes of the file that were sent until now.
    sent: int = 0
    #: How it ended.
    reply: Reply = RUNNING
    #: Set when the app has what was sent before the last tenth.
    released: threading.Event = field(default_factory=threading.Event)
    #: When the last tenth began, by `time.monotonic`; None before that.
    resumed: float | None = None

    def run(self) -> None:
        """Send it all, and keep how it ended. Raises nothing."""
        connection = self.target.connect()
        try:
            self.reply = self._send(connection)
        except Exception as error:
            # Whatever it is, the doctor reports it: this is the end of a thread.
            self.reply = Reply(0, repr(error))
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection) -> Reply:
        url = self.target.url
        target = request_target(url._replace(query="&".join(filter(None, (url.query, self.query)))))
        headers = {
            **self.target.headers,
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            "Content-Length": str(len(_FORM_HEAD) + self.size + len(_FORM_TAIL)),
        }
        if self.header:
            headers[PARAMETER] = self.header
        connection.connect()
        # An app that answers early may read no more: its answer is there all the same.
        with suppress(OSError):
            connection.request("POST", target, self._body(), headers)
        response = connection.getresponse()
        response.read()
        return Reply.of(response)

    def _body(self) -> Iterator[bytes]:
        yield _FORM_HEAD
        part = bytes(self.size // PARTS)
        for _ in range(PARTS):
            time.sleep(self.seconds / PARTS)
            if self.sent >= HELD_AT:
                self.released.wait(self.patience)
                self.released.set()
                self.resumed = self.resumed or time.monotonic()
            yield part
            self.sent += len(part)
        yield _FORM_TAIL
