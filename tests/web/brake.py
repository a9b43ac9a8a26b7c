"""What stands between a browser and a server, and holds large requests back for a while."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Bytes of a connection that pass at once.
FREE = 1_000_000

#: What a page asks for to release the brake. While it leaves for another page, it can tell nobody
#: else anything.
RELEASE = "/progress?X-Progress-ID=release"

#: Seconds after which it is released in any case.
PATIENCE = 60


class Brake(socketserver.ThreadingTCPServer):
    """Passes connections on to a port, and what exceeds `FREE` bytes when it is released."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.port: int = self.socket.getsockname()[1]
        self.released = threading.Event()


class _Handler(socketserver.BaseRequestHandler):
    server: Brake

    def handle(self) -> None:
        with socket.create_connection(("localhost", self.server.behind)) as server:
            threading.Thread(target=self._pass_on, args=(server,), daemon=True).start()
            with suppress(OSError):
                while data := server.recv(1 << 16):
                    self.request.sendall(data)

    def _pass_on(self, server: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := self.request.recv(1 << 16):
                passed += len(data)
                if RELEASE.encode() in data:
                    self.server.released.set()
                if passed > FREE:
                    self.server.released.wait(PATIENCE)
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)


@contextmanager
def brake_before(port: int) -> Iterator[Brake]:
    """Run a brake before the server on this port."""
    with Brake(port) as brake:
        threading.Thread(target=brake.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield brake
        finally:
            brake.released.set()
            brake.shutdown()
