"""`rewrite`, `header.…` and `req_header.…`: what a configuration makes of a request."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.config import InvalidConfig
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.heads import FORBIDDEN, Refusal
from mod_progress.gateway.http.request import parse_request
from mod_progress.gateway.limits import HeadLimits
from mod_progress.gateway.server.site import Site
from tests.config.config_client import Client

Load = Callable[[str], Site]

MODULES = 'setup module_load "mod_rewrite", "mod_access", "mod_progress", "mod_redirect";'


def run(site: Site, head: str, client: Client | None = None) -> Exchange:
    """Return the exchange of a request that has run through a site."""
    exchange = (client or Client()).exchange(head)
    site.action(exchange)
    return exchange


@pytest.mark.parametrize(
    ("directive", "asked", "target"),
    [
        # One path for all.
        ('rewrite "/new";', "/a?b=c", b"/new?b=c"),
        ('rewrite "new";', "/a", b"/new"),
        ('rewrite "/new?d=e";', "/a?b=c", b"/new?d=e"),
        ('rewrite "/new?";', "/a?b=c", b"/new"),
        ('rewrite "/new?d=e&%{req.query}";', "/a?b=%20c", b"/new?d=e&b=%20c"),
        (r'rewrite "/100\%\?a";', "/a?b", b"/100%25%3Fa?b"),
        # One rule, and the first of several that matches.
        ('rewrite "^/a/" => "/new";', "/a/b", b"/new"),
        ('rewrite "^/a/" => "/new";', "/b", b"/b"),
        ('rewrite "^/a/", "/new";', "/a/b", b"/new"),
        ('rewrite ["^/a" => "/x", "^/b" => "/y", "" => "/z"];', "/b", b"/y"),
        ('rewrite ["^/a" => "/x", "^/b" => "/y", "" => "/z"];', "/c", b"/z"),
        ('rewrite ("^/a" => "/x", "^/b" => "/y");', "/c", b"/c"),
        # What is filled in, from the decoded path.
        (r'rewrite "^/user/(.+)$" => "/user.php?name=$1";', "/user/ann", b"/user.php?name=ann"),
        (r'rewrite "^/(.*)$" => "/p/$1";', "/a%20%3Fb", b"/p/a%20%3Fb"),
        (r'rewrite "^/(.*)$" => "/p?x=$1";', "/a%26y=1%23%2B%25", b"/p?x=a%26y%3D1%23%2B%25"),
        (r'rewrite "(?s)^/(.*)$" => "/p?x=$1";', "/%0d%0aA:%20b", b"/p?x=%0D%0AA:%20b"),
        (r'rewrite "(?s)^/(.*)$" => "/$1";', "/%0d%0aA:%20b", b"/%0D%0AA:%20b"),
        ('rewrite "/%{req.method}/%{req.host}";', "/", b"/GET/example.com"),
        ('rewrite "/?h=%{req.header[X]}";', "/", b"/?h=%22a%20b%22"),
        ('rewrite "/?p=%{enc:req.path}";', "/a%20b", b"/?p=/a%20b"),
        ('if req.path =~ "^/(.)" { rewrite "/x%1?y=%1"; }', "/%26", b"/x&?y=%26"),
        ('if req.query =~ "q=(.*)" { rewrite "/x?y=%1"; }', "/?q=%26", b"/x?y=%26"),
        # Dot segments never lead above the root.
        (r'rewrite "^/a/(.*)$" => "/files/../$1";', "/a/b", b"/b"),
        (r'rewrite "^/a/(.*)" => "../../$1";', "/a/x", b"/x"),
        # As Drupal's pages send it.
        (
            r'rewrite "(.*)/x-progress-id:(\w*)" => "$1?X-Progress-ID=$2";',
            "/node/add/x-progress-id:1234?q=1",
            b"/node/add?X-Progress-ID=1234",
        ),
        # They follow each other.
        ('rewrite "^/a" => "/b"; rewrite "^/b" => "/c";', "/a", b"/c"),
        # The target as it came.
        ('rewrite_raw "/new";', "/a?b=c", b"/new"),
        ('rewrite_raw "new?d";', "/a", b"/new?d"),
        (r'rewrite_raw "^/a/([^?]*)(.*)$" => "/b/$1$2";', "/a/%2f%20?c=%26", b"/b/%2f%20?c=%26"),
        ('rewrite_raw "^/b" => "/new";', "/a", b"/a"),
        ('rewrite_raw "%{req.path}?a";', "/%3F%0d%0a", b"/%3F%0D%0A?a"),
        ('rewrite_raw "é\\n\\x00";', "/", b"/%C3%A9%0A%00"),
    ],
)
def test_a_rewrite(load_text: Load, directive: str, asked: str, target: bytes) -> None:
    site = load_text(MODULES + directive)
    head = f'GET {asked} HTTP/1.1\nX: "a b"'
    if b"%00" in target:
        with pytest.raises(Refusal, match="NUL"):
            run(site, head)
        return
    exchange = run(site, head)
    assert exchange.request.target == target
    assert exchange.request.as_received.target == asked.encode()
    assert parse_request(b"GET %b HTTP/1.0\r\n\r\n" % target, HeadLimits()).target == target


PARTS = st.sampled_from(["%0d", "%0A", "%20", "%2e", "%2F", ".", "/", "a", "%", "%25", "%ff"])


@pytest.mark.parametrize(
    "directive",
    [
        'rewrite "(?s)^(.*)$" => "$1";',
        'rewrite "(?s)^/(.*)$" => "x/$1?a=$1&%{req.path}&%{req.query}&%{req.raw_path}";',
        'rewrite_raw "^(.*)$" => "$1";',
        'rewrite_raw "^(.*)$" => "$1%{req.path}$1";',
        'header.add "X" => "%{req.path}"; req_header.add "X" => "%{req.path}%{req.raw_path}";',
    ],
)
def test_no_path_brings_a_line_end_or_a_space(load_text: Load, directive: str) -> None:
    site = load_text(MODULES + directive)

    @given(st.lists(PARTS).map("".join))
    def check(text: str) -> None:
        exchange = run(site, f"GET /{text}?{text} HTTP/1.1")
        request = exchange.request
        assert not FORBIDDEN(request.target)
        assert b" " not in request.target
        assert request.path.startswith("/")
        assert not {".", ".."} & set(request.path.split("/"))
        assert not any(FORBIDDEN(edit.value) for edit in exchange.edits)
        assert not any(FORBIDDEN(value) for _, value in request.fields)

    check()


def test_conditions_and_the_docroot_see_the_new_path(load_text: Load) -> None:
    site = load_text(
        MODULES
        + 'docroot "/before"; rewrite "^/a$" => "/b";'
        + 'if req.path == "/b" { docroot "/after"; respond "%{req.raw_path} %{req.query}"; }'
    )
    client = Client()
    answer = client.ask(site.action, "GET /a?c HTTP/1.1")
    assert answer is not None
    assert answer.body == "/b?c c"
    assert run(site, "GET /a HTTP/1.1").physical_path == "/after/b"


def test_a_path_on_disk_stays_until_the_next_docroot(load_text: Load) -> None:
    site = load_text(MODULES + 'docroot "/var"; rewrite "/b";')
    assert run(site, "GET /a HTTP/1.1").physical_path == "/var/a"


def test_what_is_answered_already_stays(load_text: Load) -> None:
    site = load_text(MODULES + 'respond "x"; rewrite "/b";')
    assert run(site, "GET /a HTTP/1.1").request.path == "/a"


def test_a_cancel_leaves_what_is_answered_already(load_text: Load) -> None:
    site = load_text(MODULES + 'respond "x"; progress.cancel "/(.+)$";')
    answer = Client().ask(site.action, "DELETE /own~a HTTP/1.1")
    assert answer is not None
    assert answer.body == "x"


@pytest.mark.parametrize("target", ["/up-{}", "/?X-Progress-ID={}"])
def test_a_warning_has_no_whole_id(
    load_text: Load, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = load_text(MODULES + 'progress.track "/up-(.+)"; progress.track;')
    run(site, f"POST {target.format('0123456789abcdef')} HTTP/1.1")
    (record,) = caplog.records
    shown = target.format("01234567...")
    assert record.getMessage() == f"progress.track: {shown} is tracked already"


def test_an_asterisk_is_no_path(load_text: Load) -> None:
    site = load_text(MODULES + 'rewrite "/b"; rewrite_raw "/c";')
    assert run(site, "OPTIONS * HTTP/1.1").request.target == b"*"


def test_actions_that_run_again_start_from_what_came(load_text: Load) -> None:
    site = load_text(
        MODULES
        + 'rewrite "^(.*)$" => "$1/b"; header.add "A" => "1"; req_header.add "B" => "2";'
        + 'if phys.path == "" { docroot "/var"; pathinfo; }'
    )
    exchange = run(site, "GET /a HTTP/1.1")
    found = exchange.physical_path, exchange.path_info
    assert found[1] == "/a/b"
    exchange.begin_again()
    assert (exchange.request.path, exchange.edits) == ("/a", ())
    assert (exchange.docroot, exchange.physical_path, exchange.path_info) == (None, None, "")
    site.action(exchange)
    assert exchange.request.path == "/a/b"
    assert (exchange.physical_path, exchange.path_info) == found
    assert len(exchange.edits) == 1
    assert [name for name, _ in exchange.request.fields].count(b"B") == 1


@pytest.mark.parametrize(
    ("directives", "fields"),
    [
        ('header.add "A" => "b";', {"A": "b"}),
        ('header.add "A", "b";', {"A": "b"}),
        ('header.add ["A" => "b"];', {"A": "b"}),
        ('header.add "A" => "%{req.path}";', {"A": "/x y"}),
        ('header.add "A" => "%{enc:req.path}";', {"A": "/x%20y"}),
        ('header.add "A" => "";', {"A": ""}),
        (r'if req.path =~ "^/(.)" { header.add "A" => "<%1>"; }', {"A": "<x>"}),
        ('header.append "A" => "b"; header.append "a" => "c";', {"A": "b, c"}),
        ('header.set "Content-Type" => "text/html";', {"Content-Type": "text/html"}),
        ('header.overwrite "content-type" => "a/b";', {"content-type": "a/b"}),
        ('header.remove "Content-Type";', {}),
        ('respond "y"; header.add "A" => "b";', {"A": "b"}),
        ('if req.path == "/other" { header.add "A" => "b"; }', {}),
    ],
)
def test_the_fields_of_a_response(load_text: Load, directives: str, fields: dict[str, str]) -> None:
    site = load_text(f'{MODULES}{directives} respond "y";')
    answer = Client().ask(site.action, "GET /x%20y HTTP/1.1")
    assert answer is not None
    kept = {} if "ontent-" in directives else {"Content-Type": "text/plain; charset=utf-8"}
    assert answer.fields == {**kept, **fields, "Content-Length": "1"}


@pytest.mark.parametrize(
    ("directives", "fields"),
    [
        ('req_header.add "A" => "2";', [(b"A", b"1"), (b"A", b"2")]),
        ('req_header.append "A" => "2";', [(b"A", b"1, 2")]),
        ('req_header.overwrite "a" => "%{req.host}";', [(b"a", b"a.example")]),
        ('req_header.set "B" => "%{req.header[A]}";', [(b"A", b"1"), (b"B", b"1")]),
        ('req_header.remove "A";', []),
        ('req_header.remove "B";', [(b"A", b"1")]),
        ('if req.header["A"] { req_header.remove "A"; }', []),
    ],
)
def test_the_fields_of_a_request(
    load_text: Load, directives: str, fields: list[tuple[bytes, bytes]]
) -> None:
    exchange = run(load_text(MODULES + directives), "GET / HTTP/1.1\nHost: a.example\nA: 1")
    assert exchange.request.fields == ((b"Host", b"a.example"), *fields)


@pytest.mark.parametrize(
    ("head", "is_allowed"),
    [
        ("POST / HTTP/1.1\nHost: a.example\nOrigin: http://a.example", True),
        ("POST / HTTP/1.1\nHost: a.example\nOrigin: http://internal", False),
        ("GET / HTTP/1.1\nHost: evil.example", False),
    ],
)
def test_what_a_browser_says_counts_for_same_origin(
    load_text: Load, head: str, is_allowed: bool
) -> None:
    changes = 'req_header.set "Host" => "internal"; req_header.remove "Origin";'
    site = load_text(MODULES + changes + 'access.same_origin "a.example"; respond "y";')
    if is_allowed:
        assert Client().ask(site.action, head) is not None
    else:
        with pytest.raises(Refusal, match="403"):
            Client().ask(site.action, head)


def test_a_redirect_stays_at_the_host_that_was_asked(load_text: Load) -> None:
    site = load_text(MODULES + 'req_header.set "Host" => "internal"; redirect "/b";')
    answer = Client().ask(site.action, "GET /a HTTP/1.1\nHost: a.example")
    assert answer is not None
    assert answer.fields["Location"] == "http://a.example/b"


def test_conditions_see_the_changed_request(load_text: Load) -> None:
    site = load_text(
        MODULES
        + 'req_header.overwrite "Host" => "b.example:81"; req_header.add "A" => "1";'
        + 'if req.host == "b.example" and req.header["A"] == "1" { respond "y"; }'
    )
    assert Client().ask(site.action, "GET / HTTP/1.1\nHost: a.example") is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("header.add;", 'header.add takes "name" => "value"'),
        ('header.add "A";', 'header.add takes "name" => "value", not a string'),
        ('header.add ["A" => "b", "C" => "d"];', 'header.add takes "name" => "value"'),
        ('header.add "A" => 3;', 'header.add takes "name" => "value", not an integer'),
        ('header.add "A b" => "c";', "header.add: 'A b' is not the name of a field"),
        ('header.add "" => "c";', "header.add: '' is not the name of a field"),
        (r'header.set "A" => "b\r\nC: d";', "header.set: a value has no line end"),
        (r'header.set "A" => "%{req.path}\x00";', "header.set: a value has no line end"),
        ('header.set "content-length" => "3";', "the gateway writes content-length itself"),
        ('header.remove "Connection";', "the gateway writes Connection itself"),
        ('header.append "Date" => "x";', "the gateway writes Date itself"),
        ("header.remove;", "header.remove takes the name of a field"),
        ('header.remove "A" => "b";', "header.remove takes the name of a field, not a list"),
        ('req_header.add "Transfer_Encoding" => "x";', "the gateway writes Transfer_Encoding"),
        ('req_header.set "X-Forwarded-For" => "x";', "the gateway writes X-Forwarded-For itself"),
        ('req_header.remove "Host";', "a request has one Host: use req_header.overwrite"),
        ('req_header.add "Host" => "a";', "a request has one Host: use req_header.overwrite"),
        ('req_header.set "Host" => "a b";', "req_header.set: 'a b' is not a host"),
        ('header.ad "A" => "b";', "there is no directive 'header.ad'; did you mean 'header.add'?"),
        ("rewrite;", 'rewrite takes a path, "expression" => "path", or a list of those'),
        ('rewrite ["a", "b", "c"];', "rewrite takes a path"),
        ('rewrite "^(" => "/x";', "bad regular expression"),
        ('rewrite "/%{req.pth}";', "a request has no variable 'req.pth'; did you mean 'req.path'?"),
        ('rewrite "/x?a=%";', "expected one of"),
        ("rewrite_raw 3;", "rewrite_raw takes a target"),
        ('progress.track "^/upload/";', "progress.track takes an expression with a group"),
        ('progress.track "(";', "bad regular expression"),
        ('progress.show "json", "x";', 'progress.show takes "json"'),
        ('progress.show "dump", "/(.+)";', 'progress.show "dump" is about all transfers'),
        ('progress.show "json", "jsonp", "/(.+)";', "progress.show takes one word and one"),
        ('progress.cancel "all", "/(.+)";', "progress.cancel takes \"any\", not 'all'"),
        ('progress.allow_origins "a.example";', "progress.allow_origins: 'a.example' is not '*'"),
        ("progress.allow_origins 3;", 'progress.allow_origins takes "*", or origins such as'),
        ('if req.host == "a.example:80" { }', "req.host has no port: compare req.localport"),
    ],
)
def test_what_is_refused_at_start(load_text: Load, text: str, message: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        load_text(MODULES + text)
    (error,) = raised.value.errors
    assert message in str(error)
