"""The backends of the shapes: the app by HTTP, by uWSGI, and in PHP."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tests.gateway.php import PhpFpm
from tests.gateway.running import eventually
from tests.moving import app

#: Seconds in which uWSGI has loaded the app, on a busy machine too.
START = 60.0


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def http() -> Iterator[str]:
    """Serve the app by HTTP; yield its address."""
    with make_server("127.0.0.1", 0, app.application, _Server, _Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def uwsgi(directory: Path) -> Iterator[str]:
    """Serve the app by uWSGI; yield its address."""
    path, log = directory / "uwsgi.sock", directory / "uwsgi.log"
    command = [str(Path(sys.executable).with_name("uwsgi")), "--master", "--die-on-term"]
    command += ["--socket", str(path), "--wsgi-file", app.__file__, "--need-app"]
    command += ["--disable-logging", "--virtualenv", sys.prefix]
    with log.open("wb") as output, subprocess.Popen(command, stderr=output) as process:
        try:
            eventually(lambda: b"spawned uWSGI worker 1" in log.read_bytes(), START)
            yield f"unix:{path}"
        finally:
            process.terminate()


@contextlib.contextmanager
def php(directory: Path) -> Iterator[str]:
    """Start php-fpm; yield its address."""
    server = PhpFpm(directory)
    try:
        yield server.address
    finally:
        server.stop()
