import subprocess
from collections.abc import Callable
from dataclasses import fields, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from mod_progress.config import check
from mod_progress.gateway.actions.flow import ActionList
from mod_progress.gateway.backends.actions import BufferRequestBody
from mod_progress.gateway.files.static import Static
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.site import AccessLog, Listener, Site, Tls
from mod_progress.options import Options

Load = Callable[[str], Site]

MODULES = 'module_load "mod_progress", "mod_openssl", "mod_accesslog";'
DEFAULTS = Site(action=Static())


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("", {}),
        ('listen "127.0.0.1:8080";', {"listeners": (Listener("127.0.0.1:8080"),)}),
        (
            'listen "0.0.0.0"; listen "[::]", "*:81"; listen ["unix:/x", "localhost"];',
            {
                "listeners": tuple(
                    map(Listener, ("0.0.0.0:80", "[::]:80", "*:81", "unix:/x", "localhost:80"))
                )
            },
        ),
        ('listen "systemd:web";', {"listeners": (Listener("systemd:web"),)}),
        ("workers 4;", {"workers": 4}),
        ('user "nobody"; group "0";', {"user": "nobody", "group": "0"}),
        ("workers 4; workers 2;", {"workers": 2}),
        ("progress.ttl 1 min;", {"options": Options(ttl=60)}),
        ("progress.ttl 0;", {"options": Options(ttl=0)}),
        ('progress.methods "GET";', {"options": Options(methods=frozenset({"GET"}))}),
        ("progress.debug true; progress.ttl 5;", {"options": Options(ttl=5, debug=True)}),
        ("progress.server_timing true;", {"options": Options(server_timing=True)}),
        ('progress.store "memory";', {"store": "memory"}),
        ('progress.store "local:one";', {"store": "local:one"}),
        ('progress.store "redis://127.0.0.1/1";', {"store": "redis://127.0.0.1/1"}),
        ('accesslog "/a";', {"access_log": AccessLog("/a", "combined")}),
        ('accesslog.format "json"; accesslog "/a";', {"access_log": AccessLog("/a", "json")}),
        ('accesslog "/a"; accesslog.format "json";', {"access_log": AccessLog("/a", "json")}),
        ('accesslog.format "json";', {}),
        (
            'forwarded.trust "10.0.0.0/8"; forwarded.trust "::1", "127.0.0.1";',
            {"trusted": tuple(map(ip_network, ("10.0.0.0/8", "::1/128", "127.0.0.1/32")))},
        ),
        (
            'tunnel.protocols "WebSocket", "IRC/6.9";',
            {"tunnelled": frozenset({b"websocket", b"irc/6.9"})},
        ),
        ("limits.body_size 0;", {"limits": Limits(body_size=0)}),
        (
            "limits.per_address 5; limits.response_least_rate 0; limits.body_least_rate 0;",
            {"limits": Limits(per_address=5, response_least_rate=0, body_least_rate=0)},
        ),
        ("keepalive.timeout 5;", {"limits": Limits(idle_time=5)}),
        (
            "io.timeout 9;",
            {"limits": Limits(body_idle_time=9, upstream_send_time=9, upstream_read_time=9)},
        ),
    ],
)
def test_what_setup_says(load_text: Load, text: str, changes: dict[str, Any]) -> None:
    assert load_text(f"setup {{ {MODULES} {text} }}") == replace(DEFAULTS, **changes)


def test_a_store_may_be_in_a_variable_or_in_a_file(
    load_text: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_OF_THE_TEST", "redis://:secret@127.0.0.1/0")
    (tmp_path / "store").write_text("redis://:secret@127.0.0.1/0\n")
    for store in ("env:STORE_OF_THE_TEST", f"file:{tmp_path}/store"):
        assert load_text(f'setup {{ {MODULES} progress.store "{store}"; }}').store == store


@pytest.mark.parametrize("store", ["env:NOT_SET_BY_ANYBODY", "file:/nowhere", "file:/dev/zero"])
def test_a_store_that_is_not_there_is_an_error(tmp_path: Path, store: str) -> None:
    (tmp_path / "site.conf").write_text(f'setup {{ {MODULES} progress.store "{store}"; }}')
    (error,) = check(tmp_path / "site.conf")
    assert error.place is not None
    assert error.place.text == f'"{store}"'


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_every_limit_can_be_set(load_text: Load, name: str) -> None:
    assert load_text(f"setup limits.{name} 3;").limits == Limits(**{name: 3})


def test_an_option_of_setup_is_set_before_all_actions(load_text: Load) -> None:
    site = load_text("setup io.buffer_request_body true;")
    assert site.action == ActionList((BufferRequestBody(True), Static()))


@pytest.fixture(scope="module")
def pemfiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a certificate, its key, and both in one file."""
    directory = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    names = "-subj /CN=localhost -out cert.pem -keyout key.pem".split()
    subprocess.run(command + names, check=True, capture_output=True, cwd=directory)
    cert, key = directory / "cert.pem", directory / "key.pem"
    (directory / "both.pem").write_text(cert.read_text() + key.read_text())
    return directory


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"pemfile" => "both.pem"', ("both.pem", "both.pem")),
        ('"pemfile" => "cert.pem", "privkey" => "key.pem"', ("cert.pem", "key.pem")),
        ('"pemfile" => ["key" => "key.pem", "cert" => "cert.pem"]', ("cert.pem", "key.pem")),
    ],
)
def test_tls_listeners(
    load_text: Load,
    pemfiles: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    names: tuple[str, str],
) -> None:
    monkeypatch.chdir(pemfiles)
    listen = '"listen" => "0.0.0.0:8443", "listen" => "[::]"'
    site = load_text(f"setup {{ {MODULES} openssl [{listen}, {text},]; }}")
    tls = Tls(*names)
    assert site.listeners == (Listener("0.0.0.0:8443", tls), Listener("[::]:443", tls))


def test_a_certificate_that_cannot_be_used_is_an_error(
    pemfiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pemfiles)
    path = tmp_path / "site.conf"
    path.write_text(
        'setup { module_load "mod_openssl"; openssl ["listen" => "*", "pemfile" => "key.pem"]; }'
    )
    (error,) = check(path)
    assert error.message.startswith("cannot use the certificate key.pem: ")
    assert error.place is not None
    assert error.place.text == '"key.pem"'


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mod_progres", "mod_progress"),
        ("mod_acceslog", "mod_accesslog"),
        ("progress", "mod_progress"),
        ("mod_vhost", ""),
        ("mod_status", ""),
        ("mod_", ""),
        ("", ""),
    ],
)
def test_the_beginning_that_all_modules_share_makes_none_alike(
    tmp_path: Path, name: str, hint: str
) -> None:
    path = tmp_path / "site.conf"
    path.write_text(f'setup module_load "{name}";')
    (error,) = check(path)
    assert error.message.startswith(f"there is no module '{name}'; there are mod_access, ")
    assert error.hint == hint
