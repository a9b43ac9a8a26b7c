"""The CGI variables of a request, as a FastCGI application gets them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from mod_progress import __version__
from mod_progress.gateway.actions.basic_auth import BasicAuth, parse_passwords
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.rewrite import Rewrite, RewriteRule
from mod_progress.gateway.actions.templates import Pattern
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.cgi_variables import cgi_variables
from mod_progress.gateway.backends.fastcgi import FastCgiBackend
from mod_progress.gateway.exchange import Action
from mod_progress.gateway.files.path_info import PathInfo
from mod_progress.gateway.files.static import Docroot
from mod_progress.gateway.server.site import Site
from tests.config.config_client import Client as Socketless
from tests.gateway.backend import Backend, Peer
from tests.gateway.fastcgi_records import end, stdout, take_request
from tests.gateway.running import Gateway
from tests.gateway.wire import Client

#: The user ann, whose password is "secret".
ANN = b"ann:$2b$04$h07nFFBsLL6597iZfhMzMuB/kz8Syf4McUDMAigmf39Lzh5gRUdQe\n"


class Seen:
    """A gateway whose backend keeps the variables of each request."""

    def __init__(self, start: Callable[..., Gateway], *actions: Action, **site: Any) -> None:
        self.requests: list[dict[str, str]] = []
        self.backend = Backend(self._answer)
        self.gateway = start(
            ActionList((*actions, Proxy(FastCgiBackend(self.backend.address)))), **site
        )

    def _answer(self, peer: Peer) -> None:
        self.requests.append(take_request(peer).variables)
        peer.send(stdout(b"Content-Length: 0\n\n") + end())
        peer.read_on()

    def variables(self, *lines: str) -> dict[str, str]:
        """Send a request, and return the variables that came of it."""
        with Client(self.gateway.port) as client:
            client.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
            assert client.answer().status == 200
        return self.requests[-1]


See = Callable[..., Seen]


@pytest.fixture
def see(gateway: Callable[..., Gateway]) -> Iterator[See]:
    seen: list[Seen] = []

    def start(*actions: Action, **site: Any) -> Seen:
        seen.append(Seen(gateway, *actions, **site))
        return seen[-1]

    yield start
    for each in seen:
        each.backend.close()


def test_all_of_a_plain_request(see: See) -> None:
    seen = see()
    told = seen.variables("GET /a%20b/%E9?c=%20d HTTP/1.1", "Host: Example.com:81", "Accept: x")
    assert int(told.pop("REMOTE_PORT")) > 0
    assert told == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_ACCEPT": "x",
        "HTTP_HOST": "Example.com:81",
        "PATH_INFO": "/a b/\xe9",
        "QUERY_STRING": "c=%20d",
        "REDIRECT_STATUS": "200",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "REQUEST_SCHEME": "http",
        "REQUEST_URI": "/a%20b/%E9?c=%20d",
        "SCRIPT_NAME": "",
        "SERVER_ADDR": "127.0.0.1",
        "SERVER_NAME": "Example.com",
        "SERVER_PORT": str(seen.gateway.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": f"mod_progress/{__version__}",
    }


FIELDS = [
    ("Content-Type: text/x", {"CONTENT_TYPE": "text/x"}),
    ("Content-Length: 0", {"CONTENT_LENGTH": "0"}),
    ("X-My-Field:  a b ", {"HTTP_X_MY_FIELD": "a b"}),
    ("x-1: caf\xe9", {"HTTP_X_1": "caf\xe9"}),
    ("X-Empty:", {"HTTP_X_EMPTY": ""}),
    ("A: 1\r\na: 2", {"HTTP_A": "1, 2"}),
    ("Cookie: a=1\r\nCookie: b=2", {"HTTP_COOKIE": "a=1; b=2"}),
    ("Authorization: Basic x", {"HTTP_AUTHORIZATION": "Basic x"}),
    # What is for this connection, or for the gateway alone.
    ("Connection: X-A\r\nX-A: b", {}),
    ("Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: x\r\nProxy-Connection: x", {}),
    # What could be taken for something else.
    ("Proxy: http://evil.example", {}),
    ("X_A: b", {}),
    ("Content_Type: text/x", {}),
    ("X.A: b\r\nX!A: b", {}),
    # What only a front proxy is believed in.
    ("X-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\nForwarded: for=10.0.0.1", {}),
    ("X-Forwarded-Proto: https", {}),
]


@pytest.fixture(scope="module")
def plain() -> Iterator[Seen]:
    running: list[Gateway] = []

    def start(action: Action) -> Gateway:
        running.append(Gateway(Site(action=action)))
        return running[-1]

    seen = Seen(start)
    yield seen
    running[0].stop()
    seen.backend.close()


@pytest.mark.parametrize(("lines", "expected"), FIELDS)
def test_the_fields_of_a_request(plain: Seen, lines: str, expected: dict[str, str]) -> None:
    without = plain.variables("GET / HTTP/1.1", "Host: a")
    told = plain.variables("GET / HTTP/1.1", "Host: a", lines)
    changed = {name for name in told if told[name] != without.get(name)} - {"REMOTE_PORT"}
    assert {name: told[name] for name in changed} == expected
    assert without.keys() <= told.keys()


@pytest.mark.parametrize(
    ("line", "host", "name"),
    [
        ("GET / HTTP/1.1", "Host: a:80", "a"),
        ("GET / HTTP/1.1", "Host: [::1]:80", "[::1]"),
        ("GET http://b:81/ HTTP/1.1", "Host: a", "b"),
        ("GET / HTTP/1.0", "X: y", "127.0.0.1"),
    ],
)
def test_the_name_of_the_server(plain: Seen, line: str, host: str, name: str) -> None:
    assert plain.variables(line, host)["SERVER_NAME"] == name


@pytest.mark.parametrize(
    ("scheme", "host", "name", "port"),
    [
        ("http", "a", b"a", b"80"),
        ("https", "a", b"a", b"443"),
        ("http", "a:81", b"a", b"81"),
    ],
)
def test_the_server_on_a_unix_socket(scheme: str, host: str, name: bytes, port: bytes) -> None:
    client = Socketless(peer=("", -1), local=("", -1), scheme=scheme)
    exchange = client.exchange(f"GET / HTTP/1.1\nHost: {host}")
    told = dict(cgi_variables(exchange, None, at_root=False))
    assert (told[b"SERVER_NAME"], told[b"SERVER_PORT"]) == (name, port)
    assert (told[b"SERVER_ADDR"], told[b"REMOTE_ADDR"]) == (b"", b"")
    assert b"REMOTE_PORT" not in told


def test_an_absolute_target_says_the_host(plain: Seen) -> None:
    told = plain.variables("GET http://b:81/x?y HTTP/1.1", "Host: a")
    assert (told["HTTP_HOST"], told["REQUEST_URI"], told["PATH_INFO"]) == ("b:81", "/x?y", "/x")


def test_a_program_learns_what_was_asked_for_and_what_a_rewrite_made_of_it(see: See) -> None:
    rule = RewriteRule(Pattern((b"/index.php",)), Pattern((b"q=1",)))
    told = see(Rewrite((rule,))).variables("GET /a%20b?c HTTP/1.1", "Host: a")
    assert (told["REQUEST_URI"], told["REDIRECT_URI"]) == ("/a%20b?c", "/index.php?q=1")
    assert (told["PATH_INFO"], told["QUERY_STRING"]) == ("/index.php", "q=1")


def test_what_a_trusted_front_proxy_says(see: See) -> None:
    seen = see(trusted=(ip_network("127.0.0.1"),))
    told = seen.variables(
        "GET / HTTP/1.1", "Host: a", "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Proto: https"
    )
    assert (told["REMOTE_ADDR"], told["REQUEST_SCHEME"], told["HTTPS"]) == (
        "10.0.0.1",
        "https",
        "on",
    )
    assert told["HTTP_X_FORWARDED_FOR"] == "10.0.0.1"
    assert "REMOTE_PORT" not in told


def test_the_user_of_a_password(see: See) -> None:
    seen = see(BasicAuth(parse_passwords(ANN), "a"))
    field = "Authorization: Basic " + base64.b64encode(b"ann:secret").decode()
    told = seen.variables("GET / HTTP/1.1", "Host: a", field)
    assert (told["AUTH_TYPE"], told["REMOTE_USER"]) == ("Basic", "ann")


def test_a_rewritten_path(see: See, tmp_path: Path) -> None:
    (tmp_path / "a.php").touch()
    rewrite = Rewrite((RewriteRule(Pattern((b"/a.php/c",)), Pattern((b"d=e",))),))
    seen = see(rewrite, Docroot(str(tmp_path)), PathInfo())
    told = seen.variables("GET /pretty?x HTTP/1.1", "Host: a")
    assert (told["REQUEST_URI"], told["REDIRECT_URI"]) == ("/pretty?x", "/a.php/c?d=e")
    assert (told["SCRIPT_NAME"], told["PATH_INFO"], told["QUERY_STRING"]) == ("/a.php", "/c", "d=e")


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(
    ("path", "script", "path_info"),
    [("/a.php", "/a.php", ""), ("/a.php/b%20c", "/a.php", "/b c"), ("/none.php", "/", "/none.php")],
)
def test_the_script(
    see: See, tmp_path: Path, path: str, script: str, path_info: str, end: str
) -> None:
    (tmp_path / "a.php").touch()
    seen = see(Docroot(f"{tmp_path}{end}"), PathInfo())
    told = seen.variables(f"GET {path} HTTP/1.1", "Host: a")
    assert told["DOCUMENT_ROOT"] == f"{tmp_path}{end}"
    assert told["SCRIPT_FILENAME"] == f"{tmp_path}{script}"
    assert (told["SCRIPT_NAME"], told["PATH_INFO"]) == (script, path_info)
    assert told.get("PATH_TRANSLATED", "") == (f"{tmp_path}{path_info}" if path_info else "")


def test_a_script_that_only_the_backends_machine_has(see: See) -> None:
    seen = see(Docroot("/nowhere"))
    told = seen.variables("GET /a.php HTTP/1.1", "Host: a")
    assert (told["SCRIPT_FILENAME"], told["SCRIPT_NAME"]) == ("/nowhere/a.php", "/a.php")


def test_tls(see: See, tls: Any) -> None:
    seen = see(If(lambda exchange: False, lambda exchange: None), tls=tls)
    assert seen.gateway.request("GET", "/").status == 200
    told = seen.requests[-1]
    assert (told["HTTPS"], told["REQUEST_SCHEME"]) == ("on", "https")
