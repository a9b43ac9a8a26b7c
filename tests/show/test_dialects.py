"""The dialects, beside what the modules of nginx and Apache were recorded to answer."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.show import dialects
from mod_progress.show.answer import Answer
from mod_progress.show.dialects import render_apache
from mod_progress.show.formats import FORMATS
from mod_progress.show.responder import Responder
from mod_progress.tracker import Tracker
from mod_progress.transfer import UNKNOWN, Snapshot, State
from tests.show.asking import at_once, body_of, question
from tests.show.recordings import APACHE, NGINX, Recorded

HALF = Snapshot(State.RUNNING, 50_000, 0, 200_000)
DONE = Snapshot(State.DONE, 200_000, 2, 200_000, 2, 200)
SMALL = Snapshot(State.DONE, 2000, 0, 2000, 0, 302)
FAILED = Snapshot(State.ERROR, 2000, 0, 2000)

#: What the transfer of each recording is, by what its name begins with.
TRANSFERS = {
    "starting": UNKNOWN,
    "unknown": UNKNOWN,
    "PUT": UNKNOWN,
    "cb ": UNKNOWN,
    "default cb": UNKNOWN,
    "up1 after ttl": UNKNOWN,
    "uploading": HALF,
    "id in headers": HALF,
    "header ": HALF,
    "other case": HALF,
    "all received": Snapshot(State.RUNNING, 2000, 0, 2000),
    "done 200": DONE,
    "0 bytes": DONE,
    "chunked done": DONE,
    "chunked": Snapshot(State.RUNNING, 50_000, 0, None),
    "backend 204": SMALL,
    "backend 302": SMALL,
    "backend 404": FAILED._replace(status=404),
    "backend 500": FAILED._replace(status=500),
    "backend 503": FAILED._replace(status=503),
    "413": FAILED._replace(status=413),
    "client aborted": FAILED,
}

#: What is neither 200 nor about a transfer: `mod_progress.show.responder` and each front see to it.
OTHERS = {"no id", "short id", "POST", "HEAD"}

#: Where nginx sends back a name that a browser would run.
UNSAFE = re.compile(r"callback=my\.cb\$\[0\]<x>|cb percent-encoded")


def transfer_of(recorded: Recorded) -> Snapshot:
    return next(found for name, found in TRANSFERS.items() if recorded.asked.startswith(name))


def ask(form: str, query: bytes, snapshot: Snapshot, **fields: bytes) -> Answer:
    """Ask for a transfer that is as the snapshot says."""
    tracker = Tracker()
    tracker.look = lambda identifier: snapshot  # type: ignore[method-assign]
    return at_once(Responder(tracker, form).answer(question(query, **fields)))


NGINX_CALLBACKS = {
    "cb param other name": b"&callback=hello",  # upload_progress_jsonp_parameter named another one
    "default cb empty": b"&callback=",
    "cb after id": b"&callback=jQuery123_456",
}


def nginx_question(recorded: Recorded) -> tuple[str, bytes]:
    """Return the format and the query that ask what a recording was asked for."""
    path = re.search(r"/progress(\.\w+)?(?:&callback=(\S+))?$", recorded.asked)
    query = b"X-Progress-ID=anything" + NGINX_CALLBACKS.get(recorded.asked, b"")
    if path is None:
        return ("nginx" if "cb" in recorded.asked else "nginx.json"), query
    return f"nginx{path[1] or ''}", query + (b"&callback=" + path[2].encode() if path[2] else b"")


def same(recordings: list[Recorded]) -> list[Any]:
    return [
        pytest.param(each, id=each.asked)
        for each in recordings
        if each.asked not in OTHERS and each.status == 200 and not UNSAFE.search(each.asked)
    ]


@pytest.mark.parametrize("recorded", same(NGINX))
def test_nginx_gives_the_same(recorded: Recorded) -> None:
    form, query = nginx_question(recorded)
    found = ask(form, query, transfer_of(recorded))
    # It has lost count of a chunked body. What is here is known, and only the size is not.
    body = recorded.body.replace(b"'received' : -1", b"'received' : 50000")
    assert body_of(found) == body.replace(b'"received" : -1', b'"received" : 50000')
    assert dict(found.fields).items() >= kept(recorded).items()
    assert dict(found.fields)["X-Content-Type-Options"] == "nosniff"


def kept(recorded: Recorded) -> dict[str, str]:
    """Return the fields that a client may look at."""
    names = ("Content-Type", "Expires", "Cache-Control")
    return {name: recorded.fields[name] for name in names if name in recorded.fields}


#: Where Apache goes on to say ``starting``, as it does not look while it proxies.
BEHIND = ("uploading", "all received", "413")


def apache_question(recorded: Recorded) -> tuple[bytes, str]:
    """Return the query that asks what a recording was asked for, and the id in it."""
    found = re.search(rb'"uuid"\s?: "(\w+)"', recorded.body)
    identifier = found[1] if found else b"anything"
    callback = re.match(rb"([\w.$]+)\(", recorded.body)
    query = b"X-Progress-ID=" + identifier
    return (query + b"&callback=" + callback[1] if callback else query), identifier.decode()


def set_clock(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    monkeypatch.setattr(dialects, "time", SimpleNamespace(time=lambda: now))


@pytest.mark.parametrize("recorded", same(APACHE))
def test_apache_gives_the_same(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    query, identifier = apache_question(recorded)
    times = {name: int(at) for name, at in re.findall(rb'"(\w+)": (1\d{9})', recorded.body)}
    started, ended = times.get(b"started_at", 0), times.get(b"completed_at", 0)
    set_clock(monkeypatch, started + 0.5)
    snapshot = transfer_of(recorded)._replace(started=started * 10**9, ended=ended * 10**9)
    found = ask("apache", query, snapshot)
    assert dict(found.fields).items() >= kept(recorded).items()
    if recorded.asked.startswith(BEHIND):
        assert b'"starting"' in recorded.body
        assert b'"starting"' not in body_of(found)
        assert b'"uuid": "%b"' % identifier.encode() in body_of(found)
    else:
        assert body_of(found) == recorded.body


@pytest.mark.parametrize("name", [*FORMATS])
def test_only_the_call_of_apache_may_be_sniffed(name: str) -> None:
    for query in (b"X-Progress-ID=a", b"X-Progress-ID=a&callback=f"):
        fields = dict(FORMATS[name].fields if name == "events" else ask(name, query, HALF).fields)
        called = name == "apache" and b"callback" in query
        assert ("X-Content-Type-Options" in fields) is not called


@pytest.mark.parametrize("form", ["nginx", "nginx.jsonp", "apache"])
@pytest.mark.parametrize(
    "callback",
    [
        b"my.cb$[0]<x>",
        b"a%28b",
        b"alert(1)//",
        b"a%20b",
        b"a%0a",
        b"a;b",
        b"%c3%bc",
        b"a'",
        b"a`",
        b"a=b",
        b"%2b",
    ],
)
def test_what_is_no_name_of_a_function_is_refused(form: str, callback: bytes) -> None:
    found = ask(form, b"X-Progress-ID=a&callback=" + callback, HALF)
    assert found.status == 400
    reason = "callback is not the name of a function: letters, digits and . _ $"
    assert json.loads(body_of(found)) == {"error": reason}


@pytest.mark.parametrize(
    ("form", "callback", "status"),
    [
        ("nginx", b"a[0].b$", 200),
        ("nginx", b"a" * 200, 200),
        ("apache", b"", 400),
        ("apache", b"a[0]", 400),
        ("apache", b"a" * 64, 200),
        ("apache", b"a" * 65, 400),
        ("nginx.json", b"<x>", 200),
        ("nginx.java", b"<x>", 200),
    ],
)
def test_each_dialect_takes_the_names_that_its_module_takes(
    form: str, callback: bytes, status: int
) -> None:
    found = ask(form, b"X-Progress-ID=a&callback=" + callback, HALF)
    assert found.status == status
    called = body_of(found).startswith(callback + b"({")
    assert called is (status == 200 and "." not in form)


def test_a_dialect_has_no_answers_that_wait() -> None:
    found = ask("nginx.json", b"X-Progress-ID=a", HALF, if_none_match=b"*", prefer=b"wait=20")
    assert found.status == 200
    assert "ETag" not in dict(found.fields)


@pytest.mark.parametrize("status", [0, 200, 303])
@pytest.mark.parametrize("name", ["nginx.json", "apache"])
def test_what_was_cut_is_an_error_of_the_client(name: str, status: int) -> None:
    found = ask(name, b"X-Progress-ID=a", FAILED._replace(status=status))
    assert json.loads(body_of(found))["status"] == 400


#: A download, which the modules do not report.
DOWNLOAD = Snapshot(State.RUNNING, 0, 70, 0, 100, 200)


@pytest.mark.parametrize(
    ("snapshot", "nginx", "apache"),
    [
        (DOWNLOAD, "starting", "starting"),
        (DOWNLOAD._replace(state=State.DONE), "done", "done"),
        (HALF._replace(received=0), "uploading", "starting"),
        (HALF._replace(received=0, request_size=None), "uploading", "starting"),
        (Snapshot(State.RUNNING, 9, 70, 9, 100, 200), "uploading", "uploading"),
    ],
)
def test_the_state_where_nothing_has_come(snapshot: Snapshot, nginx: str, apache: str) -> None:
    for name, state in ("nginx.json", nginx), ("apache", apache):
        assert json.loads(body_of(ask(name, b"X-Progress-ID=a", snapshot)))["state"] == state


@pytest.mark.parametrize(
    ("age", "speed", "eta"),
    [
        (0.0, 0, 1),  # in the first second there is no speed
        (0.9, 0, 1),
        (1.0, 50_000, 4),
        (4.0, 12_500, 16),
        (40.0, 1250, 160),
        (-3.0, 0, -2),  # the clock was set back
    ],
)
def test_apache_estimates_in_whole_seconds(
    monkeypatch: pytest.MonkeyPatch, age: float, speed: int, eta: int
) -> None:
    set_clock(monkeypatch, 1_000_000 + age)
    found = json.loads(render_apache(HALF._replace(started=10**15)))
    assert (found["speed"], found["eta"]) == (speed, 1_000_000 + eta)


def test_the_end_that_is_expected_is_never_over(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, 1_000_010)
    found = json.loads(render_apache(HALF._replace(received=200_000, started=10**15)))
    assert found["eta"] == 1_000_011


def test_lighttpd_1_gives_xml() -> None:
    found = ask("lighttpd1", b"X-Progress-ID=anything&callback=f", HALF)
    assert dict(found.fields) == {
        "Content-Type": "text/xml",
        "Pragma": "no-cache",
        "Expires": "Thu, 19 Nov 1981 08:52:00 GMT",
        "Cache-Control": "no-store, no-cache, must-revalidate, post-check=0, pre-check=0",
        "X-Content-Type-Options": "nosniff",
    }
    upload = ElementTree.fromstring(body_of(found))
    assert [(part.tag, part.text) for part in upload] == [("size", "200000"), ("received", "50000")]


COUNTS = st.integers(0, 2**63)


@given(
    st.builds(
        Snapshot,
        st.sampled_from(State),
        COUNTS,
        COUNTS,
        st.none() | COUNTS,
        COUNTS,
        st.integers(0, 999),
        COUNTS,
        COUNTS,
    ),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128),
)
def test_every_transfer_is_told_in_every_dialect(snapshot: Snapshot, identifier: str) -> None:
    told = json.loads(render_apache(snapshot, None, identifier))
    assert told["uuid"] == identifier
    said = json.loads(FORMATS["nginx.json"].render(snapshot))
    assert FORMATS["nginx"].render(snapshot) == b"(%b);\r\n" % json_of(said)
    java = FORMATS["nginx.java"].render(snapshot)
    assert java.replace(b"'", b'"') == b"new Object(%b)\r\n" % json_of(said)
    for found in told, said:
        assert found["state"] in ("starting", "uploading", "done", "error")
    assert xml_of(snapshot) == FORMATS["lighttpd1"].render(snapshot)


def xml_of(snapshot: Snapshot) -> bytes:
    """Write an answer as lighttpd 1's module does."""
    if snapshot.state is not State.RUNNING or snapshot.request_size == 0:
        return b"not in progress"
    size = -1 if snapshot.request_size is None else snapshot.request_size
    text = f"<upload><size>{size}</size><received>{snapshot.received}</received></upload>"
    return b'<?xml version="1.0" encoding="iso-8859-1"?>' + text.encode()


def json_of(said: dict[str, object]) -> bytes:
    """Write an object as nginx's module does."""
    return (
        b"{ %b }"
        % ", ".join(f'"{name}" : {json.dumps(value)}' for name, value in said.items()).encode()
    )


@pytest.mark.parametrize("query", [b"", b"&callback=f"])
@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.dialect])
def test_a_script_is_kept_from_pages_that_may_not_read(name: str, query: bytes) -> None:
    responder = Responder(Tracker(), name, allow_origins="https://page.example")
    asked = question(b"X-Progress-ID=a" + query, referer=b"https://evil.example/")
    is_script = name in ("nginx", "nginx.java", "nginx.jsonp") or (name == "apache" and query)
    assert at_once(responder.answer(asked)).status == (403 if is_script else 200)
