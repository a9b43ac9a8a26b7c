"""The action `pathinfo`: a path may go on behind the file that it leads to."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mod_progress.gateway.exchange import Exchange


@dataclass(frozen=True, slots=True)
class PathInfo:
    """Splits the physical path into the longest part that exists, and the rest.

    It splits at slashes alone, and never above the docroot. The rest is what a program gets as
    PATH_INFO (RFC 3875, section 4.1.5). That is how lighttpd 2 documents it.
    """

    def __call__(self, exchange: Exchange) -> None:
        """Change the physical path; a directory ends with a slash where a rest is split off."""
        path, docroot = exchange.physical_path, exchange.docroot
        if exchange.handler is not None or path is None or docroot is None:
            return
        top = len(docroot.rstrip("/"))
        end = len(path)
        while end > top and not os.path.exists(path[:end]):  # noqa: PTH110
            end = path.rindex("/", 0, end)
        if end == len(path):
            return
        exchange.path_info = path[end:]
        exchange.physical_path = path[:end]
        if os.path.isdir(path[:end]):  # noqa: PTH112
            exchange.physical_path += "/"
