"""The site that the tests of operations serve, and an upload through it."""

from __future__ import annotations

from tests.gateway.backend import Backend
from tests.gateway.origin import Origin
from tests.gateway.running import eventually
from tests.gateway.serving import Serving

SITE = """
setup {
    module_load ["mod_progress", "mod_proxy"];
    listen "127.0.0.1:0";
    workers WORKERS;
    limits.drain_time 10;
}
if req.path == "/progress" { progress.show; }
else if req.path == "/hello" { respond 200 => "SAYS"; }
else { progress.track; proxy "ORIGIN"; }
"""

#: For tests that need no backend.
NOBODY = "127.0.0.1:9"


def site(origin: Origin | Backend | None = None, says: str = "one", workers: int = 2) -> str:
    text = SITE.replace("ORIGIN", origin.address if origin else NOBODY).replace("SAYS", says)
    return text.replace("WORKERS", str(workers))


class Upload:
    """An upload in flight, of which half is sent."""

    def __init__(self, serving: Serving, identifier: str, size: int = 2_000_000) -> None:
        self._half = b"x" * (size // 2)
        self.client = serving.connect()
        head = f"POST /?X-Progress-ID={identifier} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}"
        self.client.sendall(head.encode() + b"\r\n\r\n" + self._half)
        eventually(lambda: serving.show(identifier).get("received") == size // 2)

    def finish(self) -> bytes:
        """Send the rest, and return what is answered."""
        self.client.sendall(self._half)
        answer = b""
        while piece := self.client.recv(65536):
            answer += piece
        self.client.close()
        return answer
