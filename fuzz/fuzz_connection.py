"""However a pipeline of requests is split, each is answered, in order, and reaches the backend."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.backend import Backend
from tests.gateway.running import Gateway
from tests.gateway.wire import Client

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.site import Site


class Front(NamedTuple):
    gateway: Gateway
    backend: Backend


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    backend = Backend()
    own = If(lambda exchange: exchange.request.path == "/own", Respond(200, b"own"))
    action = ActionList((own, Proxy(HttpBackend(backend.address))))
    gateway = Gateway(Site(action=action, limits=Limits(drain_time=0.1)))
    yield Front(gateway, backend)
    gateway.stop()
    backend.close()


class Request(NamedTuple):
    target: bytes
    payload: bytes
    sent: bytes


@st.composite
def requests(draw: st.DrawFn) -> Request:
    target = draw(st.sampled_from([b"/own", b"/a", b"/b?c", b"/" + b"d" * 3000]))
    line = b"%b %b HTTP/1.1\r\nHost: a\r\n" % (draw(st.sampled_from([b"GET", b"POST"])), target)
    payload = draw(st.one_of(st.just(b""), st.binary(), st.just(b"GET / HTTP/1.1\r\n\r\n" * 5000)))
    if draw(st.booleans()):
        chunk = b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""
        framed = b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
    else:
        framed = b"Content-Length: %d\r\n\r\n%b" % (len(payload), payload)
    # What answers at once does not wait for the rest of a body, but closes: it gets none.
    if target == b"/own":
        payload, framed = b"", b"\r\n"
    return Request(target, payload, line + framed)


@given(st.lists(requests(), min_size=1, max_size=6), st.lists(st.integers(0, 4000), max_size=6))
def test_each_is_answered(front: Front, pipeline: list[Request], cuts: list[int]) -> None:
    before = len(front.backend.requests)
    sent = b"".join(request.sent for request in pipeline)
    places = sorted(min(cut, len(sent)) for cut in cuts)
    with Client(front.gateway.port) as client:
        for start, end in pairwise([0, *places, len(sent)]):
            client.send(sent[start:end])
        bodies = [client.answer().body for _ in pipeline]
    passed = [request for request in pipeline if request.target != b"/own"]
    assert bodies == [b"own" if r.target == b"/own" else r.target for r in pipeline]
    assert [r.payload for r in front.backend.requests[before:]] == [r.payload for r in passed]
