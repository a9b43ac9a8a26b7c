from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network

import pytest

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.flow import ActionList
from mod_progress.gateway.actions.same_origin import SameOrigin
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.server.site import Site
from tests.config.config_client import Client
from tests.gateway.running import Gateway

SERVED = Respond(200, b"served")
OTHER_SITE = b"403 Forbidden: a page of another site has sent this request\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Gateway]:
    started = Gateway(Site(action=ActionList((SameOrigin(), SERVED))))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def behind() -> Iterator[Gateway]:
    """Return one behind a trusted front proxy, which is known as app.example.com too."""
    guarded = ActionList((SameOrigin(frozenset({b"app.example.com"})), SERVED))
    started = Gateway(Site(action=guarded, trusted=(ip_network("127.0.0.0/8"),)))
    yield started
    started.stop()


#: What browsers and programs send to http://localhost:8080/, and whether it is served.
REQUESTS = [
    # Programs that are no browsers.
    ("POST", {}, 200),
    ("PUT", {}, 200),
    # Fetch Metadata (https://www.w3.org/TR/fetch-metadata).
    ("POST", {"Sec-Fetch-Site": "same-origin"}, 200),
    ("POST", {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8080"}, 200),
    ("POST", {"Sec-Fetch-Site": "none"}, 200),
    ("POST", {"Sec-Fetch-Site": "same-site"}, 403),
    ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("PUT", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("DELETE", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("PATCH", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:8080"}, 403),
    ("POST", {"Sec-Fetch-Site": ""}, 403),
    # Browsers that have no Fetch Metadata.
    ("POST", {"Origin": "http://localhost:8080"}, 200),
    ("POST", {"Origin": "HTTP://LOCALHOST:8080"}, 200),
    ("POST", {"Origin": "http://localhost"}, 403),
    ("POST", {"Origin": "http://localhost:3000"}, 403),
    ("POST", {"Origin": "http://localhost:8080.evil.example"}, 403),
    ("POST", {"Origin": "http://evil.example"}, 403),
    ("POST", {"Origin": "null"}, 403),
    ("POST", {"Origin": ""}, 403),
    ("POST", {"Origin": "chrome-extension://abc"}, 403),
    # Requests that change nothing, and one that opens a tunnel.
    ("GET", {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}, 200),
    ("OPTIONS", {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}, 200),
    ("GET", {"Origin": "http://evil.example", "Connection": "Upgrade", "Upgrade": "x"}, 403),
    ("GET", {"Origin": "http://localhost:8080", "Connection": "Upgrade", "Upgrade": "x"}, 200),
]


@pytest.mark.parametrize(("method", "headers", "expected"), REQUESTS)
def test_a_page_of_another_site_is_refused(
    server: Gateway, method: str, headers: dict[str, str], expected: int
) -> None:
    headers = {"Host": "localhost:8080", **headers}
    answer = server.request(method, "/upload", None if method == "GET" else b"x", headers)
    assert answer.status == expected
    assert answer.body == (b"served" if expected == 200 else OTHER_SITE)


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("www.example.com", "https://www.example.com", 200),
        ("www.example.com:443", "https://www.example.com", 200),
        ("www.example.com:", "https://www.example.com", 200),
        ("www.example.com", "https://www.example.com:443", 200),
        ("www.example.com", "http://www.example.com", 200),
        ("www.example.com", "https://www.example.com:8443", 403),
        ("www.example.com:80", "https://www.example.com", 403),
        ("[::1]:8080", "http://[::1]:8080", 200),
        ("[::1]", "http://[::1]", 200),
        ("[::1]", "http://[::2]", 403),
        # The site's other name, on any port.
        ("www.example.com", "https://app.example.com", 200),
        ("www.example.com", "https://app.example.com:8443", 200),
        ("www.example.com", "https://www.app.example.com", 403),
    ],
)
def test_an_origin_is_compared_with_its_port(
    behind: Gateway, host: str, origin: str, expected: int
) -> None:
    headers = {"Host": host, "Origin": origin}
    assert behind.request("POST", "/", b"x", headers).status == expected


def test_a_named_host_may_send_across_sites(behind: Gateway) -> None:
    headers = {"Host": "www.example.com", "Sec-Fetch-Site": "cross-site"}
    for origin, expected in (("https://app.example.com", 200), ("https://evil.example", 403)):
        assert behind.request("POST", "/", b"x", headers | {"Origin": origin}).status == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("LOCALHOST.:8080", 200),
        ("app.localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("127.9.9.9", 200),
        ("[::1]:8080", 200),
        ("192.168.1.2", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("notlocalhost", 403),
    ],
)
def test_on_a_loopback_address_a_foreign_host_is_refused(
    server: Gateway, method: str, host: str, expected: int
) -> None:
    """DNS rebinding: the browser believes that the page and the server are of one origin."""
    headers = {"Host": host, "Sec-Fetch-Site": "same-origin", "Origin": f"http://{host}"}
    answer = server.request(method, "/", b"x" if method == "POST" else None, headers)
    assert answer.status == expected
    assert expected == 200 or answer.body.startswith(b"403 Forbidden: on a loopback address, ")


def test_a_host_that_the_site_is_known_as_may_come_on_a_loopback_address(
    gateway: Callable[..., Gateway],
) -> None:
    server = gateway(ActionList((SameOrigin(frozenset({b"app.example.com"})), SERVED)))
    assert server.request("GET", "/", headers={"Host": "App.Example.com:99"}).status == 200


def test_a_request_without_a_host_is_from_no_browser(server: Gateway) -> None:
    assert server.exchange(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("local", ["192.0.2.1", "2001:db8::1", ""])
def test_on_another_address_a_host_may_have_any_name(local: str) -> None:
    """The address that the client connected to counts, not where the server listens."""
    client = Client(local=(local, 8080))
    assert client.ask(ActionList((SameOrigin(), SERVED)), "GET / HTTP/1.1\nHost: nas.lan")


@pytest.mark.parametrize("local", ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"])
def test_every_loopback_address_is_one(local: str) -> None:
    exchange = Client(local=(local, 8080)).exchange("GET / HTTP/1.1\nHost: nas.lan")
    with pytest.raises(Refusal, match="on a loopback address"):
        SameOrigin()(exchange)


def test_it_refuses_wherever_it_stands(gateway: Callable[..., Gateway]) -> None:
    server = gateway(ActionList((SERVED, SameOrigin())))
    headers = {"Host": "localhost", "Sec-Fetch-Site": "cross-site"}
    assert server.request("POST", "/", b"x", headers).status == 403
