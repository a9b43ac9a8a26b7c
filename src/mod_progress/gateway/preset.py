"""The sites that need no configuration file: what the flags of the command line mean."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from mod_progress.gateway.actions import (
    Action,
    Docroot,
    If,
    Proxy,
    Sequence,
    SetOptions,
    Show,
    Track,
)
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.static import Index, Static
from mod_progress.gateway.uploads import StoreUploads
from mod_progress.gateway.upstream import Upstream

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


def proxying(upstream: Upstream, track: str = "/", show: str = SHOW_PATH) -> Action:
    """Return what ``--proxy`` means: a backend's uploads below ``track`` are tracked."""
    backend = Sequence((If(Below((track,)), Track()), Proxy(upstream)))
    return If(Below((show,)), Show(), backend)


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
    uploads = Sequence((SetOptions(methods=methods), Track(), StoreUploads(directory)))
    page = Sequence((Docroot(str(files("mod_progress") / "web")), Index(("index.html",)), Static()))
    uploading = If(Below((track, UPLOAD_PATH)), uploads, page)
    return If(Below((show, SHOW_PATH)), Show(), uploading)
