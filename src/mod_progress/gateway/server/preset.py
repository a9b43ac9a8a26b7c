"""The sites that need no configuration file: those of the command line's flags."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.same_origin import SameOrigin
from mod_progress.gateway.actions.tracking import SetOptions, Show, Track
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.exchange import Action, Exchange
from mod_progress.gateway.files.static import Docroot, Index, Static
from mod_progress.gateway.files.uploads import StoreUploads

#: The paths to which the built-in page sends its files, and where it asks for their progress.
UPLOAD_PATH = "/upload"
SHOW_PATH = "/progress"


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
    return If(Below((show,)), Show(), proxied)


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
    uploads = ActionList((SetOptions(methods=methods), Track(), StoreUploads(directory)))
    page = ActionList(
        (Docroot(str(files("mod_progress") / "web")), Index(("index.html",)), Static())
    )
    uploading = If(Below((track, UPLOAD_PATH)), uploads, page)
    site = If(Below((show, SHOW_PATH)), Show(), uploading)
    return ActionList((SameOrigin(), site))
