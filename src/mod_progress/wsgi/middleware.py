"""The WSGI middleware: what it does with each request."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import cached_property, lru_cache, partial
from http import HTTPStatus

from mod_progress.framing import BODILESS, parse_size
from mod_progress.identifier import FIELD
from mod_progress.middleware import BaseMiddleware
from mod_progress.show.answer import Answer, Stream
from mod_progress.show.question import Question
from mod_progress.show.ticker import Ticker, call_here
from mod_progress.shutdown import shutdown
from mod_progress.tracker import logger
from mod_progress.transfer import Transfer
from mod_progress.wsgi.exchange import Application, Environ, Exchange, StartResponse
from mod_progress.wsgi.timed_exchange import TimedExchange

__all__ = ["ProgressMiddleware"]


class ProgressMiddleware(BaseMiddleware[Application]):
    """Tracks the transfers of a WSGI application, and answers how far they are.

    `middleware.BaseMiddleware` documents the parameters. Paths are the application's own, without
    the prefix that it is mounted at (``SCRIPT_NAME``).
    """

    def _check_server(self) -> None:
        uwsgi = sys.modules.get("uwsgi")
        if uwsgi is not None and not uwsgi.has_threads:
            logger.warning("uWSGI lacks enable-threads: other workers learn late of transfers here")

    @cached_property
    def _exchange(self) -> type[Exchange]:
        return TimedExchange if self._options.server_timing else Exchange

    def _make_ticker(self) -> Ticker | None:
        return Ticker(self._tracker, shutdown) if _threads_are_cheap() else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if self._asks(environ["REQUEST_METHOD"], _path(environ)):
            return self._answer(environ, start_response)
        transfer = self._track(environ)
        if transfer is None:
            return self.app(environ, start_response)
        return self._exchange(environ, start_response, transfer).run(self.app)

    def _track(self, environ: Environ) -> Transfer | None:
        method = environ["REQUEST_METHOD"]
        if not self._considers(method):
            return None
        if not (self._selects(_path(environ), environ) and self._is_new(environ)):
            return None
        query = _query(environ)
        if self._identify is not None:
            named = self._name(query, environ)
            if named is None:
                return None
            query = named
        size = parse_size(environ.get("CONTENT_LENGTH"))
        if size is None and not _announces_body(environ):
            size = 0
        return self._tracker.track(
            method,
            query,
            _field(environ, FIELD),
            size,
            path=_whole_path(environ),
            peer=environ.get("REMOTE_ADDR", ""),
        )

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        question = Question(method, _query(environ), partial(_field, environ))
        path = _path(environ)
        if self._asks_for_dump(question, path):
            permitted = _ask_permission("dump", self._permit, environ)
            permit = self._permit_cancel if self._is_for_rows(path) else None
            cancels = _ask_permission("cancel", permit, environ)
            answer = self._dump(question, path, permitted, cancels)
        elif self._asks_for_metrics(path):
            permitted = _ask_permission("metrics", self._permit_metrics, environ)
            answer = self._measure(question, permitted)
        elif self._needs_permission_to_cancel(question, path):
            permitted = _ask_permission("cancel", self._permit_cancel, environ)
            answer = self._cancel(question, permitted)
        else:
            answer = self._answer_to(question, path)
        if isinstance(answer, Future):
            answer = answer.result()
        return _respond(answer, method, start_response)


def _ask_permission(
    what: str, permit: Callable[[Environ], object] | None, environ: Environ
) -> object:
    """Return what the callable says that permits ``what``. An exception of its is logged."""
    try:
        return None if permit is None else permit(environ)
    except Exception:
        logger.exception("no %s: the callable failed", what)
        return False


def _path(environ: Environ) -> str:
    """Return the path inside the application.

    gunicorn takes ``SCRIPT_NAME`` off as a string: of ``/progress`` at ``/pro`` it leaves
    ``gress``. But ``/progress`` is not inside ``/pro``.
    """
    path: str = environ.get("PATH_INFO", "")
    return path if path[:1] in ("/", "") else environ.get("SCRIPT_NAME", "") + path


def _whole_path(environ: Environ) -> str:
    """Return the path as the client asked for it.

    An environ has the bytes of a path as Latin-1 (PEP 3333).
    """
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    if path.isascii():
        return path
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


def _query(environ: Environ) -> bytes:
    query: str = environ.get("QUERY_STRING", "")
    return query.encode("latin-1", "replace")


@lru_cache
def _variable(name: bytes) -> str:
    """Return the environ's name for a request header (PEP 3333)."""
    return "HTTP_" + name.decode().upper().replace("-", "_")


def _field(environ: Environ, name: bytes) -> bytes | None:
    """Return the value of a request header, by its name in lower case."""
    value: str | None = environ.get(_variable(name))
    return None if value is None else value.encode("latin-1", "replace")


def _announces_body(environ: Environ) -> bool:
    """Whether a body may follow (RFC 9112, section 6.3; HTTP/2 needs no header for one)."""
    return (
        bool(environ.get("CONTENT_LENGTH"))
        or "HTTP_TRANSFER_ENCODING" in environ
        or not environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1")
    )


def _threads_are_cheap() -> bool:
    """Whether gevent has made threads cheap, so that an answer that waits may hold one."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _respond(answer: Answer, method: str, start_response: StartResponse) -> Iterable[bytes]:
    status = HTTPStatus(answer.status)
    headers = list(answer.fields)
    body = answer.body
    if isinstance(body, bytes) and answer.status not in BODILESS:
        headers.append(("Content-Length", str(len(body))))
    start_response(f"{status.value} {status.phrase}", headers)
    if method == "HEAD":
        return []
    return [body] if isinstance(body, bytes) else _stream(body)


def _stream(stream: Stream) -> Iterator[bytes]:
    woken = threading.Event()
    stream.open(call_here, woken.set)
    try:
        while not stream.ended:
            woken.clear()
            part = stream.take()
            if part:
                yield part
            elif not stream.ended:
                woken.wait()
    finally:
        stream.close()
