"""What the two middlewares have in common: their parameters, and which requests are theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from inspect import iscoroutinefunction
from typing import Any, Generic, TypeVar, cast

from mod_progress.fault_log import FaultLog
from mod_progress.finished import EndNotifier, FinishedTransfer
from mod_progress.identifier import name_in_query
from mod_progress.options import MissingExtraError, OptionError, Options
from mod_progress.show.answer import Answer
from mod_progress.show.cancel import is_from_owner
from mod_progress.show.dashboard import answer_dashboard, dashboard_paths, is_list
from mod_progress.show.dump import Permission, answer_dump
from mod_progress.show.health import answer_health
from mod_progress.show.list_stream import LiveLists
from mod_progress.show.question import ASKING, CANCEL_METHOD, Question
from mod_progress.show.responder import Responder
from mod_progress.show.script import script_paths, serve_script
from mod_progress.show.ticker import Ticker
from mod_progress.stores import open_store
from mod_progress.stores.contract import Store
from mod_progress.stores.listing import Listing
from mod_progress.tracker import Tracker, logger

#: Tells by path and request (an ASGI scope or a WSGI environ) whether to track a request.
Selector = Callable[[str, Any], bool]

#: What the parameter ``track`` takes.
Track = str | Iterable[str] | Callable[[Any], bool] | None

App = TypeVar("App")

_NOT_IDENTIFIED = "not tracked: the callable given as identify failed"

#: Under this key a scope or an environ carries its transfer, so that a request is tracked once.
TRACKED = "mod_progress.transfer"


class BaseMiddleware(Generic[App]):
    """The constructor of both middlewares, and their decisions about a request.

    Its parameters, beside the application:

    - ``show``: the path that answers for an id, and ``format``, what it answers where the query
      parameter ``format`` names no other: ``json``, ``jsonp``, ``legacy``, ``events``, or a
      dialect such as ``nginx.json`` or ``apache``;
    - ``track``: which requests with an id are tracked: all (None), those whose path begins with
      a prefix or one of several, or those for which a callable returns true. It is called with the
      ASGI scope or the WSGI environ;
    - ``identify``: a callable that returns the id of a request that may be tracked, such as one in
      its path; it is called with the ASGI scope or the WSGI environ. None, also where it returns
      None: the query or the header has the id. A request goes on untracked where it raises, which
      is logged once;
    - ``ttl``: seconds for which a finished transfer stays readable;
    - ``methods``: the request methods that are tracked;
    - ``debug``: whether to log why a request is tracked or not;
    - ``server_timing``: whether the responses to tracked requests say in the field Server-Timing
      how long the request's body and the app took;
    - ``store``: where other processes find the transfers: ``local`` for those of this machine,
      ``redis://…`` for those of many, ``memory`` for none. By default it is ``local``, or
      ``memory`` on a system that has no ``local``;
    - ``allow_origins``: origins whose pages may read the answers, or ``*`` for any;
    - ``dump``: a callable that says who may list all transfers, by the format ``dump``. It is
      called with the ASGI scope or the WSGI environ and returns True, or ``"ids"`` for somebody who
      may see whole ids too; anything else refuses, and so does an exception, which is logged. With
      ASGI it may be async. None: there is no such format;
    - ``health``: a path that says whether this process works: 200, or 503 with the reasons. None:
      there is no such path;
    - ``metrics``: a path for the metrics of all processes, for Prometheus. None: there is no such
      path. ``metrics_for``, which it needs, is a callable that says who may read them: it is called
      as that of ``dump`` is, and returns True;
    - ``script``: a path for the script for browsers, such as ``/progress.js``; its other modules
      are beside it. None: the middleware does not serve it;
    - ``dashboard``: a path that ends with a slash, such as ``/transfers/``, for a page of all
      transfers, to those whom ``dump`` permits it. None: there is no such page;
    - ``cancel``: a callable that says who may cancel any transfer, by a DELETE on the path
      ``show`` or in the dashboard. It is called as ``dump`` is, and permits by returning True.
      Whoever has the owner's form of an id needs no permission. None: nobody cancels anything;
    - ``on_end``: a callable that is told of each transfer that has ended: a thread calls it with a
      `finished.FinishedTransfer`. What it raises is logged once.

    Raises `options.OptionError` where a parameter is not what it takes.
    """

    def __init__(
        self,
        app: App,
        *,
        show: str = "/progress",
        format: str = "json",  # noqa: A002 - the query parameter's name too
        track: Track = None,
        identify: Callable[[Any], str | None] | None = None,
        ttl: float = 30.0,
        methods: Iterable[str] = ("POST",),
        debug: bool = False,
        server_timing: bool = False,
        store: str | Store | None = None,
        allow_origins: str | Iterable[str] = (),
        script: str | None = None,
        dump: Callable[[Any], object] | None = None,
        health: str | None = None,
        metrics: str | None = None,
        metrics_for: Callable[[Any], object] | None = None,
        dashboard: str | None = None,
        cancel: Callable[[Any], object] | None = None,
        on_end: Callable[[FinishedTransfer], object] | None = None,
    ) -> None:
        self.app = app
        self._show = _check_path("show", show)
        scripts = frozenset() if script is None else script_paths(_check_path("script", script))
        self._health = None if health is None else _check_path("health", health)
        self._metrics = None if metrics is None else _check_path("metrics", metrics)
        own = {path for path in (self._health, self._metrics) if path is not None} | scripts
        self._dashboard = _check_dashboard(dashboard, dump) - {self._show, *own}
        #: The paths that the middleware answers itself, without and with that of the show.
        self._own = own | self._dashboard
        self._ends = (self._show, *self._own)
        self._selector = _check_track(track)
        self._identify = _check_identify(identify)
        self._faults = FaultLog()
        self._permit = _check_permit("dump", dump, "list all transfers")
        self._permit_metrics = _check_permit("metrics_for", metrics_for, "read the metrics")
        _check_metrics(metrics, metrics_for)
        self._permit_cancel = _check_permit("cancel", cancel, "cancel any transfer")
        self._options = Options(
            ttl=ttl,
            methods=methods,  # type: ignore[arg-type]
            debug=debug,
            server_timing=server_timing,
        )
        opened = _open(store)
        for name, value in (("dump", dump), ("metrics", metrics)):
            if value is not None and not isinstance(opened, Listing):
                takes = f"one that lists its transfers, which {name} needs"
                raise OptionError("store", store, takes)
        self._tracker = Tracker(self._options, opened)
        self._notifier = _make_notifier(on_end)
        if self._notifier is not None:
            self._notifier.follow(self._tracker.table)
        ticker = self._make_ticker()
        self._lists = None if ticker is None else LiveLists(ticker)
        self._responder = Responder(
            self._tracker, format, allow_origins, ticker, cancel is not None
        )
        self._check_server()

    def _make_ticker(self) -> Ticker | None:
        """Return what wakes answers that wait for news; None where they would hold a thread."""
        return None

    def _check_server(self) -> None:
        """Warn where the server, as it is configured, makes progress come late."""

    def _asks(self, method: str, path: str) -> bool:
        """Whether a request is for a path that the middleware answers itself."""
        if path == self._show:
            return self._responder.takes(method)
        if method == CANCEL_METHOD:
            return self._is_for_rows(path)
        return path in self._own and method in ASKING

    def _answer_to(self, question: Question, path: str) -> Answer | Future[Answer]:
        """Answer a request that `_asks`."""
        if path == self._show:
            return self._responder.answer(question)
        if path == self._health:
            return answer_health(self._tracker)
        return serve_script(path, question.field)

    def _asks_for_dump(self, question: Question, path: str) -> bool:
        """Whether a request that `_asks` is one for all transfers, where these are shown at all."""
        if path in self._dashboard:
            return True
        return (
            self._permit is not None
            and path == self._show
            and question.method in ASKING
            and self._responder.asks_for_dump(question)
        )

    def _is_for_rows(self, path: str) -> bool:
        """Whether a path is that of a list whose rows may be cancelled, if somebody may."""
        return self._permit_cancel is not None and path in self._dashboard and is_list(path)

    def _asks_for_metrics(self, path: str) -> bool:
        """Whether a request that `_asks` is one for the metrics."""
        return path == self._metrics

    def _measure(self, question: Question, permitted: object) -> Answer | Future[Answer]:
        """Answer with the metrics, if the callable given as ``metrics_for`` permits it."""
        from mod_progress.show.metrics import answer_metrics  # which needs an extra

        return answer_metrics(question, self._tracker, permitted is True)

    def _needs_permission_to_cancel(self, question: Question, path: str) -> bool:
        """Whether a request that `_asks` is to cancel a transfer, and not from its owner."""
        return (
            self._permit_cancel is not None
            and path == self._show
            and question.method == CANCEL_METHOD
            and not is_from_owner(question)
        )

    def _cancel(self, question: Question, permitted: object) -> Answer | Future[Answer]:
        """Cancel a transfer, if the callable given as ``cancel`` permits it."""
        return self._responder.answer(question, _may_cancel(permitted))

    def _dump(
        self, question: Question, path: str, permitted: object, cancels: object
    ) -> Answer | Future[Answer]:
        """Answer with all transfers, as far as the callable given as ``dump`` permits it.

        ``cancels`` is what that given as ``cancel`` says, where `_is_for_rows`.
        """
        if permitted is True:
            permission = Permission.CUT_IDS
        elif permitted == "ids":
            permission = Permission.WHOLE_IDS
        else:
            permission = Permission.NOTHING
            if permitted not in (False, None):
                logger.warning("no dump: the callable returned a %s", type(permitted).__name__)
        if path in self._dashboard:
            return answer_dashboard(
                path, question, self._tracker, permission, self._lists, _may_cancel(cancels)
            )
        return answer_dump(question, self._tracker, permission, self._lists)

    def _considers(self, method: str) -> bool:
        """Whether a request may be tracked. With ``debug`` any may, to say why it is not."""
        return method in self._options.methods or self._options.debug

    def _selects(self, path: str, request: Any) -> bool:
        """Whether the parameter ``track`` selects a request. An exception of its is logged."""
        if self._selector is None:
            return True
        try:
            return self._selector(path, request)
        except Exception:
            logger.exception("not tracked: the callable given as track failed")
            return False

    def _name(self, query: bytes, request: Any) -> bytes | None:
        """Return the query with the id of the callable given as ``identify``; None if it fails."""
        try:
            identifier = self._identify(request) if self._identify is not None else None
            if identifier is None:
                return query
            return name_in_query(identifier.encode("utf-8", "surrogatepass"), query)
        except Exception as error:
            self._faults.report(_NOT_IDENTIFIED, error)
            if self._options.debug:
                logger.debug(_NOT_IDENTIFIED)
            return None

    def _is_new(self, request: Any) -> bool:
        """Whether no other ProgressMiddleware tracks the request already."""
        if TRACKED not in request:
            return True
        logger.warning("ProgressMiddleware is there twice: a request is tracked once")
        return False


def _may_cancel(permitted: object) -> bool:
    """Whether the callable given as ``cancel``, which returned that, permits to cancel."""
    if permitted not in (True, False, None):
        logger.warning("no cancel: the callable returned a %s", type(permitted).__name__)
    return permitted is True


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


def _check_identify(value: object) -> Callable[[Any], str | None] | None:
    if value is not None and (not callable(value) or iscoroutinefunction(value)):
        raise OptionError("identify", value, "a callable, and no async one, that returns an id")
    return cast(Callable[[Any], str | None] | None, value)


def _check_permit(name: str, value: object, what: str) -> Callable[[Any], object] | None:
    if value is not None and not callable(value):
        raise OptionError(name, value, f"a callable that says who may {what}")
    return value


def _check_metrics(path: str | None, permit: object) -> None:
    if path is None:
        return
    if permit is None:
        raise OptionError("metrics_for", None, "a callable that says who may read the metrics")
    try:
        import prometheus_client  # noqa: F401
    except ModuleNotFoundError:
        takes = "there without its extra: pip install 'mod-progress[metrics]'"
        raise MissingExtraError("metrics", path, takes) from None


def _check_dashboard(value: object, dump: object) -> frozenset[str]:
    """Return the paths of the dashboard."""
    if value is None:
        return frozenset()
    if isinstance(value, str) and value[:1] == value[-1:] == "/" and dump is not None:
        return dashboard_paths(value)
    takes = "a path such as /transfers/, beside a callable for dump"
    raise OptionError("dashboard", value, takes)


def _make_notifier(on_end: object) -> EndNotifier | None:
    if on_end is None:
        return None
    if not callable(on_end) or iscoroutinefunction(on_end):
        raise OptionError("on_end", on_end, "a callable, and no async one, that a thread can call")
    return EndNotifier(on_end)


def _open(store: object) -> Store:
    if store is None or isinstance(store, str):
        return open_store(store)
    if not all(hasattr(store, name) for name in ("publish", "lookup", "lookup_many", "close")):
        raise OptionError("store", store, "a store or the name of one, such as 'local'")
    return cast(Store, store)
