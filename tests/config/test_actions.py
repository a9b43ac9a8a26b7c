import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mod_progress.config import InvalidConfig
from mod_progress.gateway.actions.answers import Deny, Respond
from mod_progress.gateway.actions.cancel import Cancel
from mod_progress.gateway.actions.dump import Dump
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.health import Health
from mod_progress.gateway.actions.metrics import Metrics
from mod_progress.gateway.actions.same_origin import SameOrigin
from mod_progress.gateway.actions.tracking import SetOptions, Show, Track
from mod_progress.gateway.backends.actions import Backend, BufferRequestBody, Proxy
from mod_progress.gateway.backends.fastcgi import FastCgiBackend
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.backends.scgi import ScgiBackend
from mod_progress.gateway.backends.uwsgi import UwsgiBackend
from mod_progress.gateway.exchange import Action
from mod_progress.gateway.files.path_info import PathInfo
from mod_progress.gateway.files.static import Docroot, Index, Static
from mod_progress.gateway.files.upload_limits import UploadLimits
from mod_progress.gateway.files.uploads import StoreUploads
from mod_progress.gateway.files.x_sendfile import XSendfile
from mod_progress.gateway.server.site import Site
from mod_progress.show.dump import Permission
from mod_progress.show.formats import FORMATS
from tests.config.config_client import Client

Load = Callable[[str], Site]

MODULES = (
    'setup module_load "mod_progress", "mod_access", "mod_proxy", "mod_redirect", "mod_fastcgi",'
    ' "mod_scgi", "mod_uwsgi";'
)


def action_of(site: Site) -> Action:
    """Return the one action of a configuration; behind it comes `static`."""
    assert isinstance(site.action, ActionList)
    action, static = site.action.actions
    assert static == Static()
    return action


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("progress.track;", Track()),
        ("progress.show;", Show()),
        ("progress.show none;", Show()),
        ('progress.show "json";', Show(FORMATS["json"])),
        ('progress.show ["jsonp"];', Show(FORMATS["jsonp"])),
        ('progress.show "legacy";', Show(FORMATS["legacy"])),
        ('progress.show "dump";', Dump(Permission.CUT_IDS)),
        ('progress.show "dump-ids";', Dump(Permission.WHOLE_IDS)),
        ("progress.cancel;", Cancel()),
        ('progress.cancel "any";', Cancel(any=True)),
        ('progress.methods "GET";', SetOptions(methods=frozenset({"GET"}))),
        ('progress.methods ("GET", "PUT");', SetOptions(methods=frozenset({"GET", "PUT"}))),
        ('progress.methods "GET", "PUT";', SetOptions(methods=frozenset({"GET", "PUT"}))),
        ("progress.methods ();", SetOptions(methods=frozenset())),
        ("progress.debug true;", SetOptions(debug=True)),
        ("progress.server_timing true;", SetOptions(server_timing=True)),
        ("access.deny;", Deny()),
        ("static;", Static()),
        ('docroot "/var/www";', Docroot("/var/www")),
        (r'docroot "/100\%/\\$";', Docroot("/100%/$")),
        (r'docroot "/\xff";', Docroot("/\udcff")),
        ('index "index.html";', Index(("index.html",))),
        ('index ["a", "/b"];', Index(("a", "/b"))),
        ("pathinfo;", PathInfo()),
        ('core.xsendfile "/a";', XSendfile(("/a",))),
        ('core.xsendfile "/a", "/b";', XSendfile(("/a", "/b"))),
        ('upload.store "uploads";', StoreUploads("uploads")),
        ('upload.store ["uploads"];', StoreUploads("uploads")),
        (
            'upload.store "uploads", ["form_files" => 5];',
            StoreUploads("uploads", UploadLimits(form_files=5)),
        ),
        (
            'upload.store "uploads", ["total_size" => 2 kbyte, "free_space" => 0];',
            StoreUploads("uploads", UploadLimits(total_size=2048)),
        ),
        (
            'upload.store "uploads", ["form_files" => 5, "form_parts" => 7];',
            StoreUploads("uploads", UploadLimits(5, 7)),
        ),
        ("access.same_origin;", SameOrigin()),
        ('access.same_origin "a.example";', SameOrigin(frozenset({b"a.example"}))),
        (
            'access.same_origin "A.example", "localhost";',
            SameOrigin(frozenset({b"a.example", b"localhost"})),
        ),
        ("io.buffer_request_body true;", BufferRequestBody(True)),
        ("buffer_request_body false;", BufferRequestBody(False)),
        ("respond;", Respond(200)),
        ("respond 404;", Respond(404)),
        ('respond "text";', Respond(200, b"text")),
        ('respond 403 => "Forbidden";', Respond(403, b"Forbidden")),
        ('respond [403 => "Forbidden"];', Respond(403, b"Forbidden")),
        ('respond 403, "Forbidden";', Respond(403, b"Forbidden")),
        (r'respond "100\% \$ \? \\\\";', Respond(200, b"100% $ ? \\")),
    ],
)
def test_an_action(load_text: Load, text: str, action: Action) -> None:
    assert action_of(load_text(MODULES + text)) == action


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('proxy "a:80";', HttpBackend),
        ('fastcgi "a:80";', FastCgiBackend),
        ('fastcgi ["a:80"];', FastCgiBackend),
        ('fastcgi "a:80", ["keep_alive" => true];', FastCgiBackend),
        ('scgi "a:80";', ScgiBackend),
        ('uwsgi "a:80";', UwsgiBackend),
    ],
)
def test_a_backend(load_text: Load, text: str, kind: type[Backend]) -> None:
    action = action_of(load_text(MODULES + text))
    assert isinstance(action, Proxy)
    assert isinstance(action.backend, kind)


def test_backends_that_differ_share_nothing(load_text: Load) -> None:
    text = 'fastcgi "a:80"; scgi "a:80"; fastcgi "a:80", ["keep_alive" => true]; fastcgi "a:80";'
    site = load_text(MODULES + text)
    assert isinstance(site.action, ActionList)
    backends = [action.backend for action in site.action.actions if isinstance(action, Proxy)]
    assert backends[0] is backends[3]
    assert len(set(map(id, backends))) == 3


def test_proxies_of_one_address_share_its_connections(load_text: Load) -> None:
    site = load_text(MODULES + 'proxy "a:80"; proxy "unix:/b"; proxy "a:80"; proxy "[::1]:8000";')
    assert isinstance(site.action, ActionList)
    backends = [action.backend for action in site.action.actions if isinstance(action, Proxy)]
    pools = [backend.pool for backend in backends if isinstance(backend, HttpBackend)]
    assert [each.address for each in pools] == ["a:80", "unix:/b", "a:80", "[::1]:8000"]
    assert pools[0] is pools[2]
    assert (pools[1].path, pools[3].host, pools[3].port) == ("/b", "::1", 8000)


def test_every_static_knows_where_strangers_upload(load_text: Load, tmp_path: Path) -> None:
    """Also one that is read before the `upload.store`, and the one that nobody writes."""
    site = load_text(
        MODULES + f'if req.path == "/" {{ static; }} upload.store "{tmp_path}"; static;'
    )
    assert isinstance(site.action, ActionList)
    condition, _, *statics = site.action.actions
    assert isinstance(condition, If)
    for each in (condition.then, *statics):
        assert isinstance(each, Static)
        assert each.uploads.hold(str(tmp_path / "page.html"))


REQUEST = "GET /dir/old%20page?a=1&b HTTP/1.1\nHost: www.example.com:81\nReferer: r\u00e9f"


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ('redirect "http://x.example/y";', "http://x.example/y"),
        ('redirect "/new";', "http://www.example.com:81/new"),
        ('redirect "?c=2";', "http://www.example.com:81/dir/old%20page?c=2"),
        ('redirect "./other";', "http://www.example.com:81/dir/other"),
        (
            'redirect "^/dir/(.*) (.*)$" => "/$2/$1?$0";',
            "http://www.example.com:81/page/old?/dir/old%20page",
        ),
        ('redirect "^/none" => "/new";', None),
        (
            'redirect ["^/none" => "/1", "^/dir" => "/2", "." => "/3"];',
            "http://www.example.com:81/2",
        ),
        ('redirect ["^/none", "/1"], ["^/dir", "/2"];', "http://www.example.com:81/2"),
        ('rules = ["^/dir" => "/2"]; redirect rules;', "http://www.example.com:81/2"),
        (
            'redirect "https://%{req.host}%{enc:req.path}?%{request.query}";',
            "https://www.example.com/dir/old%20page?a=1&b",
        ),
        ('redirect "/%{req.header[referer]}";', "http://www.example.com:81/r%E9f"),
        (
            'if req.host =~ "^www\\.(.*)$" { redirect "//%1/"; }',
            "http://www.example.com:81//example.com/",
        ),
        (
            'if req.host !~ "^www\\.(.*)$" { } else { redirect "/%1"; }',
            "http://www.example.com:81/example.com",
        ),
        (
            'if req.query =~ "a=(.)" { if req.host =~ "^(.)" { redirect "x:%1%2%0"; } }',
            "x:ww",
        ),
        (
            'if req.query =~ "a=(.)" { if req.host =~ "(q)" or req.query { redirect "x:%1$1"; } }',
            "x:1",
        ),
        ('redirect "x:%1";', "x:"),
        ('if req.path =~ "(?:x(y))?" { redirect "x:%1%9"; }', "x:"),
        ('if req.length == 0 { redirect "x:%{req.length}%{req.is_handled}"; }', "x:0FALSE"),
    ],
)
def test_where_a_redirect_leads(load_text: Load, text: str, location: str | None) -> None:
    site = load_text(MODULES + text)
    assert isinstance(site.action, ActionList)
    answer = Client().ask(site.action.actions[0], REQUEST)
    seen = answer and (answer.status, answer.fields["Location"], answer.body)
    assert seen == (location and (301, location, ""))


@pytest.mark.parametrize("path", ["/a%0D%0ASet-Cookie:%20x", "/%C3%A9", "/%FF", "/%01%7F"])
def test_a_redirect_never_breaks_the_head(load_text: Load, path: str) -> None:
    action = action_of(load_text(MODULES + 'redirect "https://%{req.host}%{req.path}";'))
    answer = Client().ask(action, f"GET {path} HTTP/1.1")
    assert answer is not None
    assert answer.fields["Location"] == f"https://example.com{path}"


def test_a_redirect_without_a_host_is_relative(load_text: Load) -> None:
    action = action_of(load_text(MODULES + 'redirect "/new";'))
    client = Client()
    exchange = client.exchange("GET / HTTP/1.0\nHost: x")
    exchange.request.host = b""
    action(exchange)
    assert exchange.handler is not None
    exchange.handler.handle(exchange)
    assert b"Location: /new\r\n" in client.sent


def test_a_text_is_filled_in(load_text: Load) -> None:
    text = 'respond 404 => "%{req.method} %{req.raw_path} is not at %{req.host}, %{req.remoteip}";'
    answer = Client().ask(action_of(load_text(text)), REQUEST)
    assert answer is not None
    assert answer.status == 404
    assert answer.body == ("GET /dir/old%20page?a=1&b is not at www.example.com, 192.0.2.1")


def test_the_first_that_answers_answers(load_text: Load) -> None:
    site = load_text(MODULES + 'respond 201; redirect "/x"; respond "%{req.path}"; access.deny;')
    answer = Client().ask(site.action)
    assert answer is not None
    assert answer.status == 201


def test_the_metrics_need_an_extra(load_text: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(action_of(load_text(MODULES + "progress.metrics;")), Metrics)
    monkeypatch.setitem(sys.modules, "mod_progress.gateway.actions.metrics", None)
    with pytest.raises(
        InvalidConfig, match=r"needs an extra: pip install 'mod-progress\[metrics\]'"
    ):
        load_text(MODULES + "progress.metrics;")


def test_the_health_is_an_action(load_text: Load) -> None:
    assert isinstance(action_of(load_text(MODULES + "progress.health;")), Health)
