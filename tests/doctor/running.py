"""Real apps, and a real proxy in front of them, for the doctor to look at."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
DEADLINE = 60

NGINX = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    {http}
    access_log off;
    client_max_body_size 1g;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    proxy_cache_path {directory}/cache keys_zone=answers:1m;
    proxy_http_version 1.1;
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""
LOCATION = "location {prefix} {{ {settings} proxy_pass http://127.0.0.1:{app_port}/; }}"
PASSING = "proxy_request_buffering off;"


@contextlib.contextmanager
def running(command: list[str], port: int, directory: Path) -> Iterator[None]:
    """Start a program, and yield when something listens at the port."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(directory)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + DEADLINE
            while True:
                assert process.poll() is None
                assert time.monotonic() < deadline
                with contextlib.suppress(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


@contextlib.contextmanager
def app(name: str, directory: Path, workers: int = 1) -> Iterator[int]:
    """Serve an app of `tests.doctor.apps`; yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "warning"]
    module = f"{__package__}.apps:{name}"
    with running([*command, "--workers", str(workers), module], port, directory):
        yield port


@contextlib.contextmanager
def gateway(app_port: int, directory: Path) -> Iterator[int]:
    """Put the gateway in front of an app; yield its port."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("mod-progress")), "serve"]
    flags = ["--listen", f"127.0.0.1:{port}", "--proxy", f"127.0.0.1:{app_port}"]
    with running([*command, *flags], port, directory):
        yield port


@contextlib.contextmanager
def scarce_threads(directory: Path) -> Iterator[int]:
    """Serve a WSGI app of `tests.doctor.apps` with a few threads; yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "4"]
    with running([*command, f"{__package__}.apps:scarce_threads"], port, directory):
        yield port


def nginx(settings: str, app_port: int, directory: Path) -> contextlib.AbstractContextManager[int]:
    """Put a proxy in front of an app; yield its port."""
    return nginx_with({"/": settings}, app_port, directory)


@contextlib.contextmanager
def nginx_with(settings: dict[str, str], app_port: int, directory: Path) -> Iterator[int]:
    """Put a proxy in front of an app, with other settings for each path; yield its port."""
    locations = "\n".join(
        LOCATION.format(prefix=prefix, settings=each, app_port=app_port)
        for prefix, each in settings.items()
    )
    with nginx_of(locations, directory) as port:
        yield port


@contextlib.contextmanager
def nginx_of(locations: str, directory: Path, http: str = "") -> Iterator[int]:
    """Start nginx with these locations, and settings that are in force for all; yield its port."""
    port = free_port()
    file = directory / "nginx.conf"
    file.write_text(NGINX.format(directory=directory, port=port, locations=locations, http=http))
    with running(["nginx", "-c", str(file), "-p", str(directory)], port, directory):
        yield port


@contextlib.contextmanager
def odd_server(show: bytes, status: int = 200, reason: str = "OK") -> Iterator[int]:
    """Serve an answer to every show, and a status line to every upload; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.end_headers()
            self.wfile.write(show)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response_only(status, reason)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
