from __future__ import annotations

import errno
import os
import socket
import ssl
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from mod_progress.gateway.server.listening import BACKLOG, ListenError, bind, tls_context, url_of
from mod_progress.gateway.server.site import Listener, Tls
from tests.gateway.running import PATIENCE
from tests.gateway.server.sites import site
from tests.gateway.serving import Serve


@pytest.mark.parametrize(
    ("address", "host", "url"),
    [
        ("127.0.0.1:0", "127.0.0.1", "http://127.0.0.1:{}/"),
        ("*:0", "127.0.0.1", "http://0.0.0.0:{}/"),
        (":0", "127.0.0.1", "http://0.0.0.0:{}/"),
        ("[::1]:0", "::1", "http://[::1]:{}/"),
        ("[::]:0", "::1", "http://[::]:{}/"),
    ],
)
def test_a_port(address: str, host: str, url: str) -> None:
    (listening,) = bind(address)
    with listening:
        port = listening.getsockname()[1]
        socket.create_connection((host, port), PATIENCE).close()
        assert url_of(Listener(address), listening) == url.format(port)
        assert url_of(Listener(address, Tls("", "")), listening) == "https" + url[4:].format(port)


def test_the_families_have_listeners_of_their_own() -> None:
    with ExitStack() as stack:
        (ipv6,) = (stack.enter_context(each) for each in bind("[::]:0"))
        for each in bind(f"*:{ipv6.getsockname()[1]}"):
            stack.enter_context(each)


def resolving(*hosts: str) -> list[tuple[object, ...]]:
    """Return what `socket.getaddrinfo` says of a name with these addresses, port 0."""
    numeric = socket.AI_NUMERICHOST
    return [
        socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=numeric)[0] for host in hosts
    ]


@pytest.mark.parametrize(
    ("found", "bound"),
    [
        (["::1", "127.0.0.1"], ["::1", "127.0.0.1"]),
        (["127.0.0.1", "127.0.0.1", "::1"], ["127.0.0.1", "::1"]),
        # 2001:db8::1 is for documentation (RFC 3849): no machine has it, as none has IPv6 where
        # that is switched off.
        (["2001:db8::1", "127.0.0.1"], ["127.0.0.1"]),
    ],
)
def test_all_addresses_of_a_name_that_are_here_have_one_port(
    monkeypatch: pytest.MonkeyPatch, found: list[str], bound: list[str]
) -> None:
    known = resolving(*found)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: known)
    with ExitStack() as stack:
        names = [stack.enter_context(each).getsockname() for each in bind("example:0")]
    assert [name[0] for name in names] == bound
    assert len({name[1] for name in names}) == 1


def test_a_port_that_is_free_for_one_address_only_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whatever port is chosen for the first address, the second one contains it.
    known = resolving("127.0.0.1", "0.0.0.0")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: known)
    with pytest.raises(ListenError, match="Address already in use"):
        bind("example:0")


def test_a_name_without_an_address_of_this_machine_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = resolving("2001:db8::1", "192.0.2.1")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: known)
    with pytest.raises(ListenError, match="example:0: Cannot assign requested"):
        bind("example:0")


def test_localhost_is_both_families(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    own_hosts = 'mount --bind "$0" /etc/hosts && exec "$@"'
    serving = serve(
        site().replace("127.0.0.1:0", "localhost:0"),
        prefix=("unshare", "--mount", "sh", "-c", own_hosts, str(tmp_path / "hosts")),
    )
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, serving.port), PATIENCE) as client:
            client.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "'nonsense' is neither host:port nor unix:/path"),
        ("127.0.0..1:80", "'127.0.0..1' is not the name or the address of a host"),
        ("unix:a\0b", "is not the path of a socket"),
        ("unix:/nowhere/socket", "No such file or directory"),
        ("192.0.2.1:80", "Cannot assign requested address"),
        ("nowhere.invalid:80", ""),
    ],
)
def test_an_address_that_cannot_be_listened_on(address: str, reason: str) -> None:
    with pytest.raises(ListenError) as raised:
        bind(address)
    assert str(raised.value).startswith(f"cannot listen on {address}: ")
    assert reason in str(raised.value)


def test_a_port_that_is_taken() -> None:
    (taken,) = bind("127.0.0.1:0")
    with taken, pytest.raises(ListenError, match="Address already in use"):
        bind(f"127.0.0.1:{taken.getsockname()[1]}")


def test_as_many_connections_as_the_system_permits_can_wait() -> None:
    (listening,) = bind("127.0.0.1:0")
    most = min(BACKLOG, int(Path("/proc/sys/net/core/somaxconn").read_text()))
    with listening:
        port = f"sport = :{listening.getsockname()[1]}"
        seen = subprocess.run(["ss", "-Hltn", port], capture_output=True, text=True, check=True)
    assert int(seen.stdout.split()[2]) == most


class TestUnixSockets:
    def test_one_that_nobody_listens_on_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "socket"
        for _ in range(2):
            (listening,) = bind(f"unix:{path}")
            assert url_of(Listener(f"unix:{path}"), listening) == f"unix:{path}"
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
            listening.close()

    @pytest.mark.parametrize("waiting", [0, 1])
    def test_one_that_somebody_listens_on_stays(self, tmp_path: Path, waiting: int) -> None:
        path = tmp_path / "socket"
        with ExitStack() as stack:
            other = stack.enter_context(socket.socket(socket.AF_UNIX))
            other.bind(str(path))
            other.listen(0)
            for _ in range(waiting):  # a queue that is full
                stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
            with pytest.raises(ListenError, match="Address already in use"):
                bind(f"unix:{path}")

    def test_what_is_no_stream_socket_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "socket"
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as other:
            other.bind(str(path))
            with pytest.raises(ListenError, match=os.strerror(errno.EADDRINUSE)):
                bind(f"unix:{path}")
        path.unlink()
        path.write_text("a file")
        with pytest.raises(ListenError, match=os.strerror(errno.EADDRINUSE)):
            bind(f"unix:{path}")
        assert path.read_text() == "a file"


class TestCertificates:
    def test_it_is_for_tls_1_2_and_up(self, certificate: tuple[Path, Path]) -> None:
        context = tls_context(Tls(*map(str, certificate)))
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("/nowhere/site.pem", "No such file or directory"),
            ("/dev/zero", "/dev/zero is not a regular file"),
            ("a\0b", "embedded null byte"),
            ("/dev/null", "/dev/null is not a regular file"),
        ],
    )
    def test_a_file_that_cannot_be_used(
        self, certificate: tuple[Path, Path], path: str, reason: str
    ) -> None:
        for tls in (Tls(path, str(certificate[1])), Tls(str(certificate[0]), path)):
            with pytest.raises(ListenError, match="cannot use the certificate") as raised:
                tls_context(tls)
            assert reason in str(raised.value)

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ListenError, match="is not a regular file"):
            tls_context(Tls(str(tmp_path / "pipe"), str(tmp_path / "pipe")))

    def test_a_passphrase_is_not_asked_for(self, tmp_path: Path) -> None:
        command = "openssl req -x509 -newkey rsa:2048 -passout pass:secret -days 2 -subj /CN=x"
        where = ["-out", "site.pem", "-keyout", "site.key"]
        subprocess.run([*command.split(), *where], cwd=tmp_path, check=True, capture_output=True)
        with pytest.raises(ListenError, match="the key needs a passphrase"):
            tls_context(Tls(str(tmp_path / "site.pem"), str(tmp_path / "site.key")))
