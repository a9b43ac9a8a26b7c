"""What a client gets of a backend's answers: whole, or visibly cut, or 502; never garbage."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.gateway.backend import Peer, Script, answer_each
from tests.gateway.fronts import GET, Front
from tests.gateway.running import PATIENCE, eventually
from tests.gateway.wire import Cut

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
GET_10 = b"GET /x HTTP/1.0\r\n\r\n"
HEAD = b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"

#: How the bytes of an answer leave the backend.
FEEDS = ("whole", "byte by byte")


def answering(reply: bytes, feed: str = "whole", ending: str = "") -> Script:
    """Answer one request so, then end, reset, or keep the connection."""

    def script(peer: Peer) -> None:
        peer.request()
        for piece in [reply] if feed == "whole" else [bytes([byte]) for byte in reply]:
            peer.send(piece)
        end(peer, ending)

    return script


def end(peer: Peer, ending: str) -> None:
    """End the connection so; without an ending go on, and answer with each request's target."""
    if ending == "reset":
        peer.reset()
    elif ending == "end":
        peer.end()
        peer.read_on()
    else:
        answer_each(peer)


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *lines, b"", b""])


class Good(NamedTuple):
    """HTTP.md's row, the request, what the backend says and does then, what the client gets."""

    row: int
    request: bytes
    reply: bytes
    ending: str
    status: int
    body: bytes
    chunked: bool = False

    @property
    def kept(self) -> bool:
        """Whether the backend's connection is good for another request."""
        return self.row != 20 and not self.ending and b"HTTP/1.0" not in self.reply


_LENGTH = head(b"Content-Length: 3") + b"abc"
_CHUNKS = head(b"Transfer-Encoding: chunked") + b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\nA: b\r\n\r\n"

GOOD = [
    Good(6, GET, _CHUNKS, "", 200, b"abc", chunked=True),
    Good(6, GET, _CHUNKS.replace(b"chunked", b"Chunked"), "", 200, b"abc", chunked=True),
    Good(2, GET, _LENGTH, "", 200, b"abc"),
    Good(2, GET, head(b"Content-Length: 0"), "", 200, b""),
    Good(2, GET, head() + b"abc", "end", 200, b"abc", chunked=True),
    Good(2, GET, head(), "end", 200, b"", chunked=True),
    Good(2, GET, head(status=b"HTTP/1.0 200 OK") + b"abc", "end", 200, b"abc", chunked=True),
    Good(2, GET, head(b"Content-Length: 3", status=b"HTTP/1.0 200") + b"abc", "", 200, b"abc"),
    Good(2, GET, head(b"Content-Length: 3", status=b"HTTP/1.1 299 ") + b"abc", "", 299, b"abc"),
    Good(2, GET, head(b"Content-Length: 3", status=b"HTTP/1.1 418 \xe9") + b"abc", "", 418, b"abc"),
    Good(19, POST, _LENGTH.replace(b"200 OK", b"413 X"), "reset", 413, b"abc"),
    # 20: no body, and what comes nevertheless
    *(
        Good(20, request, head(*lines, status=b"HTTP/1.1 " + status) + junk, ending, code, b"")
        for request, status, code in (
            (HEAD, b"200 OK", 200),
            (GET, b"204 No Content", 204),
            (GET, b"304 Not Modified", 304),
        )
        for lines in ((), (b"Content-Length: 3",), (b"Transfer-Encoding: chunked",))
        for junk in (b"", b"abc", _LENGTH)
        for ending in ("", "end")
    ),
    # 25: never chunked to an HTTP/1.0 client
    Good(25, GET_10, _CHUNKS, "", 200, b"abc"),
    Good(25, GET_10, _LENGTH, "", 200, b"abc"),
    Good(25, GET_10, head() + b"abc", "end", 200, b"abc"),
    # 28: interim answers, none of them final, none for an HTTP/1.0 client
    *(
        Good(28, request, head(b"Link: a", status=b"HTTP/1.1 " + status) + _LENGTH, "", 200, b"abc")
        for request in (GET, GET_10)
        for status in (b"100 Continue", b"102 Processing", b"103 Early Hints", b"199 x")
    ),
]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(
    "case", GOOD, ids=[f"{c.row}-{c.request[:4]!r}-{c.reply[:70]!r}" for c in GOOD]
)
def test_a_good_answer_goes_on(front: Front, case: Good, feed: str) -> None:
    front.backend.begin(answering(case.reply, feed, case.ending))
    old = case.request is GET_10
    with front.connect() as client:
        client.send(case.request)
        answer = client.answer("HEAD" if case.request is HEAD else "GET")
        if case.row == 28 and not old:
            assert answer.status == int(case.reply[9:12])
            assert answer.lines == [b"Link: a"]
            answer = client.answer()
        assert (answer.status, answer.body, answer.chunked) == (
            case.status,
            case.body,
            case.chunked,
        )
        assert answer["Connection"] == (b"close" if old else None)
        if old:
            assert client.rest() == b""
            return
        front.backend.script = answer_each
        client.send(NEXT)
        assert client.answer().body == b"/next"
    assert len(front.backend.peers) == (1 if case.kept else 2)


@pytest.mark.parametrize("junk", [b"junk", _LENGTH, b"\r\n", b"\0"])
@pytest.mark.parametrize("reply", [_LENGTH, _CHUNKS, head(b"Content-Length: 0")])
def test_what_follows_an_answer_is_nobodys(front: Front, reply: bytes, junk: bytes) -> None:
    front.backend.begin(answering(reply + junk))
    with front.connect() as client:
        client.send(GET)
        assert client.answer().body in (b"abc", b"")
        front.backend.script = answer_each
        client.send(NEXT)
        assert client.answer().body == b"/next"
    assert len(front.backend.peers) == 2


class Bad(NamedTuple):
    """HTTP.md's row, what the backend says instead of an answer, and what it does then."""

    row: int
    reply: bytes
    ending: str = "end"


BAD = [
    # 1-7: ambiguous or broken framing
    Bad(1, head(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    Bad(2, head(b"Content-Length: 3", b"Content-Length: 3") + b"abc"),
    Bad(2, head(b"Content-Length: 3", b"Content-Length: 4") + b"abc"),
    Bad(2, head(b"Content-Length: 3, 3") + b"abc"),
    Bad(2, head(b"Content-Length: +3") + b"abc"),
    Bad(2, head(b"Content-Length: 0x3") + b"abc"),
    Bad(2, head(b"Content-Length: ") + b"abc"),
    Bad(2, head(b"Content-Length: 99999999999999999999") + b"abc"),
    Bad(3, head(b"Transfer-Encoding: gzip") + b"abc"),
    Bad(3, head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"),
    Bad(3, head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    Bad(3, head(b"Transfer-Encoding: chunked", status=b"HTTP/1.0 200 OK") + b"0\r\n\r\n"),
    Bad(4, head(b"Transfer-Encoding: chunked") + b"x\r\nabc\r\n0\r\n\r\n", ""),
    Bad(4, head(b"Transfer-Encoding: chunked") + b"0x3\r\nabc\r\n0\r\n\r\n", ""),
    # 8-12: heads that are not HTTP/1.1
    Bad(8, b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc"),
    Bad(8, b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\nContent-Length: 3\r\n\r\nabc"),
    Bad(9, head(b"A: b", b" c", b"Content-Length: 3") + b"abc"),
    Bad(10, head(b"Content-Length : 3") + b"abc"),
    Bad(10, head(b" A: b", b"Content-Length: 3") + b"abc"),
    Bad(11, head(b"A: b\x00c", b"Content-Length: 3") + b"abc"),
    Bad(11, head(b"A: b\x1bc", b"Content-Length: 3") + b"abc"),
    Bad(12, head(b"A b: c", b"Content-Length: 3") + b"abc"),
    Bad(12, head(b"A", b"Content-Length: 3") + b"abc"),
    Bad(13, head(b"A: " + b"b" * 40000), ""),
    Bad(13, b"HTTP/1.1 200 OK\r\nA: " + b"b" * 40000, ""),
    Bad(13, head(*[b"A: b"] * 101, b"Content-Length: 0"), ""),
    Bad(17, head(b"Content-Length: 0", status=b"HTTP/2.0 200 OK"), ""),
    Bad(17, head(b"Content-Length: 0", status=b"HTTP/0.9 200 OK"), ""),
    Bad(17, head(b"Content-Length: 0", status=b"http/1.1 200 OK"), ""),
    # 28: a switch that nobody asked for
    Bad(28, head(b"Connection: upgrade", b"Upgrade: websocket", status=b"HTTP/1.1 101 Switch")),
    Bad(28, head(status=b"HTTP/1.1 103 Early Hints")),
    # 29: garbage, and heads that are cut
    Bad(29, b""),
    Bad(29, b"", "reset"),
    Bad(29, b"garbage\r\n", ""),
    Bad(29, b"SSH-2.0-OpenSSH\r\n", ""),
    Bad(29, b"\x16\x03\x01\x02\x00\x01", ""),
    Bad(29, b"<html>abc</html>"),
    Bad(29, b"\r\n" + _LENGTH),
    Bad(29, b"H"),
    Bad(29, b"HTTP/1.1 200 OK\r\nContent-Le"),
    Bad(29, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", "reset"),
    Bad(29, head(b"Content-Length: 0", status=b"HTTP/1.1 99 x"), ""),
    Bad(29, head(b"Content-Length: 0", status=b"HTTP/1.1 600 x"), ""),
    Bad(29, head(b"Content-Length: 0", status=b"HTTP/1.1 2000 x"), ""),
    Bad(29, head(b"Content-Length: 0", status=b"HTTP/1.1 -20 x"), ""),
    Bad(29, head(b"Content-Length: 0", status=b"HTTP/1.1  200 x"), ""),
    Bad(29, head(b"Content-Length: 0", status=b"HTTP/1.1 200\x00 x"), ""),
]


#: Of a broken body that comes byte by byte, the head is with the client already.
_BAD = [(case, feed) for case in BAD for feed in FEEDS if case.row != 4 or feed == "whole"]


@pytest.mark.parametrize(
    ("case", "feed"), _BAD, ids=[f"{c.row}-{c.reply[:70]!r}-{c.ending}-{feed}" for c, feed in _BAD]
)
def test_a_bad_answer_becomes_502(front: Front, case: Bad, feed: str) -> None:
    front.backend.begin(answering(case.reply, feed, case.ending))
    with front.connect() as client:
        client.send(POST)
        answer = client.answer()
        if case.reply.startswith(b"HTTP/1.1 103"):
            assert answer.status == 103
            answer = client.answer()
        assert answer.status == 502
        assert answer.body == b"502 Bad Gateway\n"
        front.backend.script = answer_each
        client.send(NEXT)
        assert client.answer().body == b"/next"
    assert len(front.backend.peers) == 2
    eventually(lambda: front.backend.peers[0].ending or case.ending == "reset")


_LARGE = b"a" * 100_000


@pytest.mark.parametrize("request_", [GET, GET_10], ids=["1.1", "1.0"])
@pytest.mark.parametrize(
    ("reply", "ending"),
    [
        (head(b"Content-Length: 4") + b"abc", "end"),
        (head(b"Content-Length: 4") + b"abc", "reset"),
        (head(b"Content-Length: 1000000") + _LARGE, "end"),
        (head(b"Content-Length: 1000000") + _LARGE, "reset"),
        (head(b"Transfer-Encoding: chunked"), "end"),
        (head(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n", "end"),
        (head(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n", "reset"),
        (head(b"Transfer-Encoding: chunked") + b"3\r\nab", "end"),
        (head(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n", "end"),
        (head(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\nA: b\r\n", "reset"),
        (head(b"Transfer-Encoding: chunked") + b"3\r\nabcd\r\n0\r\n\r\n", ""),
        (head(b"Transfer-Encoding: chunked") + b"3\r\nabc\n0\r\n\r\n", ""),
        (head(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\nz\r\n\r\n", ""),
        (head(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\nA\r\n\r\n", ""),
        (head() + b"abc", "reset"),
    ],
)
def test_a_cut_body_stays_visibly_cut(
    front: Front, request_: bytes, reply: bytes, ending: str
) -> None:
    with front.connect() as client:

        def script(peer: Peer) -> None:
            peer.request()
            start = reply.index(b"\r\n\r\n") + 4
            peer.send(reply[:start])
            client.started.wait(PATIENCE)
            peer.send(reply[start:])
            end(peer, ending)

        front.backend.begin(script)
        client.send(request_)
        with pytest.raises(Cut):
            client.answer()
