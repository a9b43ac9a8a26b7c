from __future__ import annotations

import os
import random
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.files.static import Docroot, Index, Static
from mod_progress.gateway.files.upload_directories import UploadDirectories
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.streams.relay import SPLICE_FROM
from mod_progress.options import Options
from tests.gateway.running import Gateway, eventually

SMALL = b"<p>hello</p>\n"
LARGE = random.Random(1).randbytes(3 * 1024 * 1024 + 7)

#: More than the sockets of a client that does not read take in.
ENDLESS = 32 * 1024 * 1024


@pytest.fixture(scope="module")
def docroot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("static")
    (top / "secret").write_bytes(b"secret")
    root = top / "www"
    (root / "sub dir").mkdir(parents=True)
    (root / "page.html").write_bytes(SMALL)
    (root / "large.bin").write_bytes(LARGE)
    (root / "empty").write_bytes(b"")
    (root / "sub dir" / "index.html").write_bytes(b"index")
    (root / "fallback.html").write_bytes(b"fallback")
    (root / "bare").mkdir()
    (root / "link").symlink_to(top / "secret")
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(root / "socket"))
    (root / os.fsdecode(b"latin-\xe9")).write_bytes(b"latin")
    return root


def files(root: Path) -> If:
    index = Index(("index.php", "index.html", "/missing.html"))
    served = ActionList((Track(), Docroot(str(root)), index, Static()))
    return If(lambda exchange: exchange.request.path == "/progress", Show(), served)


@pytest.fixture
def server(
    gateway: Callable[..., Gateway], docroot: Path, either: ssl.SSLContext | None
) -> Gateway:
    return gateway(files(docroot), tls=either, options=Options(methods=frozenset({"GET"})))


@pytest.fixture
def plain(gateway: Callable[..., Gateway], docroot: Path) -> Gateway:
    return gateway(files(docroot), options=Options(methods=frozenset({"GET"})))


def test_a_file_is_sent_whole_with_what_is_known_of_it(server: Gateway, docroot: Path) -> None:
    for name, content in (("page.html", SMALL), ("large.bin", LARGE), ("empty", b"")):
        answer = server.request("GET", f"/{name}")
        assert (answer.status, answer.body) == (200, content)
        assert answer.headers["content-length"] == str(len(content))
        assert answer.headers["accept-ranges"] == "bytes"
        assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"', answer.headers["etag"])
        head = server.request("HEAD", f"/{name}")
        assert (head.status, head.body) == (200, b"")
        assert {**head.headers, "date": ""} == {**answer.headers, "date": ""}


def test_an_entity_tag_changes_with_the_file(plain: Gateway, docroot: Path) -> None:
    file = docroot / "changing"
    file.write_bytes(b"one")
    before = plain.request("GET", "/changing").headers
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    after = plain.request("GET", "/changing").headers
    assert before["etag"] != after["etag"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.TXT", "text/plain; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.woff2", "font/woff2"),
        ("a.png", "image/png"),
        ("a.json", "application/json"),
        ("a.tar.gz", "application/gzip"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
        (".html", "application/octet-stream"),
    ],
)
def test_the_media_type_goes_by_the_name(
    gateway: Callable[..., Gateway], tmp_path: Path, name: str, kind: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    answer = gateway(files(tmp_path)).request("GET", f"/{name}")
    assert answer.headers["content-type"] == kind
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/page.html", 405),
        ("DELETE", "/missing", 405),
        ("GET", "/missing", 404),
        ("GET", "/page.html/more", 404),
        ("GET", "/page.html/", 404),
        ("GET", "/loop", 404),
        ("GET", "/fifo", 403),
        ("GET", "/socket", 403),
        ("GET", "/" + "a" * 300, 414),
        ("GET", "/../secret", 404),
        ("GET", "/..%2fsecret", 404),
        ("GET", "/bare/%2e%2e/%2e./secret", 404),
        ("GET", "/bare/..%2f..%2fsecret", 404),
        ("GET", "/page.html%00.txt", 400),
    ],
)
def test_what_is_no_file_below_the_docroot_is_refused(
    plain: Gateway, method: str, path: str, status: int
) -> None:
    answer = plain.request(method, path)
    assert answer.status == status
    assert answer.headers.get("allow") == ("GET, HEAD" if status == 405 else None)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body.startswith(b"%d " % status)
    assert b": " in answer.body


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/page.html", {}, 200),
        ("/large.bin", {}, 200),
        ("/large.bin", {"Range": "bytes=0-1"}, 206),
        ("/large.bin", {"Range": "bytes=0-1,5-6"}, 206),
        ("/page.html", {"If-None-Match": "*"}, 304),
        ("/page.html", {"If-Match": '"other"'}, 412),
        ("/page.html", {"Range": "bytes=100-"}, 416),
        ("/bare", {}, 301),
    ],
)
def test_no_browser_guesses_another_media_type(
    plain: Gateway, path: str, headers: dict[str, str], status: int
) -> None:
    answer = plain.request("GET", path, headers=headers)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-disposition" not in answer.headers


@pytest.mark.parametrize(
    ("name", "kind", "confined"),
    [
        ("page.html", "text/html; charset=utf-8", True),
        ("image.svg", "image/svg+xml", True),
        ("feed.xml", "application/xml", True),
        ("script.js", "application/octet-stream", True),
        ("style.css", "application/octet-stream", True),
        ("photo.jpg", "image/jpeg", False),
        ("note.txt", "text/plain; charset=utf-8", False),
        ("paper.pdf", "application/pdf", False),
        ("unknown", "application/octet-stream", False),
    ],
)
def test_what_a_stranger_uploads_never_runs_in_the_site(
    gateway: Callable[..., Gateway], tmp_path: Path, name: str, kind: str, confined: bool
) -> None:
    uploads = UploadDirectories()
    uploads.add(str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / name).write_bytes(b"<script>alert(1)</script>")
    (tmp_path / name).write_bytes(b"our own")
    server = gateway(ActionList((Docroot(str(tmp_path)), Static(uploads))))
    stranger = server.request("GET", f"/uploads/{name}").headers
    fields = stranger.get("content-disposition"), stranger.get("content-security-policy")
    assert fields == (("attachment", "sandbox") if confined else (None, None))
    assert stranger["content-type"] == kind
    ours = server.request("GET", f"/{name}").headers
    assert "content-disposition" not in ours
    assert "content-security-policy" not in ours


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/link", b"secret"),
        ("/bare/../page.html", SMALL),
        ("//page.html?x=/../", SMALL),
        ("/latin-%E9", b"latin"),
        ("/sub%20dir/", b"index"),
    ],
)
def test_paths_lead_to_files_and_links_are_followed(
    plain: Gateway, path: str, content: bytes
) -> None:
    assert plain.request("GET", path).body == content


def test_a_directory_is_left_to_the_actions_that_follow(
    gateway: Callable[..., Gateway], docroot: Path
) -> None:
    listing = Respond(200, b"listing")
    site = gateway(ActionList((Static(), Docroot(str(docroot)), Static(), listing)))
    assert site.request("GET", "/bare").body == b"listing"
    assert site.request("POST", "/bare/").body == b"listing"
    assert site.request("GET", "/page.html").body == SMALL


def test_what_is_handled_is_left_alone(gateway: Callable[..., Gateway], docroot: Path) -> None:
    site = gateway(
        ActionList((Docroot(str(docroot)), Respond(200, b"mine"), Index(("a",)), Static()))
    )
    assert site.request("GET", "/page.html").body == b"mine"
    assert site.request("GET", "/bare").body == b"mine"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/bare", "/bare/"),
        ("/sub%20dir?a=/b&c", "/sub%20dir/?a=/b&c"),
        ("//bare", "/bare/"),
        ("/x/../bare", "/bare/"),
    ],
)
def test_a_directory_without_its_slash_redirects(plain: Gateway, path: str, location: str) -> None:
    answer = plain.request("GET", path)
    assert (answer.status, answer.headers["location"]) == (301, location)


def test_an_index_looks_in_the_directory_then_below_the_docroot(
    gateway: Callable[..., Gateway], docroot: Path
) -> None:
    index = Index(("index.html", "/fallback.html"))
    site = gateway(ActionList((Index(("x",)), Docroot(f"{docroot}/"), index, Static())))
    assert site.request("GET", "/sub%20dir/").body == b"index"
    assert site.request("GET", "/bare/").body == b"fallback"
    assert site.request("GET", "/missing").body == b"fallback"
    assert site.request("GET", "/page.html").body == SMALL
    only_below = gateway(ActionList((Docroot(str(docroot)), Index(("/fallback.html",)), Static())))
    assert only_below.request("GET", "/bare").body == b"fallback"


@pytest.mark.parametrize("spec", ["0-0", "5-", "-1", "100-200000", f"0-{len(LARGE)}"])
def test_a_range_is_sent_alone(server: Gateway, spec: str) -> None:
    first, _, last = spec.partition("-")
    start = int(first) if first else len(LARGE) - int(last)
    end = min(int(last) + 1, len(LARGE)) if first and last else len(LARGE)
    answer = server.request("GET", "/large.bin", headers={"Range": f"bytes={spec}"})
    assert (answer.status, answer.body) == (206, LARGE[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(LARGE)}"


@pytest.mark.parametrize(
    "stretches",
    [[(0, 1), (5, 10), (len(LARGE) - 3, 3)], [(0, 300_000), (1_000_000, 5), (600_000, 200_000)]],
)
def test_several_ranges_are_sent_as_parts(
    server: Gateway, stretches: list[tuple[int, int]]
) -> None:
    specs = ",".join(f"{start}-{start + length - 1}" for start, length in stretches)
    answer = server.request("GET", "/large.bin", headers={"Range": f"bytes={specs}"})
    assert answer.status == 206
    assert int(answer.headers["content-length"]) == len(answer.body)
    parts = byteranges(answer.headers["content-type"], answer.body)
    assert list(parts) == [
        (
            b"Content-Type: application/octet-stream\r\n"
            b"Content-Range: bytes %d-%d/%d" % (start, start + length - 1, len(LARGE)),
            LARGE[start : start + length],
        )
        for start, length in stretches
    ]


def byteranges(content_type: str, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Take a multipart/byteranges apart."""
    boundary = content_type.removeprefix("multipart/byteranges; boundary=").encode()
    preamble, *parts, end = body.split(b"\r\n--" + boundary)
    assert (preamble, end) == (b"", b"--\r\n")
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        yield head, content


def test_ranges_that_cannot_be_are_416(plain: Gateway) -> None:
    answer = plain.request("GET", "/page.html", headers={"Range": "bytes=100-"})
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{len(SMALL)}")


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {"Range": "bytes=0-1"}),
        ("GET", {"Range": "bytes=1-0"}),
        ("GET", {"Range": "bytes=0-1", "If-Range": '"old"'}),
    ],
)
def test_a_range_that_does_not_count_is_ignored(
    plain: Gateway, method: str, headers: dict[str, str]
) -> None:
    answer = plain.request(method, "/page.html", headers=headers)
    assert (answer.status, answer.headers["content-length"]) == (200, str(len(SMALL)))


def test_what_the_client_has_is_not_sent_again(plain: Gateway) -> None:
    fresh = plain.request("GET", "/large.bin").headers
    for name, value in (
        ("If-None-Match", fresh["etag"]),
        ("If-Modified-Since", fresh["last-modified"]),
    ):
        answer = plain.request("GET", "/large.bin", headers={name: value})
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"] == fresh["etag"]
        assert "content-length" not in answer.headers
    headers = {"If-Range": fresh["etag"], "Range": "bytes=0-1", "If-Match": fresh["etag"]}
    assert plain.request("GET", "/large.bin", headers=headers).status == 206
    assert plain.request("GET", "/large.bin", headers={"If-Match": '"old"'}).status == 412


def test_a_connection_serves_one_file_after_the_other(plain: Gateway) -> None:
    paths = [b"/page.html", b"/large.bin", b"/missing", b"/large.bin", b"/empty", b"/page.html"]
    asked = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths[:-1])
    last = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % paths[-1]
    answer = plain.exchange(asked + last)
    assert answer.count(LARGE) == 2
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 5
    assert answer.endswith(b"\r\n\r\n" + SMALL)


def test_a_body_with_a_get_does_not_end_the_connection(plain: Gateway) -> None:
    asked = b"GET /page.html HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    answer = plain.exchange(asked + asked.replace(b"Host", b"Connection: close\r\nHost"))
    assert answer.count(SMALL) == 2


def finished(server: Gateway, identifier: str) -> dict[str, object]:
    eventually(lambda: server.show(identifier)["state"] != "running")
    shown: dict[str, object] = server.show(identifier)
    return shown


@pytest.mark.parametrize("name", ["page.html", "large.bin"])
def test_a_download_counts_body_bytes_alone(server: Gateway, docroot: Path, name: str) -> None:
    server.request("GET", f"/{name}?X-Progress-ID=d")
    size = (docroot / name).stat().st_size
    shown = finished(server, "d")
    assert (shown["state"], shown["sent"], shown["response_size"]) == ("done", size, size)


def test_a_download_of_parts_counts_what_is_between_them(server: Gateway) -> None:
    headers = {"Range": "bytes=0-99999,200000-200000"}
    answer = server.request("GET", "/large.bin?X-Progress-ID=d", headers=headers)
    shown = finished(server, "d")
    assert shown["sent"] == shown["response_size"] == len(answer.body)


@pytest.fixture
def endless(docroot: Path) -> Iterator[Path]:
    file = docroot / "endless"
    file.touch()
    os.truncate(file, ENDLESS)
    yield file
    file.unlink()


def start_download(server: Gateway) -> socket.socket:
    """Ask for a file that is larger than all buffers, and read no more than its first bytes."""
    client = server.connect()
    client.sendall(b"GET /endless?X-Progress-ID=d HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def drain(client: socket.socket) -> int:
    """Read to the end, whichever way it comes, and return the number of bytes."""
    size = 0
    try:
        while data := client.recv(1 << 20):
            size += len(data)
    except (ConnectionResetError, ssl.SSLError):
        pass
    return size


def test_a_file_that_becomes_shorter_is_visibly_cut(server: Gateway, endless: Path) -> None:
    with start_download(server) as client:
        os.truncate(endless, SPLICE_FROM)
        assert drain(client) < ENDLESS
    assert finished(server, "d") == {"state": "error", "status": 200}
    eventually(lambda: str(endless) not in server.descriptors)


def test_a_client_that_goes_away_frees_the_file(server: Gateway, endless: Path) -> None:
    with start_download(server):
        eventually(lambda: str(endless) in server.descriptors)
    assert finished(server, "d") == {"state": "error", "status": 200}
    eventually(lambda: str(endless) not in server.descriptors)


def test_a_client_that_does_not_read_is_cut_at_its_limit(
    gateway: Callable[..., Gateway], docroot: Path, endless: Path
) -> None:
    limits = Limits(body_idle_time=0.5, drain_time=1.0)
    options = Options(methods=frozenset({"GET"}))
    server = gateway(files(docroot), limits=limits, options=options)
    with start_download(server) as client:
        assert finished(server, "d") == {"state": "error", "status": 200}
        assert drain(client) < ENDLESS
    eventually(lambda: str(endless) not in server.descriptors)


def test_a_download_goes_on_while_a_show_is_answered(server: Gateway, endless: Path) -> None:
    with start_download(server) as client:
        shown = server.show("d")
        assert shown["state"] == "running"
        assert 0 <= shown["sent"] < shown["response_size"] == ENDLESS
        drained = 0
        while drained < ENDLESS:
            drained += len(client.recv(1 << 20))
        assert finished(server, "d")["sent"] == ENDLESS
