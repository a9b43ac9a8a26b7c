"""The action `core.xsendfile`: a backend names a file, and the gateway sends it."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable
from dataclasses import dataclass

from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.files.static import send_file
from mod_progress.gateway.http.heads import Refusal

logger = logging.getLogger("mod_progress.gateway")


@dataclass(frozen=True, slots=True)
class XSendfile:
    """Follows the field X-Sendfile of a backend's answer, to files below ``directories`` alone."""

    directories: tuple[str, ...]

    def __call__(self, exchange: Exchange) -> None:
        """Tell whoever relays the answer."""
        exchange.sendfile = self

    def send(
        self, exchange: Exchange, path: bytes, content_type: bytes | None, lines: bytes
    ) -> Awaitable[None] | None:
        """Answer with the file; raises `Refusal` (502) for one that is elsewhere, 404 for none.

        Symbolic links are followed first: the file itself has to be below a directory.
        """
        file = os.path.realpath(os.fsdecode(path))
        if not path.startswith(b"/") or not any(map(file.startswith, self._tops())):
            logger.error("X-Sendfile: %r is in no directory of core.xsendfile", os.fsdecode(path))
            raise Refusal(502, "the upstream named a file that it may not send")
        return send_file(exchange, file, content_type, lines)

    def _tops(self) -> list[str]:
        return [os.path.realpath(each).rstrip("/") + "/" for each in self.directories]
