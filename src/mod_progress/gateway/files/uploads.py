"""The action `upload.store`: files that clients send, saved in a directory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from urllib.parse import quote

from python_multipart.multipart import parse_options_header

from mod_progress.gateway.exchange import NOSNIFF, Exchange, MethodNotAllowed
from mod_progress.gateway.files.filenames import UNNAMED, parse_filename, safe_folder, safe_name
from mod_progress.gateway.files.form import Form
from mod_progress.gateway.files.new_file import Saved
from mod_progress.gateway.files.reservation import FORM_OVERHEAD, Reservation
from mod_progress.gateway.files.unnamed import open_new
from mod_progress.gateway.files.upload_limits import DEFAULT_LIMITS, UploadLimits
from mod_progress.gateway.files.usage import Usage, usage_of
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.http.request import RequestHead
from mod_progress.gateway.streams.disk import disk_errors
from mod_progress.gateway.streams.relay import save

#: Folders within each other that a PUT may ask for.
MOST_FOLDERS = 32

_METHODS = ("POST", "PUT")
_OTHER_METHOD = MethodNotAllowed(_METHODS)

_HTML = b"Content-Type: text/html; charset=utf-8\r\n" + NOSNIFF
_JSON = b"Content-Type: application/json\r\n" + NOSNIFF


@dataclass(frozen=True, slots=True)
class StoreUploads:
    """Saves the files of a form, or the raw body of a POST or PUT, in a directory.

    Requests with another method are left to the actions that follow.
    """

    directory: str
    limits: UploadLimits = DEFAULT_LIMITS
    #: The path below which a PUT keeps its folders. With None, files go into the directory itself.
    below: str | None = None
    #: The path below which the saved files are served, for Location. With None, it is the
    #: request's own path.
    served: str | None = None
    #: What is in the directory, where a limit asks for that.
    usage: Usage | None = field(default=None, init=False, compare=False)

    def __post_init__(self) -> None:
        """Share the count of the directory with the workers that are forked later."""
        if self.limits.needs_count:
            object.__setattr__(self, "usage", usage_of(self.directory))

    def __call__(self, exchange: Exchange) -> None:
        """Take the request."""
        if exchange.handler is not None:
            return
        if exchange.request.method in _METHODS:
            exchange.handler = self
        else:
            exchange.fallback = _OTHER_METHOD

    async def handle(self, exchange: Exchange) -> None:
        """Save all that comes, and give the files their names when all is here."""
        try:
            with disk_errors(self.directory):
                saved = await self._save(exchange)
        except Refusal as refusal:
            _refuse(exchange, refusal)
        else:
            _answer(exchange, saved, self.served)

    async def _save(self, exchange: Exchange) -> list[Saved]:
        request = exchange.request
        kind, parameters = parse_options_header(request.named.get(b"content-type"))
        with Reservation(self.directory, self.limits, self.usage) as reservation:
            if request.method == "POST" and kind == b"multipart/form-data":
                boundary = parameters.get(b"boundary", b"")
                return await self._save_form(exchange, boundary, reservation)
            saved = await self._save_body(exchange, reservation)
            reservation.keep()
            return [saved]

    async def _save_body(self, exchange: Exchange, reservation: Reservation) -> Saved:
        request = exchange.request
        if b"content-range" in request.named:
            # RFC 9110, section 14.5: a part must not be taken for the whole.
            raise Refusal(400, "only whole files are saved here, no parts (Content-Range)")
        folder = self._folder(request)
        size = request.body_size or 0
        reservation.check_file(size)
        await reservation.begin(size)
        reservation.add_file()
        with open_new(self.directory) as file:
            exchange.invite()
            with _counted(exchange, reservation):
                await save(exchange.body, file.file)
            if not folder:
                return await file.publish(_name(request))
            try:
                file.move_to(folder)
            except (FileExistsError, NotADirectoryError):
                raise Refusal(409, f"there is a file where the folder {folder} should be") from None
            saved = await file.publish(_name(request))
            return saved._replace(name=f"{folder}/{saved.name}")

    def _folder(self, request: RequestHead) -> str:
        if self.below is None or request.method != "PUT":
            return ""
        folder = safe_folder(request.path.removeprefix(self.below))
        if folder.count("/") >= MOST_FOLDERS:
            raise Refusal(400, f"more than {MOST_FOLDERS} folders within each other")
        return folder

    async def _save_form(
        self, exchange: Exchange, boundary: bytes, reservation: Reservation
    ) -> list[Saved]:
        await reservation.begin(max(0, (exchange.request.body_size or 0) - FORM_OVERHEAD))
        with Form(self.directory, boundary, self.limits, reservation) as form:
            exchange.invite()
            while data := await exchange.body.read():
                form.feed(data)
            return await form.publish()


@contextmanager
def _counted(exchange: Exchange, reservation: Reservation) -> Iterator[None]:
    """Let the reservation count what comes; it may refuse the rest."""

    def received(size: int) -> None:
        exchange.received(size)
        reservation.add(size)

    exchange.body.count = received
    try:
        yield
    finally:
        exchange.body.count = exchange.received


def _name(request: RequestHead) -> str:
    if request.method == "PUT":
        return safe_name(request.path)
    return safe_name(parse_filename(request.named.get(b"content-disposition", b"")) or UNNAMED)


def _answer(exchange: Exchange, saved: Sequence[Saved], served: str | None) -> None:
    """Say what was saved: to a person in a page, to a program in JSON."""
    request = exchange.request
    if _is_person(request):
        lines, body = _HTML, _page(request, saved)
    else:
        lines, body = _JSON, json.dumps({"files": [each._asdict() for each in saved]})
    if request.method == "PUT":
        place = request.path.rpartition("/")[0] if served is None else served
        location = quote(f"{place}/{saved[0].name}", errors="surrogateescape")
        lines += b"Location: %b\r\n" % location.encode()
    exchange.respond(201, body.encode(), lines)


def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    """Say why nothing was saved: to a person in text, to a program in JSON."""
    if _is_person(exchange.request):
        exchange.refuse(refusal)
    else:
        body = json.dumps({"error": refusal.reason})
        exchange.respond(refusal.status, body.encode(), _JSON)


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
