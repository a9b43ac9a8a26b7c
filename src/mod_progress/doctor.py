"""Says in plain words why the progress of an upload cannot be seen: ``mod-progress doctor URL``.

It sends a slow upload to a running app, asks for it meanwhile as a page would, and judges what it
was told.
"""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from mod_progress.identifier import PARAMETER

#: Bytes of the upload: more than a proxy keeps in memory (nginx: 16 KiB), and than what hides in
#: the buffers of the system between two programs.
UPLOAD_SIZE = 8 << 20

#: Parts in which it is sent.
PARTS = 64

#: How much of it is sent before it is seen whether the app has half of that.
HELD_AT = UPLOAD_SIZE * 9 // 10

#: Seconds to wait for an answer.
TIMEOUT = 30.0

#: Seconds in which what was sent must be with the app, and an end known to every worker.
SETTLED = 2.0

#: So many answers in a row that tell of the end say that all know it.
AGREED = 10

_BOUNDARY = "----mod-progress-doctor"
_FORM_HEAD = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="doctor.bin"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n"
).encode()
_FORM_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and what to do about it."""

    name: str
    what: str
    cure: str


NOT_SHOWN = Fault(
    "not shown",
    "Nothing shows progress at {show}: {detail}.",
    "Add ProgressMiddleware to the app, outside of what answers there now; or name its path with "
    "--show, if its parameter show= is another.",
)
NOT_TRACKED = Fault(
    "not tracked",
    "The upload is not tracked: {show} knows nothing of its id, neither meanwhile nor afterwards.",
    "See that the parameter track= takes in this path and methods= has POST; with debug=True the "
    "log says why a request is not tracked.",
)
EATEN = Fault(
    "eaten",
    "An id in {detail} does not reach the app.",
    "A proxy or an app around this one removes it: let it pass, or use another spelling.",
)
BUFFERED = Fault(
    "buffered",
    "The upload is held back until it is whole: {detail}.",
    "A proxy in between buffers it: for nginx, set `proxy_request_buffering off;` where it passes "
    "requests on. Or the server itself does: waitress, Daphne and Granian's WSGI do.",
)
NOT_SHARED = Fault(
    "not shared",
    "Some answers know the upload and some do not: there are several workers, and they do not "
    "share a table.",
    'Let store= be "local" (the default) on one machine and a redis:// URL on several; not '
    '"memory".',
)
REFUSED = Fault(
    "refused",
    "The app answered the upload with {detail}.",
    "That is seen too, as an error. But is this where it takes uploads? The doctor sends a form "
    "with a file named `file`.",
)
CACHED = Fault(
    "cached",
    "Answers come out of a cache: {detail}.",
    "Something in between keeps them against their `Cache-Control: no-store`: exempt {show}.",
)
NOT_ALLOWED = Fault(
    "not allowed",
    "A page of {detail} may not read the answers (CORS).",
    "Name its origin with the parameter allow_origins=.",
)


#: The ways to carry an id: a query and a header, {} standing for it.
SPELLINGS = {
    f"the query parameter {PARAMETER}": (f"{PARAMETER}={{}}", ""),
    f"the query parameter {PARAMETER.lower()}": (f"{PARAMETER.lower()}={{}}", ""),
    f"the header {PARAMETER}": ("", "{}"),
}


class NotShownError(Exception):
    """What answered is no show."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One answer, how many bytes of the upload were sent when it was asked for, and its age."""

    sent: int
    answer: dict[str, Any]
    #: Seconds that a cache says it has kept the answer; None where no cache says so.
    age: str | None = None

    @property
    def known(self) -> bool:
        """Whether the app knew the upload."""
        return bool(self.answer["state"] != "unknown")

    @property
    def received(self) -> int:
        """Bytes that the app had."""
        return int(self.answer.get("received", 0))

    @property
    def behind(self) -> bool:
        """Whether that was no more than half of what was sent."""
        return not self.ended and self.received <= self.sent / 2

    @property
    def ended(self) -> bool:
        """Whether the upload was over."""
        return self.answer["state"] in ("done", "error")


@dataclass(frozen=True, slots=True)
class Target:
    """The app: where it takes uploads, where it shows them, and the origin of the page."""

    url: SplitResult
    show: str
    origin: str | None = None

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection, not opened yet."""
        secure = self.url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(self.url.hostname or "", self.url.port, timeout=TIMEOUT)

    def ask(self, identifier: str, sent: int = 0, *, plain: bool = False) -> Poll:
        """Ask for a transfer on a new connection, past caches that know the query, or ``plain``.

        Raises `NotShownError`, or OSError where nothing listens.
        """
        response, body = self._get(identifier, "" if plain else f"&_={secrets.token_hex(4)}")
        try:
            answer = json.loads(body)
            if response.status == http.client.OK and "state" in answer:
                return Poll(sent, answer, response.headers["Age"])
        except (ValueError, TypeError):
            pass
        raise NotShownError(f"the answer is {response.status} {response.reason}, no progress")

    def allows(self) -> bool:
        """Whether a page of the origin may read the show."""
        response, _ = self._get(secrets.token_hex(8), "")
        return response.headers["Access-Control-Allow-Origin"] in ("*", self.origin)

    def _get(self, identifier: str, more: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self.connect()
        headers = {"Origin": self.origin} if self.origin else {}
        target = f"{self.show}?{PARAMETER}={identifier}&format=json{more}"
        try:
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            return response, response.read()
        except http.client.HTTPException as error:
            raise NotShownError(f"no HTTP comes back, {error!r}") from error
        finally:
            connection.close()


@dataclass(slots=True)
class Upload:
    """An upload of a form with one file."""

    target: Target
    query: str
    header: str
    size: int
    #: For how long to send.
    seconds: float = 0.0
    sent: int = 0
    outcome: str = ""
    #: Set when the app has what was sent: the last tenth waits for that, within bounds.
    released: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send it all, and keep what came of it."""
        connection = self.target.connect()
        url = self.target.url
        query = "&".join(filter(None, (url.query, self.query)))
        headers = {
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            "Content-Length": str(len(_FORM_HEAD) + self.size + len(_FORM_TAIL)),
        }
        if self.header:
            headers[PARAMETER] = self.header
        try:
            connection.request("POST", f"{url.path or '/'}?{query}", self._body(), headers)
            response = connection.getresponse()
            response.read()
            self.outcome = f"{response.status} {response.reason}"
        except (OSError, http.client.HTTPException) as error:
            self.outcome = f"no answer, {error!r}"
        finally:
            connection.close()

    def _body(self) -> Iterator[bytes]:
        yield _FORM_HEAD
        part = bytes(self.size // PARTS)
        for _ in range(PARTS):
            time.sleep(self.seconds / PARTS)
            if self.sent >= HELD_AT:
                self.released.wait(SETTLED)
                self.released.set()
            yield part
            self.sent += len(part)
        yield _FORM_TAIL


@dataclass(slots=True)
class Course:
    """What a slow upload looked like from outside."""

    polls: list[Poll]
    #: The answers to one and the same question, while the upload ran and when it had ended.
    before: Poll
    after: Poll
    outcome: str


def watch(target: Target, seconds: float) -> Course:
    """Send a slow upload, ask for it meanwhile and until its end is known, or could be."""
    identifier = secrets.token_hex(8)
    upload = Upload(target, f"{PARAMETER}={identifier}", identifier, UPLOAD_SIZE, seconds)
    thread = threading.Thread(target=upload.run)
    thread.start()
    before = target.ask(identifier, plain=True)
    polls = []
    while thread.is_alive():
        polls.append(target.ask(identifier, upload.sent))
        if polls[-1].sent >= HELD_AT and not polls[-1].behind:
            upload.released.set()
        thread.join(seconds / PARTS)
    deadline = time.monotonic() + SETTLED
    last: list[Poll] = []
    while time.monotonic() < deadline and not (len(last) == AGREED and all(p.ended for p in last)):
        polls.append(target.ask(identifier, upload.sent))
        last = [*last, polls[-1]][-AGREED:]
    return Course(polls, before, target.ask(identifier, plain=True), upload.outcome)


def judge(course: Course) -> Iterator[tuple[Fault, str]]:
    """Yield what was wrong with the course of an upload."""
    polls = course.polls
    if any(poll.age is not None for poll in polls):
        yield CACHED, "they carry the header Age"
        return
    known = [poll for poll in polls if poll.known]
    if not known:
        yield NOT_TRACKED, ""
        return
    shared = all(poll.known for poll in polls[polls.index(known[0]) :])
    if not shared:
        yield NOT_SHARED, ""
    elif course.after.answer == course.before.answer != polls[-1].answer:
        yield CACHED, "the same question got an old answer"
    if not course.outcome.startswith(("2", "3")):
        yield REFUSED, course.outcome
    # The few answers of workers that do not share tell little of how far it is.
    held = _held_back(polls) if shared else ""
    if held:
        yield BUFFERED, held


def _held_back(polls: list[Poll]) -> str:
    """Tell how far the app was behind late in the upload, if it was in every answer."""
    late = [poll for poll in polls if HELD_AT <= poll.sent < UPLOAD_SIZE]
    if not late or not all(poll.behind for poll in late):
        return ""
    return f"when {late[-1].sent} bytes were sent, the app had {late[-1].received}"


def find_eaten(target: Target) -> Iterator[tuple[Fault, str]]:
    """Yield the spellings of an id by which an upload is not tracked."""
    identifiers = {spelling: secrets.token_hex(8) for spelling in SPELLINGS}
    for spelling, identifier in identifiers.items():
        query, header = (text.format(identifier) for text in SPELLINGS[spelling])
        Upload(target, query, header, PARTS).run()
    deadline = time.monotonic() + SETTLED
    for spelling, identifier in identifiers.items():
        while not target.ask(identifier).known:
            if time.monotonic() > deadline:
                yield EATEN, spelling
                break


def examine(target: Target, seconds: float) -> Iterator[tuple[Fault, str]]:
    """Yield each fault with its detail. Raises OSError where nothing listens."""
    try:
        target.ask(secrets.token_hex(8))
        if target.origin and not target.allows():
            yield NOT_ALLOWED, target.origin
        course = watch(target, seconds)
        faults = list(judge(course))
        yield from faults
        if not {NOT_TRACKED, CACHED} & dict(faults).keys():
            yield from find_eaten(target)
    except NotShownError as error:
        yield NOT_SHOWN, str(error)


def main(
    url: str, *, show: str = "/progress", origin: str | None = None, seconds: float = 4.0
) -> int:
    """Examine the app that takes uploads at ``url``; print what is wrong; return the exit code.

    ``show`` is the path that shows progress, ``origin`` that of a page which is to read it, and
    ``seconds`` for how long to upload.
    """
    target = Target(urlsplit(url), show, origin)
    if target.url.scheme not in ("http", "https") or not target.url.hostname:
        print(f"{url}: an address such as http://localhost:8000/upload is needed", file=sys.stderr)
        return 2
    found = False
    try:
        for fault, detail in examine(target, seconds):
            found = True
            print(f"{fault.name}: {fault.what.format(show=show, detail=detail)}")
            print(f"    {fault.cure.format(show=show)}")
    except OSError as error:
        print(f"{url}: {error.strerror or error}", file=sys.stderr)
        return 1
    if not found:
        print("All is well: the upload is tracked, and every answer told the truth.")
    return 1 if found else 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m mod_progress.doctor", description=__doc__)
    parser.add_argument("url", help="where the app takes uploads, such as http://host/upload")
    parser.add_argument("--show", default="/progress", help="the path that shows progress")
    parser.add_argument("--origin", help="the origin of a page that is to read it (CORS)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for how long to upload")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(**vars(_parse(sys.argv[1:]))))
