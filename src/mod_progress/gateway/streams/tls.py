"""TLS between a connection and the transport of its socket."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]

from mod_progress.gateway.server.connection import Connection


class TlsProtocol(SSLProtocol):  # type: ignore[misc]
    """What encrypts a connection.

    It is what the loop's server would use by itself, but that would hide the transport that is
    written to, in which hundreds of kilobytes may wait: they are not the client's yet.
    """

    def __init__(self, connection: Connection, context: ssl.SSLContext) -> None:
        super().__init__(connection.loop, connection, context, None, server_side=True)
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._connection.carrier = cast(asyncio.Transport, transport)
        super().connection_made(transport)
