"""TLS between a stream and the transport of its socket."""

from __future__ import annotations

import asyncio
import ssl

from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]

from mod_progress.gateway.streams.stream import Stream


class TlsProtocol(SSLProtocol):  # type: ignore[misc]
    """Encrypts a stream.

    The loop's server would use `SSLProtocol` by itself. But then nobody could ask for the transport
    below, in which hundreds of kilobytes may wait that the client does not have yet.
    """

    def __init__(self, stream: Stream, context: ssl.SSLContext) -> None:
        super().__init__(stream.loop, stream, context, None, server_side=True)
        self._stream = stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._stream.carry(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the stream, also where it does not know of the connection yet."""
        super().connection_lost(error)
        if self._stream.transport is None:
            self._stream.carrier_lost()
