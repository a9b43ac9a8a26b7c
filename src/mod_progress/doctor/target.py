"""The app that is examined: its address, and questions to it."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from mod_progress.identifier import PARAMETER

#: Seconds to wait for an answer.
TIMEOUT = 30.0

#: Bytes of an answer that are read at most: progress takes a hundred, a page to log in begins with
#: its form.
ANSWER_SIZE = 1 << 18

#: What a path and a query may hold as it is (RFC 3986, sections 3.3 and 3.4); `%` is there because
#: it has been escaped already.
_URL_SAFE = "%!$&'()*+,;=:@/?-._~[]"


class AddressError(ValueError):
    """What was given is no address of an app; the message says what is needed."""


class NotShownError(Exception):
    """What answered does not show progress."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One answer, how many bytes of the upload were sent when it was asked for, and its age."""

    sent: int
    state: str
    #: Bytes that the app had.
    received: int = 0
    #: The whole answer.
    answer: Mapping[str, Any] = field(default_factory=dict)
    #: Seconds that a cache says it has kept the answer; None where no cache says so.
    age: str | None = None

    @property
    def known(self) -> bool:
        """Whether the app knew the upload."""
        return self.state != "unknown"

    @property
    def behind(self) -> bool:
        """Whether the app had no more than half of what was sent."""
        return not self.ended and self.received <= self.sent / 2

    @property
    def ended(self) -> bool:
        """Whether the upload was over."""
        return self.state in ("done", "error")


class Reply(NamedTuple):
    """An answer of the app: status, reason and where it redirects to, all as the app sent them."""

    #: 0 where no answer came; then the reason says why.
    status: int
    reason: str
    location: str = ""

    @classmethod
    def of(cls, response: http.client.HTTPResponse) -> Reply:
        """Return what there is to say about a response."""
        return cls(response.status, response.reason, response.headers.get("Location", ""))

    def __str__(self) -> str:
        said = f"{self.status} {self.reason}" if self.status else f"no answer, {self.reason}"
        return f"{said}, to {self.location}" if self.location else said


@dataclass(frozen=True, slots=True)
class Target:
    """The app: where it takes uploads, where it shows them, and the origin of the page."""

    url: SplitResult
    show: str = "/progress"
    origin: str | None = None
    #: Fields that every request carries, such as a session's cookie.
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def request_fields(self) -> dict[str, str]:
        """The header fields of a request from a page."""
        return {**self.headers, **({"Origin": self.origin} if self.origin else {})}

    def show_target(self, identifier: str) -> str:
        """Return the path and the query that ask for a transfer."""
        return f"{self.show}?{PARAMETER}={identifier}"

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection, not opened yet."""
        secure = self.url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(self.url.hostname or "", self.url.port, timeout=TIMEOUT)

    def ask(self, identifier: str, sent: int = 0, *, plain: bool = False) -> Poll:
        """Ask for a transfer on a new connection; ``plain`` says that a cache may answer.

        Raises `NotShownError`, or OSError where nothing listens.
        """
        response, body = self._get_show(identifier, "" if plain else f"&_={secrets.token_hex(4)}")
        poll = _parse(body, sent, response.headers["Age"])
        if response.status != http.client.OK or poll is None:
            raise NotShownError(f"the answer is {Reply.of(response)}, no progress")
        return poll

    def allows(self) -> bool:
        """Whether a page of the origin may read the show."""
        response, _ = self._get_show(secrets.token_hex(8), "")
        return response.headers["Access-Control-Allow-Origin"] in ("*", self.origin)

    def read_page(self, location: str) -> str:
        """Return the beginning of a page; empty where another host has it, or nothing comes back.

        ``location`` may be relative to the address of the uploads. Raises OSError.
        """
        try:
            url = _escape(urlsplit(urljoin(self.url.geturl(), location)))
            if (url.scheme, url.netloc) != (self.url.scheme, self.url.netloc):
                return ""
            _, body = self._get(request_target(url))
        except (ValueError, http.client.HTTPException):
            return ""
        return body.decode(errors="replace")

    def _get_show(self, identifier: str, more: str) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            return self._get(f"{self.show_target(identifier)}&format=json{more}")
        except http.client.HTTPException as error:
            raise NotShownError(f"no HTTP comes back, {error!r}") from error

    def _get(self, target: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self.connect()
        try:
            connection.request("GET", target, headers=self.request_fields)
            response = connection.getresponse()
            return response, response.read(ANSWER_SIZE)
        finally:
            connection.close()


def parse_target(
    url: str,
    show: str = "/progress",
    origin: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Target:
    """Return the app at an address as a person types it; raises `AddressError`.

    A path and a query may hold any character, like those that a browser takes.
    """
    if not show.startswith("/"):
        raise AddressError(f"--show {show}: a path starts with /")
    split = _split(url)
    if split is None:
        raise AddressError(f"{url}: an address such as http://localhost:8000/upload is needed")
    return Target(_escape(split), quote(show, safe=_URL_SAFE), origin, headers or {})


def _split(url: str) -> SplitResult | None:
    """Return the parts of an address that one can connect to; None where it is none."""
    try:
        split = urlsplit(url)
        host = (split.hostname or "").encode("idna")
        usable = split.scheme in ("http", "https") and host and split.port != 0
    except ValueError:
        return None
    return split if usable else None


def request_target(url: SplitResult) -> str:
    """Return what a request asks for: the path of a URL, and its query."""
    return f"{url.path}?{url.query}" if url.query else url.path


def _escape(url: SplitResult) -> SplitResult:
    """Return the URL with every character escaped that a request must not hold."""
    path, query = quote(url.path or "/", safe=_URL_SAFE), quote(url.query, safe=_URL_SAFE)
    return url._replace(path=path, query=query, fragment="")


def _parse(body: bytes, sent: int, age: str | None) -> Poll | None:
    """Return the progress that an answer tells; None where it tells none."""
    try:
        answer = json.loads(body)
        state, received = answer["state"], answer.get("received", 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not isinstance(state, str) or not isinstance(received, int):
        return None
    return Poll(sent, state, received, answer, age)
