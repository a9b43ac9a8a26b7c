from collections.abc import Callable

import pytest

from mod_progress.config.conditions import ConditionCompiler
from mod_progress.config.errors import Source
from mod_progress.config.evaluation import evaluate
from mod_progress.config.parser import parse
from mod_progress.config.scope import Scope
from mod_progress.config.tree import Block, Conditional
from mod_progress.config.values import Actions
from mod_progress.gateway.actions.conditions import host_name
from mod_progress.gateway.server.site import Site
from tests.config.config_client import Client

UPLOAD = """\
POST /a/../b%20c/%ff.php?x=1&y=%20 HTTP/1.1
Host: WWW.Example.com.:8080
Content-Length: 1000
Referer: one
X-Twice: first
x-twice: second
"""


def no_block(block: Block) -> Actions:
    raise AssertionError(block)


def holds(condition: str, client: Client, head: str) -> bool:
    block, errors = parse(Source("test", f"if {condition} {{ }}"))
    assert not errors
    (statement,) = block.statements
    assert isinstance(statement, Conditional)
    (test, _), *_ = statement.branches
    compiler = ConditionCompiler(lambda node: evaluate(node, Scope(), no_block))
    return compiler.compile(test)(client.exchange(head))


@pytest.mark.parametrize(
    "condition",
    [
        r'req.path == "/b c/\xff.php"',
        'request.path != "/b c"',
        'req.path =^ "/b"',
        'req.path !^ "/a"',
        'req.path =$ ".php"',
        'req.path !$ ".ph"',
        r'req.path =~ "^/b\sc/"',
        'req.path !~ "^c"',
        'req.raw_path == "/a/../b%20c/%ff.php?x=1&y=%20"',
        'req.raw_path =~ "%ff"',
        'req.query == "x=1&y=%20"',
        'req.query =~ "(^|&)y="',
        'req.host == "www.example.com"',
        'req.host == "WWW.Example.COM"',
        'req.host == "www.example.com."',
        'req.host != "example.com"',
        'req.host =^ "WWW."',
        'req.host =$ ".Example.com"',
        r'req.host =~ "^(www|static)\.example\.com$"',
        'req.host == "a.example" or req.host == "www.example.com"',
        'req.host =$ ".com"',
        'req.method == "POST"',
        'req.method != "GET"',
        'req.scheme == "http"',
        "req.length == 1000",
        "req.length >= 1000",
        "req.length <= 1kbyte",
        "req.length > 999",
        "req.length < 1001",
        "req.length != -1",
        'req.header["referer"] == "one"',
        'req.header["REFERER"] =~ "n"',
        'req.header["x-twice"] == "first, second"',
        'req.header["X-None"] == ""',
        'req.header["host"] =/ "10.0.0.0/8" or req.header["Referer"]',
        'req.remoteip == "192.0.2.1"',
        'req.remoteip =/ "192.0.2.0/24"',
        'req.remoteip =/ "192.0.2.1"',
        'req.remoteip !/ "10.0.0.0/8"',
        'req.remoteip !/ "::/0"',
        "req.remoteport == 50000",
        'req.localip == "127.0.0.1"',
        "req.localport == 8080",
        "!req.is_handled",
        "not request.is_handled",
        "req.length",
        "req.query",
        '!req.header["X-None"]',
        'req.method == "GET" or req.method == "POST"',
        'req.method == "GET" and req.length == 1 or req.length == 1000',
        'req.length == 1000 or req.length == 1000 and req.method == "GET"',
        '!(req.method == "GET" and req.length == 1000)',
        'req.method == "POST" and (req.length == 1 or req.length == 1000)',
        '!req.is_handled and !(req.path == "/" or req.path == "/x")',
        'req.path == "/b" + " c" + "/" + "\\xff.php"',
    ],
)
def test_what_holds_for_an_upload(condition: str) -> None:
    assert holds(condition, Client(), UPLOAD)
    assert not holds(f"!({condition})", Client(), UPLOAD)


@pytest.mark.parametrize(
    ("condition", "head"),
    [
        ("req.length == 0", "GET / HTTP/1.1"),
        ("req.length == -1", "PUT / HTTP/1.1\nTransfer-Encoding: chunked"),
        ("!req.query", "GET / HTTP/1.1"),
        ('req.host == "[::1]"', "GET / HTTP/1.1\nHost: [::1]:80"),
        ('req.host == "[::1]"', "GET / HTTP/1.1\nHost: [::1]"),
        ('req.host == "a.example"', "GET http://a.example:81/ HTTP/1.1\nHost: b.example"),
        (r'req.header["X"] =~ "^\xe9\d$"', "GET / HTTP/1.1\nX: é5"),
        ('req.path =~ "^/.$"', "GET /%C3%A9 HTTP/1.1"),
        ('req.path == "/é"', "GET /%C3%A9 HTTP/1.1"),
        (r'req.path !~ "\d"', "GET /%D9%A1 HTTP/1.1"),
    ],
)
def test_what_holds_for_other_requests(condition: str, head: str) -> None:
    assert holds(condition, Client(), head)


@pytest.mark.parametrize(
    ("condition", "client"),
    [
        ('req.remoteip =/ "10.0.0.0/8"', Client(peer=("::ffff:10.1.2.3", 1))),
        ('req.remoteip =/ "10.1.2.3/8"', Client(peer=("10.255.0.1", 1))),
        ('req.remoteip =/ "fe80::/10"', Client(peer=("fe80::1%eth0", 1))),
        ('req.remoteip !/ "0.0.0.0/0"', Client(peer=("2001:db8::1", 1))),
        ('req.remoteip !/ "0.0.0.0/0" and !req.remoteip', Client(peer=("", -1))),
        ("req.remoteport == -1", Client(peer=("", -1))),
        ('req.scheme == "https"', Client(scheme="https")),
    ],
)
def test_what_holds_for_other_clients(condition: str, client: Client) -> None:
    assert holds(condition, client, "GET / HTTP/1.1")


def test_a_handled_request_is_known(load_text: Callable[[str], Site]) -> None:
    text = 'if req.path == "/" { respond 201; } if req.is_handled { docroot "/x"; }'
    action = load_text(text).action
    handled = Client().exchange("GET / HTTP/1.1")
    action(handled)
    assert handled.docroot == "/x"
    other = Client().exchange("GET /y HTTP/1.1")
    action(other)
    assert other.docroot is None


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"example.com", b"example.com"),
        (b"EXAMPLE.com:", b"example.com"),
        (b"example.com.:443", b"example.com"),
        (b"[::1]", b"[::1]"),
        (b"[2001:DB8::1]:8080", b"[2001:db8::1]"),
        (b"", b""),
    ],
)
def test_the_name_in_a_host_field(host: bytes, name: bytes) -> None:
    assert host_name(host) == name
