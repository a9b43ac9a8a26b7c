"""Theirs and ours, started with the files of a shape.

The files are what a site would have. What differs on a test's machine (addresses, paths) is put in
the place of the text that stands there.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.doctor.running import running
from tests.gateway.peers import AROUND_APACHE, AROUND_NGINX, MODULES, reserved_port
from tests.gateway.serving import Serving

SHAPES = Path(__file__).with_name("shapes")

#: The address that each server listens on, in all files.
LISTEN = "127.0.0.1:8080"

#: The address of the gateway behind nginx.
BEHIND = "127.0.0.1:8081"


def make_site(directory: Path) -> dict[str, str]:
    """Make the files that a site has; return their paths by those that stand for them."""
    shutil.copy(SHAPES.with_name("index.php"), directory)
    (directory / "index.html").write_text("the start")
    (directory / "note.txt").write_text("a note")
    subprocess.run(
        ["htpasswd", "-cbBC4", directory / "passwords", "ann", "a password"],
        check=True,
        capture_output=True,
    )
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    names = "-subj /CN=localhost -out cert.pem -keyout key.pem".split()
    subprocess.run(command + names, check=True, capture_output=True, cwd=directory)
    return {
        "/var/www/html": str(directory),
        "/var/spool/uploads": str(directory / "spool"),
        "/etc/site/": f"{directory}/",
        "/etc/ssl/site/": f"{directory}/",
    }


def fill(file: Path, places: Mapping[str, str]) -> str:
    """Return the text of a file with this machine's addresses and paths."""
    text = file.read_text()
    for example, real in places.items():
        text = text.replace(example, real)
    return text


@contextlib.contextmanager
def nginx(file: Path, places: Mapping[str, str], directory: Path) -> Iterator[int]:
    """Start nginx with a site; yield its port."""
    own = directory / "nginx.conf"
    with reserved_port() as port:
        address = f"127.0.0.1:{port}"
        site = fill(file, places).replace("include ", "include /etc/nginx/")
        site = site.replace(LISTEN, f"{address} reuseport", 1).replace(LISTEN, address)
        own.write_text(AROUND_NGINX.format(directory=directory, site=site))
        with running(["nginx", "-c", str(own), "-p", str(directory)], port, directory):
            yield port


@contextlib.contextmanager
def apache(file: Path, places: Mapping[str, str], directory: Path) -> Iterator[int]:
    """Start Apache with a site; yield its port."""
    own = directory / "apache.conf"
    with reserved_port() as port:
        site = fill(file, places).replace(LISTEN, f"127.0.0.1:{port}")
        own.write_text(AROUND_APACHE.format(directory=directory, modules=MODULES, site=site))
        with running(["apache2", "-f", str(own), "-D", "FOREGROUND"], port, directory):
            yield port


@contextlib.contextmanager
def gateway(file: Path, places: Mapping[str, str], directory: Path) -> Iterator[int]:
    """Start ours with a site; yield its port."""
    text = fill(file, {LISTEN: "127.0.0.1:0", BEHIND: "127.0.0.1:0", **places})
    serving = Serving(directory, text)
    try:
        yield serving.port
    finally:
        serving.stop()


@contextlib.contextmanager
def web_server(
    shape: Path, prefix: str, places: Mapping[str, str], directory: Path
) -> Iterator[int | None]:
    """Start nginx or Apache, if the shape has a file for one; yield its port."""
    for start in (nginx, apache):
        file = shape / f"{prefix}{start.__name__}.conf"
        if file.exists():
            with start(file, places, directory) as port:
                yield port
            return
    yield None


@contextlib.contextmanager
def theirs(shape: Path, places: Mapping[str, str], directory: Path) -> Iterator[int]:
    """Start the server that a shape comes from; yield its port."""
    with web_server(shape, "", places, directory) as port:
        assert port is not None
        yield port


@contextlib.contextmanager
def ours(shape: Path, places: Mapping[str, str], directory: Path) -> Iterator[int]:
    """Start the gateway, and before it the server that a shape keeps; yield the port of both."""
    with gateway(shape / "site.conf", places, directory) as port:
        behind = {BEHIND: f"127.0.0.1:{port}"}
        with web_server(shape, "front-", behind, directory) as front:
            yield front or port
