"""The dashboard: a folder that has a page, its modules, and the list of transfers that it asks for.

All of them need the permission for the list, so one condition before the folder guards it.
"""

from __future__ import annotations

from concurrent.futures import Future
from posixpath import basename, join
from urllib.parse import quote

from mod_progress.show.answer import Answer, refuse
from mod_progress.show.cancel import answer_cancel_of_row
from mod_progress.show.dump import DUMP, Permission, answer_dump
from mod_progress.show.formats import COMMON_FIELDS
from mod_progress.show.list_stream import LiveLists
from mod_progress.show.question import CANCEL_METHOD, Question
from mod_progress.show.web_files import serve_web_file
from mod_progress.tracker import Tracker

__all__ = ["FILES", "PAGE", "answer_dashboard", "dashboard_paths", "is_list"]

#: The page, which is the folder itself.
PAGE = "dashboard.html"

#: What it loads. Numbers are written, and rates estimated, as the bars of the script do it.
FILES = (
    "dashboard.css",
    "dashboard-cancel.js",
    "dashboard.js",
    "dashboard-chart.js",
    "dashboard-detail.js",
    "dashboard-export.js",
    "dashboard-list.js",
    "dashboard-live.js",
    "dashboard-source.js",
    "dashboard-transfers.js",
    "icon.svg",
    "progress.js",
    "theme.css",
)

#: What the page may do: load its own files, and ask its own server. No other page may frame it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_PAGE_FIELDS = (("Content-Security-Policy", _POLICY), ("Referrer-Policy", "no-referrer"))

_NOT_FOUND = refuse(404, "the dashboard has no such file")


def dashboard_paths(folder: str) -> frozenset[str]:
    """Return the paths of a dashboard whose folder is ``folder``, which ends with a slash."""
    inside = (join(folder, name) for name in (DUMP, *FILES))
    return frozenset({folder, folder.rstrip("/") or folder, *inside})


def is_list(path: str) -> bool:
    """Whether a path of a dashboard is that of the list: rows are cancelled there."""
    return basename(path) == DUMP


def answer_dashboard(
    path: str,
    question: Question,
    tracker: Tracker,
    permission: Permission,
    lists: LiveLists | None = None,
    cancels: bool = False,
) -> Answer | Future[Answer]:
    """Answer what the last segment of ``path`` names, to a GET or a HEAD, or to a DELETE of a row.

    Nothing is the page, ``dump`` the list. A name without a dot leads to a folder of that name.
    ``lists`` and ``cancels`` are those of `dump.answer_dump`.
    """
    name = basename(path)
    if permission is not Permission.NOTHING and question.method == CANCEL_METHOD:
        return answer_cancel_of_row(question, tracker, cancels)
    if name == DUMP or permission is Permission.NOTHING:
        return answer_dump(question, tracker, permission, lists, cancels)
    if name in FILES:
        return serve_web_file(name, question.field)
    if not name:
        status, fields, body = serve_web_file(PAGE, question.field)
        return Answer(status, (*fields, *_PAGE_FIELDS), body)
    if "." in name:
        return _NOT_FOUND
    # Else what the page loads would be beside the folder.
    return Answer(308, (*COMMON_FIELDS, ("Location", f"./{quote(name)}/")), b"")
