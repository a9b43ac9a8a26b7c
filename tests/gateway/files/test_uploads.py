from __future__ import annotations

import errno
import os
import random
import resource
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.files.static import Docroot, Static
from mod_progress.gateway.files.upload_limits import DEFAULT_LIMITS, UploadLimits
from mod_progress.gateway.files.uploads import MOST_FOLDERS, StoreUploads
from mod_progress.gateway.limits import Limits
from mod_progress.options import Options
from tests.gateway.files.fuse import file_system
from tests.gateway.running import Gateway, Response, eventually

SMALL = b"hello\r\n--x--\r\n"
LARGE = random.Random(2).randbytes(2 * 1024 * 1024 + 5)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


def storing(directory: Path) -> If:
    store = StoreUploads(str(directory))
    served = ActionList((Track(), store, Docroot(str(directory)), Static()))
    return If(lambda exchange: exchange.request.path == "/progress", Show(), served)


TRACKED = Options(methods=frozenset({"POST", "PUT"}))


@pytest.fixture
def server(
    gateway: Callable[..., Gateway], directory: Path, either: ssl.SSLContext | None
) -> Gateway:
    return gateway(storing(directory), tls=either, options=TRACKED)


@pytest.fixture
def plain(gateway: Callable[..., Gateway], directory: Path) -> Gateway:
    return gateway(storing(directory), options=TRACKED)


def stored(directory: Path) -> dict[str, bytes]:
    """Return what is in a directory, hidden files too."""
    return (
        {path.name: path.read_bytes() for path in directory.iterdir()} if directory.exists() else {}
    )


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut a body, for it to go out chunked."""
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


def part(disposition: str, content: bytes, *more: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"Content-Disposition: {disposition}", *more, ""))
    return b"--limit\r\n" + head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--limit--\r\n"


def post(server: Gateway, body: bytes, **headers: str) -> Response:
    kind = {"Content-Type": "multipart/form-data; boundary=limit"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.request("POST", "/up", body, kind | named)


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_a_raw_body_is_saved(
    server: Gateway, directory: Path, content: bytes, chunked: bool
) -> None:
    body = pieces(content) if chunked else content
    answer = server.request("PUT", "/to/file%20name.bin?X-Progress-ID=u", body)
    assert answer.status == 201
    assert answer.headers["location"] == "/to/file%20name.bin"
    assert answer.json() == {"files": [{"name": "file name.bin", "size": len(content)}]}
    assert stored(directory) == {"file name.bin": content}
    eventually(lambda: server.show("u")["state"] == "done")
    shown = server.show("u")
    assert shown["received"] == shown["request_size"] == len(content)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_form_saves_every_file(server: Gateway, directory: Path, content: bytes) -> None:
    body = form(
        part('form-data; name="note"', b"not a file"),
        part('form-data; name="a"; filename="a.txt"', content, "Content-Type: text/plain"),
        part('form-data; name="none"; filename=""', b"", "Content-Type: application/octet-stream"),
        part('form-data; name="b"; filename="../a.txt"', b"two"),
        part('form-data; name="c"; filename=""', b"nameless"),
    )
    answer = post(server, body)
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "files": [
            {"name": "a.txt", "size": len(content)},
            {"name": "a (2).txt", "size": 3},
            {"name": "upload", "size": 8},
        ]
    }
    assert stored(directory) == {"a.txt": content, "a (2).txt": b"two", "upload": b"nameless"}


def test_curl_uploads(plain: Gateway, directory: Path, tmp_path: Path) -> None:
    """As people do it; curl asks for a 100 where the body is large."""
    source = tmp_path / "na\u00efve \u2603.bin"
    source.write_bytes(LARGE)
    url = f"http://127.0.0.1:{plain.port}/up/"
    for how in (["-F", f"file=@{source}"], ["-T", str(source)], ["--data-binary", f"@{source}"]):
        command = ["curl", "-sSf", "--expect100-timeout", "20", *how, url]
        subprocess.run(command, check=True, capture_output=True, timeout=10)
    names = {source.name, "na\u00efve \u2603 (2).bin", "upload"}
    assert stored(directory) == dict.fromkeys(names, LARGE)


@pytest.mark.parametrize(
    ("method", "path", "disposition", "name"),
    [
        ("POST", "/up/ignored", None, "upload"),
        ("POST", "/up", "attachment; filename=../b.txt", "b.txt"),
        ("PUT", "/up/", None, "upload"),
        ("PUT", "/..%2f..%2fetc%2f.passwd", "attachment; filename=c", "passwd"),
        ("PUT", "/a%5cb%0ac", None, "bc"),
        ("PUT", "/%FF.txt", None, "txt"),
    ],
)
def test_a_raw_body_gets_a_safe_name(
    plain: Gateway, directory: Path, method: str, path: str, disposition: str | None, name: str
) -> None:
    headers = {"Content-Disposition": disposition} if disposition else {}
    assert plain.request(method, path, SMALL, headers).status == 201
    assert stored(directory) == {name: SMALL}


@pytest.fixture
def keeping(gateway: Callable[..., Gateway], directory: Path) -> Gateway:
    """Start a gateway that keeps the folders below /up."""
    return gateway(StoreUploads(str(directory), below="/up", served="/files"))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/up/a", "a"),
        ("/up/x/a", "x/a"),
        ("/up/x//y/a", "x/y/a"),
        ("/up/x/../a", "a"),
        ("/up/%2e%2e/%2e%2e/a", "a"),
        ("/up/.hidden/con/a", "hidden/_con/a"),
        ("/up/x%5cy/a", "y/a"),
        ("/up/x/", "x/upload"),
        ("/other/x/a", "other/x/a"),
    ],
)
def test_folders_are_kept_under_safe_names(
    keeping: Gateway, directory: Path, target: str, name: str
) -> None:
    answer = keeping.request("PUT", target, SMALL)
    assert answer.status == 201
    assert answer.json()["files"] == [{"name": name, "size": len(SMALL)}]
    assert answer.headers["location"] == f"/files/{name}"
    assert (directory / name).read_bytes() == SMALL


def test_a_file_is_no_folder(keeping: Gateway, directory: Path) -> None:
    assert keeping.request("PUT", "/up/x", SMALL).status == 201
    for target in ("/up/x/a", "/up/x/y/a"):
        answer = keeping.request("PUT", target, SMALL)
        assert answer.status == 409
        assert "there is a file where the folder x" in answer.json()["error"]
    assert stored(directory) == {"x": SMALL}


def test_folders_go_only_so_deep(keeping: Gateway) -> None:
    assert keeping.request("PUT", "/up" + "/x" * MOST_FOLDERS + "/a", SMALL).status == 201
    assert keeping.request("PUT", "/up" + "/x" * (MOST_FOLDERS + 1) + "/a", SMALL).status == 400


def test_many_at_once_with_one_name_are_all_kept(plain: Gateway, directory: Path) -> None:
    contents = [b"%d" % number for number in range(20)]
    with ThreadPoolExecutor(8) as clients:
        answers = clients.map(lambda content: plain.request("PUT", "/a.txt", content), contents)
        assert {answer.status for answer in answers} == {201}
    assert sorted(stored(directory).values()) == sorted(contents)


def test_what_was_saved_can_be_had(plain: Gateway) -> None:
    plain.request("PUT", "/a.txt", b"old")
    answer = plain.request("PUT", "/a.txt", b"new")
    assert answer.headers["location"] == "/a%20%282%29.txt"
    assert plain.request("GET", answer.headers["location"]).body == b"new"


def test_another_method_is_refused_where_nothing_else_serves_it(
    gateway: Callable[..., Gateway], directory: Path
) -> None:
    server = gateway(StoreUploads(str(directory)))
    answer = server.request("GET", "/up")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, PUT")
    assert answer.body == b"405 Method Not Allowed: this address takes POST, PUT\n"


def test_a_form_may_come_byte_by_byte(plain: Gateway, directory: Path) -> None:
    body = form(part('form-data; name="a"; filename="a.txt"', SMALL), part("form-data", b"x"))
    head = (
        b"POST /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        b"Content-Type: multipart/form-data; boundary=limit\r\nContent-Length: %d\r\n\r\n"
        % len(body)
    )
    with plain.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head + body:
            client.send(bytes([byte]))
        assert client.recv(12) == b"HTTP/1.1 201"
    assert stored(directory) == {"a.txt": SMALL}


GOOD = part('form-data; name="a"; filename="a.txt"', b"content")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (form(GOOD), "multipart/form-data", 400),
        (form(GOOD), "multipart/form-data; boundary=", 400),
        (form(GOOD), "multipart/form-data; boundary=other", 400),
        (form(GOOD), "multipart/form-data; boundary=" + "b" * 300, 400),
        (b"", "multipart/form-data; boundary=limit", 400),
        (GOOD, "multipart/form-data; boundary=limit", 400),
        (form(GOOD)[:-6], "multipart/form-data; boundary=limit", 400),
        (form(), "multipart/form-data; boundary=limit", 400),
        (form(part('form-data; name="a"', b"x")), "multipart/form-data; boundary=limit", 400),
        (b"--limit\r\nno header\r\n\r\n", "multipart/form-data; boundary=limit", 400),
        (form(GOOD, b"--limit\r\n" + b"A: b\r\n" * 99), "multipart/form-data; boundary=limit", 400),
        (form(part("a" * 9000, b"")), "multipart/form-data; boundary=limit", 400),
        (
            form(*[GOOD] * (DEFAULT_LIMITS.form_files + 1)),
            "multipart/form-data; boundary=limit",
            413,
        ),
        (
            form(GOOD, *[part("form-data", b"")] * DEFAULT_LIMITS.form_parts),
            "multipart/form-data; boundary=limit",
            413,
        ),
    ],
)
def test_a_bad_form_saves_nothing(
    plain: Gateway, directory: Path, body: bytes, kind: str, status: int
) -> None:
    answer = plain.request("POST", "/up", body, {"Content-Type": kind})
    assert answer.status == status
    assert answer.json()["error"].count("form") >= 1
    assert stored(directory) == {}


def test_as_many_files_and_parts_as_there_may_be(plain: Gateway, directory: Path) -> None:
    files, parts = DEFAULT_LIMITS.form_files, DEFAULT_LIMITS.form_parts
    body = form(*[GOOD] * files, *[part("form-data", b"")] * (parts - files))
    assert len(post(plain, body).json()["files"]) == files
    assert len(stored(directory)) == files


def test_the_most_files_of_a_form_are_an_option_and_told(
    gateway: Callable[..., Gateway], directory: Path
) -> None:
    server = gateway(StoreUploads(str(directory), UploadLimits(form_files=2)))
    answer = post(server, form(*[GOOD] * 3))
    words = "the form has more than 2 files, the most that this server takes in one form"
    assert (answer.status, answer.json()) == (413, {"error": words})
    assert post(server, form(*[GOOD] * 2)).status == 201


def test_a_refusal_is_told_to_a_person_in_text(plain: Gateway) -> None:
    answer = post(plain, form(), Accept="text/html")
    assert (answer.status, answer.body) == (400, b"400 Bad Request: the form has no file\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("sized", [True, False])
def test_a_body_above_the_limit_is_refused_in_words(
    gateway: Callable[..., Gateway], directory: Path, sized: bool
) -> None:
    limits = Limits(body_size=1000, drain_time=1.0)
    server = gateway(storing(directory), limits=limits)
    body = bytes(1001)
    answer = server.request("PUT", "/a", body if sized else iter([body]))
    assert answer.status == 413
    assert b"the body is too large" in answer.body
    assert stored(directory) == {}


def test_a_part_of_a_file_is_not_taken_for_the_whole(plain: Gateway, directory: Path) -> None:
    headers = {"Content-Range": "bytes 5-9/10"}
    assert plain.request("PUT", "/a", b"12345", headers).status == 400
    assert stored(directory) == {}


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({"Accept": "text/html,*/*;q=0.8"}, True),
        ({"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}, True),
        ({"Accept": "text/html", "Sec-Fetch-Mode": "cors"}, False),
        ({"Accept": "*/*"}, False),
        ({}, False),
    ],
)
def test_a_person_gets_a_page(plain: Gateway, headers: dict[str, str], page: bool) -> None:
    body = form(part('form-data; name="a"; filename="<i>.txt"', b"content"))
    referer = 'http://a/form?"><script>'
    answer = post(plain, body, Referer=referer, **headers)
    assert answer.status == 201
    if not page:
        assert answer.json()["files"][0]["name"] == "<i>.txt"
        return
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<li>&lt;i&gt;.txt: 7 bytes</li>" in answer.body
    assert b'<a href="http://a/form?&quot;&gt;&lt;script&gt;">' in answer.body


def test_a_page_leads_back_only_into_the_web(plain: Gateway) -> None:
    answer = post(plain, form(GOOD), Accept="text/html", Referer="javascript:alert(1)")
    assert b"javascript" not in answer.body


HEAD = b"PUT /a.txt?X-Progress-ID=u HTTP/1.1\r\nHost: a\r\n%b\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("size", [5, 200_000])
def test_a_client_that_waits_is_asked_for_the_body(
    server: Gateway, directory: Path, size: int
) -> None:
    with server.connect() as client:
        client.sendall(HEAD % b"Expect: 100-continue\r\nContent-Length: %d\r\n" % size)
        assert client.recv(100) == CONTINUE
        client.sendall(bytes(size))
        assert client.recv(12) == b"HTTP/1.1 201"
    assert stored(directory) == {"a.txt": bytes(size)}


def test_a_client_that_does_not_wait_is_not_asked(plain: Gateway) -> None:
    head = HEAD % b"Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n"
    assert plain.exchange(head + b"hello").startswith(b"HTTP/1.1 201")


def test_a_client_that_is_refused_is_not_asked(plain: Gateway) -> None:
    waiting = b"Expect: 100-continue\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/9\r\n"
    assert plain.exchange(HEAD % waiting).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "sent",
    [
        HEAD % b"Content-Length: 900000\r\n" + LARGE[:9000],
        HEAD % b"Content-Length: 9000\r\n" + LARGE[:900],
        HEAD % b"Transfer-Encoding: chunked\r\n" + b"9\r\nab",
        HEAD.replace(b"PUT", b"POST")
        % b"Content-Length: 9000\r\nContent-Type: multipart/form-data; boundary=limit\r\n"
        + GOOD
        + GOOD[:-3],
    ],
    ids=["spliced", "copied", "chunked", "form"],
)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_an_upload_that_is_cut_leaves_nothing(
    server: Gateway, directory: Path, sent: bytes, reset: bool
) -> None:
    with server.connect() as client:
        client.sendall(sent)
        eventually(lambda: server.show("u").get("received"))
        eventually(lambda: any(str(directory) in name for name in server.descriptors))
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    eventually(lambda: server.show("u") == {"state": "error", "status": 0})
    eventually(lambda: not any(str(directory) in name for name in server.descriptors))
    assert stored(directory) == {}


def test_an_upload_counts_what_came(plain: Gateway) -> None:
    with plain.connect() as client:
        client.sendall(HEAD % b"Content-Length: 1000000\r\n" + LARGE[:300_000])
        eventually(lambda: plain.show("u")["received"] == 300_000)
        assert plain.show("u")["state"] == "running"
        client.sendall(LARGE[300_000:1_000_000])
        assert client.recv(12) == b"HTTP/1.1 201"


@pytest.mark.parametrize("length", [10, 500_000])
def test_a_client_that_stops_sending_gets_408(
    gateway: Callable[..., Gateway], directory: Path, length: int
) -> None:
    limits = Limits(body_idle_time=0.5, drain_time=1.0)
    server = gateway(storing(directory), limits=limits, options=TRACKED)
    answer = server.exchange(HEAD % b"Content-Length: %d\r\n" % length + b"abc")
    assert answer.startswith(b"HTTP/1.1 408")
    assert answer.endswith(b"408 Request Timeout: the client was too slow\n")
    assert stored(directory) == {}


@pytest.mark.parametrize("how", ["spliced", "chunked", "form"])
def test_a_full_disk_is_507(plain: Gateway, directory: Path, how: str) -> None:
    plain.request("PUT", "/before", SMALL)
    resource.prlimit(plain.pid, resource.RLIMIT_FSIZE, (1024 * 1024, resource.RLIM_INFINITY))
    if how == "form":
        answer = post(plain, form(part('form-data; filename="a"', LARGE)))
    else:
        body = pieces(LARGE) if how == "chunked" else LARGE
        answer = plain.request("PUT", "/a", body)
    assert answer.status == 507
    assert answer.json() == {"error": "the body is larger than a file may be on the server's disk"}
    assert stored(directory) == {"before": SMALL}
    assert plain.request("PUT", "/after", SMALL).status == 201


def test_a_directory_that_cannot_be_is_500(gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    server = gateway(StoreUploads(str(tmp_path / "file" / "uploads")))
    answer = server.request("PUT", "/a", SMALL)
    assert answer.status == 500
    assert answer.json() == {"error": "the server cannot write to its disk; its log says why"}


#: FAT and SMB as their users have them; and a file system that knows nothing but the least.
PLAIN_FILE_SYSTEMS = [
    {"LINK": errno.EPERM, "TMPFILE": errno.EOPNOTSUPP},
    {
        "LINK": errno.EOPNOTSUPP,
        "TMPFILE": errno.EINVAL,
        "RENAME2": errno.ENOSYS,
        "SETLK": errno.ENOLCK,
        "SETLKW": errno.ENOLCK,
    },
]


@pytest.mark.parametrize("refused", PLAIN_FILE_SYSTEMS)
def test_a_plain_file_system_takes_uploads(
    gateway: Callable[..., Gateway], tmp_path: Path, refused: dict[str, int]
) -> None:
    with file_system(tmp_path / "fat", **refused) as directory:
        server = gateway(storing(directory))
        assert server.request("PUT", "/a.bin", LARGE).json()["files"][0]["name"] == "a.bin"
        assert server.request("PUT", "/a.bin", pieces(LARGE)).status == 201
        assert post(server, form(GOOD, GOOD)).status == 201
        assert post(server, form(GOOD)[:-6]).status == 400
        names = {"a.bin": LARGE, "a (2).bin": LARGE, "a.txt": b"content", "a (2).txt": b"content"}
        assert stored(directory) == names
        eventually(lambda: not any(str(directory) in name for name in server.descriptors))


def test_a_file_system_that_cannot_splice_is_written_to(
    gateway: Callable[..., Gateway], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As splice(2) says it: EINVAL; a worker inherits what is patched."""
    real = os.splice

    def splice(source: int, sink: int, size: int, *, flags: int = 0) -> int:
        if stat.S_ISREG(os.fstat(sink).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(source, sink, size, flags=flags)

    monkeypatch.setattr(os, "splice", splice)
    server = gateway(storing(directory))
    assert server.request("PUT", "/a.bin", LARGE).status == 201
    assert stored(directory) == {"a.bin": LARGE}


@pytest.mark.parametrize("how", ["spliced", "chunked", "form"])
def test_a_disk_without_room_is_507_in_words(
    gateway: Callable[..., Gateway], tmp_path: Path, how: str
) -> None:
    directory = tmp_path / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", directory], check=True)
    try:
        server = gateway(storing(directory))
        if how == "form":
            answer = post(server, form(part('form-data; filename="a"', LARGE)))
        else:
            answer = server.request("PUT", "/a", pieces(LARGE) if how == "chunked" else LARGE)
        assert answer.status == 507
        assert answer.json() == {"error": "the server's disk is full"}
        assert stored(directory) == {}
        assert server.request("PUT", "/a", SMALL).status == 201
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)
