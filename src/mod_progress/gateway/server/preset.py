"""The sites that need no configuration file: those of the command line's flags."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.cancel import Cancel
from mod_progress.gateway.actions.flow import ActionList, Choose, If
from mod_progress.gateway.actions.same_origin import SameOrigin
from mod_progress.gateway.actions.tracking import SetOptions, Show, Track
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.exchange import Action, Exchange
from mod_progress.gateway.files.static import Docroot, Index, Static
from mod_progress.gateway.files.upload_directories import UploadDirectories
from mod_progress.gateway.files.uploads import StoreUploads

#: The paths to which the built-in page sends its files, and where it asks for their progress.
UPLOAD_PATH = "/upload"
SHOW_PATH = "/progress"

#: The page of the dashboard, which is beside the page to upload but needs an action of its own.
DASHBOARD_PATH = "/dashboard.html"

#: What answers for an id: to its owner also by ending the transfer, as the page's Cancel asks.
_SHOWING = ActionList((Cancel(), Show()))

#: The path below which what was uploaded is served.
SAVED_PATH = "/uploads"


@dataclass(frozen=True, slots=True)
class Below:
    """Whether a request's path is one of some, or below it."""

    paths: tuple[str, ...]

    def __call__(self, exchange: Exchange) -> bool:
        """Compare whole segments."""
        path = exchange.request.path
        return any(path == each or path.startswith(each.rstrip("/") + "/") for each in self.paths)


def proxying(backend: HttpBackend, track: str = "/", show: str = SHOW_PATH) -> Action:
    """Return the site of ``--proxy``: a backend, whose requests below ``track`` are tracked."""
    proxied = ActionList((If(Below((track,)), Track()), Proxy(backend)))
    return If(Below((show,)), _SHOWING, proxied)


def storing(
    directory: str,
    track: str = UPLOAD_PATH,
    show: str = SHOW_PATH,
    methods: frozenset[str] | None = frozenset({"POST", "PUT"}),
) -> Action:
    """Return the site of ``--store``: the page, whose uploads are saved in ``directory``.

    The paths that the page uses work beside ``track`` and ``show``. ``methods`` are tracked; with
    None, the methods of the site's options are.
    """

    def uploads(path: str) -> Action:
        store = StoreUploads(directory, below=path, served=SAVED_PATH)
        return ActionList((SetOptions(methods=methods), Track(), store))

    by_strangers = UploadDirectories()
    by_strangers.add(directory)
    saved = ActionList((Docroot(directory, SAVED_PATH), Static(by_strangers)))
    page = ActionList(
        (Docroot(str(files("mod_progress") / "web")), Index(("index.html",)), Static())
    )
    site = Choose(
        (
            (Below((show, SHOW_PATH)), _SHOWING),
            (Below((UPLOAD_PATH,)), uploads(UPLOAD_PATH)),
            (Below((SAVED_PATH,)), saved),
            (Below((track,)), uploads(track)),
            (Below((DASHBOARD_PATH,)), Respond(404)),
        ),
        page,
    )
    return ActionList((SameOrigin(), site))
