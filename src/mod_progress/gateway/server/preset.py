"""The sites that need no configuration file: what the flags of the command line mean."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import SetOptions, Show, Track
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.exchange import Action, Exchange
from mod_progress.gateway.files.static import Docroot, Index, Static
from mod_progress.gateway.files.uploads import StoreUploads

#: Where the embedded page sends its files, and asks for their progress.
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
    """Return what ``--proxy`` means: a backend's uploads below ``track`` are tracked."""
    proxied = ActionList((If(Below((track,)), Track()), Proxy(backend)))
    return If(Below((show,)), Show(), proxied)


def storing(
    directory: str,
    track: str = UPLOAD_PATH,
    show: str = SHOW_PATH,
    methods: frozenset[str] | None = frozenset({"POST", "PUT"}),
) -> Action:
    """Return what ``--store`` means: the page, and its uploads saved in ``directory``.

    The page's own paths stay, whatever others there are. ``methods`` are tracked; None leaves that
    to the site's options.
    """
    uploads = ActionList((SetOptions(methods=methods), Track(), StoreUploads(directory)))
    page = ActionList(
        (Docroot(str(files("mod_progress") / "web")), Index(("index.html",)), Static())
    )
    uploading = If(Below((track, UPLOAD_PATH)), uploads, page)
    return If(Below((show, SHOW_PATH)), Show(), uploading)
