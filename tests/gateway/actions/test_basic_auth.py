"""`auth.basic` with files of the real htpasswd, asked by the real curl."""

from __future__ import annotations

import base64
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mod_progress.gateway.actions import basic_auth
from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.basic_auth import BasicAuth, PasswordFileError, parse_passwords
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.files.uploads import StoreUploads
from tests.gateway.origin import Origin
from tests.gateway.running import Gateway, Response, eventually
from tests.gateway.serving import Serving


def htpasswd(user: str, password: str, *flags: str) -> bytes:
    command = ["htpasswd", "-n", "-i", *(flags or ("-B", "-C", "4")), user]
    return subprocess.run(command, input=password.encode(), check=True, capture_output=True).stdout


ANN = htpasswd("ann", "p\u00e4ss:word")
BOB = htpasswd("bob", "x" * 72)


def is_show(exchange: Exchange) -> bool:
    return exchange.request.path == "/progress"


@pytest.fixture
def server(gateway: Callable[..., Gateway], tmp_path: Path) -> Gateway:
    auth = BasicAuth(parse_passwords(ANN + b"# a comment\n" + BOB), 'the "realm"')
    saved = ActionList((auth, Track(), StoreUploads(str(tmp_path / "saved"))))
    return gateway(If(is_show, Show(), saved))


def ask(server: Gateway, credentials: str | bytes | None, scheme: str = "Basic") -> Response:
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    fields = {}
    if raw is not None:
        fields["Authorization"] = f"{scheme} {base64.b64encode(raw).decode()}"
    return server.request("POST", "/?X-Progress-ID=u", b"hello", fields)


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        ("ann:p\u00e4ss:word", 201),
        ("bob:" + "x" * 72, 201),
        ("bob:" + "x" * 73, 401),
        ("bob:" + "x" * 71, 401),
        ("ann:", 401),
        ("ann", 401),
        ("ann:pass:word", 401),
        ("ann:p\u00e4ss:word\0", 401),
        ("Ann:p\u00e4ss:word", 401),
        ("bob:p\u00e4ss:word", 401),
        ("eve:" + "x" * 72, 401),
        (":", 401),
        (None, 401),
        (b"\xff:\xff", 401),
    ],
)
def test_who_may(
    server: Gateway, tmp_path: Path, credentials: str | bytes | None, status: int
) -> None:
    for _ in range(2):
        answer = ask(server, credentials)
        assert answer.status == status
    if status == 401:
        challenge = 'Basic realm="the \\"realm\\"", charset="UTF-8"'
        assert answer.headers["www-authenticate"] == challenge
        assert not (tmp_path / "saved").exists()
        assert server.show("u") == {"state": "unknown"}


def test_the_scheme_is_basic_in_any_case(server: Gateway) -> None:
    assert ask(server, "ann:p\u00e4ss:word", "bASIC").status == 201
    assert ask(server, "ann:p\u00e4ss:word", "Bearer").status == 401


@pytest.mark.parametrize(
    "field", ["Basic", "Basic ", "Basic !", "Basic YW5u=", "", "Basic YW5uOng=x"]
)
def test_what_is_no_password(server: Gateway, field: str) -> None:
    assert server.request("GET", "/", None, {"Authorization": field}).status == 401


def test_a_request_and_those_pipelined_behind_it_are_served_once(
    server: Gateway, tmp_path: Path
) -> None:
    credentials = base64.b64encode("ann:p\u00e4ss:word".encode())
    request = (
        b"PUT /%b HTTP/1.1\r\nHost: a\r\nAuthorization: Basic %b\r\nContent-Length: 5\r\n%b\r\n"
    )
    sent = b"".join(
        request % (name, credentials, end) + b"hello"
        for name, end in ((b"a", b""), (b"b", b""), (b"c", b"Connection: close\r\n"))
    )
    assert server.exchange(sent).count(b"HTTP/1.1 201") == 3
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {"a", "b", "c"}


def test_a_backend_is_asked_once_the_password_is_known(gateway: Callable[..., Gateway]) -> None:
    origin = Origin()
    try:
        auth = BasicAuth(parse_passwords(ANN), "a")
        server = gateway(ActionList((auth, Track(), Proxy(HttpBackend(origin.address)))))
        assert ask(server, "ann:no").status == 401
        assert [ask(server, "ann:p\u00e4ss:word").status for _ in range(3)] == [200] * 3
        assert origin.received == [b"hello"] * 3
    finally:
        origin.stop()


def test_others_are_served_while_a_password_is_checked(
    gateway: Callable[..., Gateway], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check waits for a file here; the worker inherits what is patched."""
    there = tmp_path / "there"

    def check(password: bytes, hashed: bytes) -> bool:
        eventually(there.exists)
        return True

    monkeypatch.setattr(basic_auth, "_check", check)
    monkeypatch.setattr(basic_auth, "_MOST_WAITING", 3)
    auth = BasicAuth(parse_passwords(ANN), "a")
    guarded = ActionList((auth, Respond(200, b"in")))
    server = gateway(If(is_show, Respond(200, b"free"), guarded))
    answers: list[int] = []
    asking = [
        threading.Thread(target=lambda n: answers.append(ask(server, f"ann:{n}").status), args=(n,))
        for n in range(6)
    ]
    for thread in asking:
        thread.start()
    eventually(lambda: answers == [503] * 3)
    assert server.request("GET", "/progress").body == b"free"
    there.touch()
    for thread in asking:
        thread.join()
    assert sorted(answers) == [200] * 3 + [503] * 3


def test_a_client_that_leaves_is_forgotten(server: Gateway) -> None:
    for _ in range(basic_auth._MOST_WAITING + 5):
        with server.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YW5uOng=\r\n\r\n")
    eventually(lambda: ask(server, "ann:p\u00e4ss:word").status == 201)


def test_what_is_verified_is_remembered_within_bounds(
    gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(basic_auth, "_REMEMBERED", 1)
    auth = BasicAuth(parse_passwords(ANN + BOB), "a")
    server = gateway(ActionList((auth, Respond(200))))
    for _ in range(3):
        assert ask(server, "ann:p\u00e4ss:word").status == 200
        assert ask(server, "bob:" + "x" * 72).status == 200


@pytest.mark.parametrize("flags", [("-m",), ("-s",), ("-d",), ("-p",)])
def test_other_hashes_are_refused_when_the_file_is_read(flags: tuple[str, ...]) -> None:
    with pytest.raises(PasswordFileError, match="line 2 is not"):
        parse_passwords(ANN.strip() + b"\n" + htpasswd("bob", "secret", *flags))


@pytest.mark.parametrize("text", [b"", b"\n# nobody\n"])
def test_a_file_without_users_is_refused(text: bytes) -> None:
    with pytest.raises(PasswordFileError, match="it names no user"):
        parse_passwords(text)


SITE = """
setup { module_load ["mod_auth", "mod_progress"]; listen "127.0.0.1:0"; }
auth.basic "passwords";
respond "in";
"""


def test_curl_logs_in_and_a_reload_reads_the_file_again(tmp_path: Path) -> None:
    def curl(user: str) -> str:
        command = ["curl", "-sS", "-m", "9", "-o", "/dev/null", "-w", "%{http_code}", "-u", user]
        done = subprocess.run([*command, serving.url], check=True, capture_output=True)
        return done.stdout.decode()

    (tmp_path / "passwords").write_bytes(ANN)
    serving = Serving(tmp_path, SITE)
    try:
        assert (curl("ann:p\u00e4ss:word"), curl("new:secret")) == ("200", "401")
        (tmp_path / "passwords").write_bytes(htpasswd("new", "secret"))
        serving.reload(SITE)
        assert (curl("ann:p\u00e4ss:word"), curl("new:secret")) == ("401", "200")
        (tmp_path / "passwords").write_text("new:secret")
        serving.signal(signal.SIGHUP)
        eventually(lambda: serving.said("line 1 is not a user and a hash by bcrypt"))
        assert curl("new:secret") == "200"
    finally:
        serving.stop()
