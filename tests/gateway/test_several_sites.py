"""Several sites behind one address, told apart by the host that a request names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.gateway import configured
from tests.gateway.backend import Backend
from tests.gateway.running import Gateway, eventually
from tests.gateway.wire import FEEDS, Client

SITE = r"""
if req.host == "a.example" or req.host == "www.a.example" {
    if req.path == "/progress" { progress.show; }
    else { progress.track; proxy "BACKEND"; }
}
else if req.host =~ "^(\w+)\.users\.example$" {
    rewrite "^(.*)$" => "/%1$1";
    docroot "DIRECTORY";
    index "index.html";
    static;
}
else if req.host =$ ".example" {
    header.set "Location" => "http://a.example%{enc:req.path}";
    respond 302;
}
else { access.deny; }
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("sites")
    for name in ("ann", "bob"):
        (directory / name / "sub").mkdir(parents=True)
        (directory / name / "me").write_text(name)
    with ExitStack() as cleanup:
        backend = Backend()
        cleanup.callback(backend.close)
        text = SITE.replace("BACKEND", backend.address).replace("DIRECTORY", str(directory))
        running = configured.start(directory, text)
        cleanup.callback(running.stop)
        yield running


def ask(gateway: Gateway, host: str, target: str = "/me", feed: str = "whole") -> tuple[int, bytes]:
    with Client(gateway.port) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), feed)
        answer = client.answer()
        if feed == "with trailing data":
            assert client.answer().status == 403  # the host of this one is another
        return answer.status, answer.body


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("a.example", (200, b"/me")),
        ("A.Example", (200, b"/me")),
        ("a.example.", (200, b"/me")),
        ("a.example:8080", (200, b"/me")),
        ("WWW.a.example.:8080", (200, b"/me")),
        ("ann.users.example", (200, b"ann")),
        ("Bob.Users.Example:80", (200, b"bob")),
        ("b.example", (302, b"")),
        ("a.example.evil", (403, b"403 Forbidden: access is denied\n")),
        ("127.0.0.1", (403, b"403 Forbidden: access is denied\n")),
        ("[::1]:80", (403, b"403 Forbidden: access is denied\n")),
    ],
)
def test_the_host_says_which_site_answers(
    gateway: Gateway, host: str, answer: tuple[int, bytes], feed: str
) -> None:
    assert ask(gateway, host, feed=feed) == answer


def test_the_host_of_a_target_counts(gateway: Gateway) -> None:
    """RFC 9112, section 3.2.2."""
    assert ask(gateway, "a.example", "http://ann.users.example/me") == (200, b"ann")
    assert ask(gateway, "ann.users.example", "http://c.invalid/me")[0] == 403


def test_a_host_leads_to_no_other_directory(gateway: Gateway) -> None:
    assert ask(gateway, "ann.users.example", "/../bob/me")[0] == 404
    assert ask(gateway, "..users.example", "/me")[0] == 302
    assert ask(gateway, "%2e%2e.users.example", "/me")[0] == 302


def test_a_directory_is_redirected_to_the_path_that_was_asked_for(gateway: Gateway) -> None:
    """Its path with the user in front would be rewritten once more."""
    found = gateway.request("GET", "/sub?a=b", headers={"Host": "ann.users.example"})
    assert (found.status, found.headers["location"]) == (301, "/sub/?a=b")


def test_a_transfer_is_known_by_its_id_alone(gateway: Gateway) -> None:
    """An id is hard to guess, so all sites of a gateway share one table."""
    fields = {"Host": "a.example"}
    gateway.request("POST", "/upload?X-Progress-ID=shared", b"abc", fields)
    target = "/progress?X-Progress-ID=shared"
    eventually(
        lambda: gateway.request("GET", target, headers=fields).json()["state"] == "done",
    )
