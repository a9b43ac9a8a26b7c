"""What both middlewares share: their parameters, what they track, and how they answer a show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from difflib import get_close_matches
from typing import Any, NamedTuple, cast

from mod_progress.identifier import PARAMETER, find_parameter
from mod_progress.options import OptionError, Options
from mod_progress.show.formats import FORMATS, HEADERS, Format
from mod_progress.stores import open_store
from mod_progress.stores.contract import Store
from mod_progress.tracker import Answer, Tracker, logger

#: Whether a request is to be tracked: by its path and the server's own picture of it, an ASGI
#: scope or a WSGI environ.
Selector = Callable[[str, Any], bool]

#: What ``track`` takes.
Track = str | Iterable[str] | Callable[[Any], bool] | None

#: Seconds for which a browser may remember a preflight: the most that Chromium does.
_PREFLIGHT_SECONDS = "7200"


#: Under this key a scope or an environ carries its transfer, so that it is not tracked twice.
TRACKED = "mod_progress.transfer"

#: The statuses of responses without a body (RFC 9110, sections 15.3.5 and 15.4.5).
BODILESS = (204, 304)


class Response(NamedTuple):
    """An answer to a request for the show: status, headers, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Front:
    """The parameters of a middleware, checked, and all that it does besides moving bytes.

    Raises `options.OptionError` where a parameter is not what it takes.
    """

    def __init__(
        self,
        *,
        show: str,
        format: str,  # noqa: A002 - the query parameter's name too
        track: Track,
        options: Options,
        store: str | Store,
        allow_origins: str | Iterable[str],
    ) -> None:
        self.show = _check_path("show", show)
        self.format = find_format(format)
        self.selects = _check_track(track)
        self.allow_origins = _check_origins(allow_origins)
        self.options = options
        self.tracker = Tracker(options, _open(store))

    def considers(self, method: str) -> bool:
        """Whether a request may be tracked; with ``debug``, any is, to say why it is not."""
        return method in self.options.methods or self.options.debug

    def answers(self, method: str, path: str) -> bool:
        """Whether a request is for the show."""
        return path == self.show and (
            method in ("GET", "HEAD") or (method == "OPTIONS" and bool(self.allow_origins))
        )

    def answer(
        self, method: str, query: bytes, identifier: bytes | None, origin: str | None
    ) -> Response | Future[Response]:
        """Answer a request for the show; ``identifier`` and ``origin`` are request headers."""
        if method == "OPTIONS":
            return Response(204, self._allow(origin, preflight=True), b"")
        try:
            named = find_parameter(query, "format")
            form = self.format if named is None else find_format(named.decode("latin-1"))
        except OptionError as error:
            return self._refuse(str(error), origin)
        found = self.tracker.show(query, identifier, form)
        if found is None:
            reason = f"{PARAMETER}: the query or a header has to carry 1 to 128 visible characters"
            return self._refuse(reason, origin)
        if isinstance(found, Answer):
            return self._present(found, origin)
        return _then(found, lambda answer: self._present(answer, origin))

    def wants(self, path: str, request: Any) -> bool:
        """Whether the parameter ``track`` selects a request. What it raises is logged alone."""
        if self.selects is None:
            return True
        try:
            return self.selects(path, request)
        except Exception:
            logger.exception("not tracked: the callable given as track failed")
            return False

    def _present(self, answer: Answer, origin: str | None) -> Response:
        headers = [("Content-Type", answer.content_type), *HEADERS, *self._allow(origin)]
        return Response(200, headers, answer.body)

    def _refuse(self, reason: str, origin: str | None) -> Response:
        headers = [("Content-Type", "application/json"), *HEADERS, *self._allow(origin)]
        return Response(400, headers, json.dumps({"error": reason}).encode())

    def _allow(self, origin: str | None, preflight: bool = False) -> list[tuple[str, str]]:
        """Return the headers by which a page of another origin may read the answer."""
        if not self.allow_origins:
            return []
        if "*" in self.allow_origins:
            allowed = [("Access-Control-Allow-Origin", "*")]
        elif origin in self.allow_origins:
            allowed = [("Access-Control-Allow-Origin", str(origin)), ("Vary", "Origin")]
        else:
            return [("Vary", "Origin")]
        if preflight:
            allowed += [
                ("Access-Control-Allow-Methods", "GET, HEAD"),
                ("Access-Control-Allow-Headers", PARAMETER),
                ("Access-Control-Max-Age", _PREFLIGHT_SECONDS),
            ]
        return allowed


def parse_size(length: str | bytes | None) -> int | None:
    """Return the size that a Content-Length tells; None where it tells none."""
    return int(length) if length and length.isdigit() else None


def find_format(name: object) -> Format:
    """Return the format of that name."""
    form = FORMATS.get(name) if isinstance(name, str) else None
    if form is None:
        near = get_close_matches(str(name), FORMATS, n=1)
        raise OptionError("format", name, f"one of {', '.join(FORMATS)}", *near)
    return form


def _then(answer: Future[Answer], present: Callable[[Answer], Response]) -> Future[Response]:
    response: Future[Response] = Future()

    def reply(answered: Future[Answer]) -> None:
        if response.set_running_or_notify_cancel():
            response.set_result(present(answered.result()))

    answer.add_done_callback(reply)
    return response


def _check_path(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise OptionError(name, value, "a path that begins with /")
    return value


def _check_track(value: object) -> Selector | None:
    if value is None:
        return None
    if callable(value):
        return lambda path, request: bool(value(request))
    if not isinstance(value, str | Iterable):
        raise OptionError("track", value, "a path prefix, several, or a callable")
    prefixes = (value,) if isinstance(value, str) else tuple(value)
    for prefix in prefixes:
        _check_path("track", prefix)
    return lambda path, request: path.startswith(prefixes)


def _check_origins(value: object) -> frozenset[str]:
    takes = "'*' or origins such as 'https://example.com'"
    if not isinstance(value, str | Iterable):
        raise OptionError("allow_origins", value, takes)
    origins = (value,) if isinstance(value, str) else tuple(value)
    for origin in origins:
        if not isinstance(origin, str) or not _is_origin(origin):
            raise OptionError("allow_origins", origin, takes)
    return frozenset(origins)


def _is_origin(text: str) -> bool:
    """An origin has no path and no slash at its end (RFC 6454, section 7), and may be null."""
    scheme, separator, host = text.partition("://")
    return text in ("*", "null") or bool(scheme and separator and host and "/" not in host)


def _open(store: object) -> Store:
    if isinstance(store, str):
        return open_store(store)
    if not (hasattr(store, "publish") and hasattr(store, "lookup")):
        raise OptionError("store", store, "a store or the name of one, such as 'local'")
    return cast(Store, store)
