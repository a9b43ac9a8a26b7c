"""The action `upload.store`: files that clients send, saved in a directory."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape
from typing import NamedTuple
from urllib.parse import quote

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from mod_progress.gateway.exchange import TEXT, Exchange
from mod_progress.gateway.files.filenames import UNNAMED, parse_filename, safe_name
from mod_progress.gateway.files.unnamed import Draft, open_draft
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.http.request import RequestHead
from mod_progress.gateway.streams.disk import disk_errors, write
from mod_progress.gateway.streams.relay import save

#: Parts of one form, and files among them: Django's defaults (DATA_UPLOAD_MAX_NUMBER_FIELDS,
#: DATA_UPLOAD_MAX_NUMBER_FILES). Each file that has not its name yet is an open descriptor.
MOST_PARTS = 1000
MOST_FILES = 100

# A malformed form is its sender's business: it gets a 400, the log nothing.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Saved(NamedTuple):
    """A file that was saved: its name, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class StoreUploads:
    """Saves the files of a form, or the raw body of a POST or PUT, in a directory.

    Requests with another method are left to the actions that follow.
    """

    directory: str

    def __call__(self, exchange: Exchange) -> None:
        """Take the request."""
        if exchange.handler is not None:
            return
        if exchange.request.method in ("POST", "PUT"):
            exchange.handler = self
        else:
            exchange.fallback = _OTHER_METHOD

    async def handle(self, exchange: Exchange) -> None:
        """Save all that comes, and only then give the files their names."""
        request = exchange.request
        kind, parameters = parse_options_header(request.named.get(b"content-type"))
        with disk_errors(self.directory):
            if request.method == "POST" and kind == b"multipart/form-data":
                saved = await _save_form(exchange, self.directory, parameters.get(b"boundary"))
            else:
                saved = [await _save_body(exchange, self.directory)]
        _answer(exchange, saved)


class _OtherMethod:
    """Answers where nothing else serves another method."""

    def handle(self, exchange: Exchange) -> None:
        """Say which methods there are."""
        exchange.respond(405, b"405 Method Not Allowed\n", TEXT + b"Allow: POST, PUT\r\n")


_OTHER_METHOD = _OtherMethod()


async def _save_body(exchange: Exchange, directory: str) -> Saved:
    request = exchange.request
    if b"content-range" in request.named:
        # RFC 9110, section 14.5: a part must not be taken for the whole.
        raise Refusal(400, "a part of a file cannot be saved")
    with open_draft(directory) as draft:
        exchange.invite()
        await save(exchange.body, draft.file)
        return Saved(draft.publish(_name(request)), draft.size)


def _name(request: RequestHead) -> str:
    if request.method == "PUT":
        return safe_name(request.path)
    return safe_name(parse_filename(request.named.get(b"content-disposition", b"")) or UNNAMED)


async def _save_form(exchange: Exchange, directory: str, boundary: bytes | None) -> list[Saved]:
    """Save the files of a multipart/form-data body (RFC 7578); raises `Refusal` (400, 413)."""
    if not boundary:
        raise Refusal(400, "the form has no boundary")
    with ExitStack() as drafts:
        try:
            form = _Form(directory, boundary, drafts)
            exchange.invite()
            while data := await exchange.body.read():
                form.feed(data)
        except FormParserError as error:
            raise Refusal(400, f"the form is malformed: {error}") from None
        if not form.finished:
            raise Refusal(400, "the form breaks off")
        if not form.files:
            raise Refusal(400, "the form has no file")
        return [Saved(draft.publish(name), draft.size) for name, draft in form.files]


class _Form:
    """Writes the files of a form as it comes; its other fields are not kept."""

    def __init__(self, directory: str, boundary: bytes, drafts: ExitStack) -> None:
        self._directory = directory
        self._drafts = drafts
        self._parts = 0
        self._field = self._value = self._disposition = b""
        self._name: str | None = None
        self._draft: Draft | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begun,
                "on_header_field": self._more_of_field,
                "on_header_value": self._more_of_value,
                "on_header_end": self._header_ended,
                "on_headers_finished": self._headers_ended,
                "on_part_data": self._more_of_part,
                "on_part_end": self._part_ended,
                "on_end": self._ended,
            },
        )
        #: The files that are whole, with their names.
        self.files: list[tuple[str, Draft]] = []
        #: Whether the end of the form came.
        self.finished = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raises `FormParserError`, `Refusal` (413), OSError."""
        self._parser.write(data)

    def _part_begun(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Refusal(413, "the form has too many parts")
        self._disposition = b""

    def _more_of_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _more_of_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ended(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _headers_ended(self) -> None:
        self._name = parse_filename(self._disposition)
        if self._name is None:
            return
        if len(self.files) >= MOST_FILES:
            raise Refusal(413, "the form has too many files")
        self._draft = self._drafts.enter_context(open_draft(self._directory))

    def _more_of_part(self, data: bytes, start: int, end: int) -> None:
        if self._draft is not None:
            write(self._draft.file, memoryview(data)[start:end])

    def _part_ended(self) -> None:
        draft, self._draft = self._draft, None
        if draft is None:
            return
        if self._name or draft.size:
            self.files.append((safe_name(self._name or ""), draft))
        else:
            draft.close()  # what a form sends where no file was chosen

    def _ended(self) -> None:
        self.finished = True


def _answer(exchange: Exchange, saved: Sequence[Saved]) -> None:
    """Say what was saved: to a person in a page, to a program in JSON."""
    request = exchange.request
    if _is_person(request):
        kind, body = b"text/html; charset=utf-8", _page(request, saved)
    else:
        listing = {"files": [each._asdict() for each in saved]}
        kind, body = b"application/json", json.dumps(listing)
    lines = b"Content-Type: %b\r\n" % kind
    if request.method == "PUT":
        place = request.path.rpartition("/")[0]
        location = quote(f"{place}/{saved[0].name}", errors="surrogateescape")
        lines += b"Location: %b\r\n" % location.encode()
    exchange.respond(201, body.encode(), lines)


def _is_person(request: RequestHead) -> bool:
    """Whether a browser will show the answer, as after a form without a script."""
    navigates = request.named.get(b"sec-fetch-mode", b"navigate") == b"navigate"
    return navigates and b"text/html" in request.named.get(b"accept", b"")


def _page(request: RequestHead, saved: Sequence[Saved]) -> str:
    items = "".join(f"<li>{escape(each.name)}: {each.size:,} bytes</li>" for each in saved)
    referrer = request.named.get(b"referer", b"").decode("latin-1")
    back = f'<p><a href="{escape(referrer)}">Back</a></p>' if _is_web(referrer) else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Saved</title><h1>Saved</h1><ul>{items}</ul>{back}\n"
    )


def _is_web(address: str) -> bool:
    return address.startswith(("http://", "https://"))
