"""The records of FastCGI: what is written, what is read, and what is refused."""

from __future__ import annotations

import pytest

from mod_progress.gateway.http.fastcgi import (
    ABORT_REQUEST,
    LONGEST_CONTENT,
    STDIN_END,
    ProtocolStatus,
    RecordDecoder,
    begin_request,
    params,
    stdin_header,
)
from mod_progress.gateway.http.heads import Refusal
from tests.gateway import fastcgi_records as records
from tests.gateway.fastcgi_records import end, record, stdout


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (begin_request(False), "0101000100080000 0001000000000000"),
        (begin_request(True), "0101000100080000 0001010000000000"),
        (ABORT_REQUEST, "0102000100000000"),
        (STDIN_END, "0105000100000000"),
        (stdin_header(0x1234), "0105000112340000"),
        (params([]), "0104000100000000"),
        (params([(b"A", b"bc")]), "0104000100050000 0102 416263 0104000100000000"),
    ],
    ids=["begin", "begin and keep", "abort", "end", "body", "no variables", "variables"],
)
def test_what_is_written(written: bytes, expected: str) -> None:
    assert written == bytes.fromhex(expected)


@pytest.mark.parametrize("size", [0, 127, 128, 60_000])
def test_lengths_of_variables(size: int) -> None:
    written = params([(b"n" * size, b""), (b"", b"v" * size)])
    first, *_ = split(written)
    assert records.pairs(first) == [(b"n" * size, b""), (b"", b"v" * size)][: 1 + (size < 60_000)]


def split(written: bytes) -> list[bytes]:
    """Return the contents of records that have no padding."""
    contents = []
    while written:
        size = int.from_bytes(written[4:6])
        contents.append(written[8 : 8 + size])
        written = written[8 + size :]
    return contents


def test_a_variable_is_in_one_record_if_it_fits() -> None:
    pair = b"NAME", b"v" * 40_000
    contents = split(params([pair] * 3))
    assert [records.pairs(content) for content in contents] == [[pair], [pair], [pair], []]
    huge = b"NAME", b"v" * 100_000
    contents = split(params([huge]))
    assert [len(content) for content in contents] == [LONGEST_CONTENT, 100_008 + 1 - 65_528, 0]
    assert records.pairs(b"".join(contents)) == [huge]


def decode(decoder: RecordDecoder, data: bytes) -> bytes:
    output = decoder.feed(data)
    while decoder.more:
        output += decoder.feed(b"")
    return output


ANSWERS = [
    pytest.param(stdout(b"abc") + end(), b"abc", b"", id="one record"),
    pytest.param(stdout(b"ab", 6) + stdout(b"c") + end(padding=3), b"abc", b"", id="padding"),
    pytest.param(stdout(b"abc") + stdout(b"") + end(), b"abc", b"", id="an end of the stream"),
    pytest.param(
        record(records.STDERR, b"x\n", 1) + stdout(b"abc") + record(records.STDERR, b"y") + end(),
        b"abc",
        b"x\ny",
        id="errors",
    ),
    pytest.param(
        record(records.STDERR) + stdout(b"abc") + end(exit_code=7), b"abc", b"", id="no errors"
    ),
    pytest.param(end(), b"", b"", id="nothing"),
    pytest.param(
        record(records.UNKNOWN_TYPE, bytes(8), request=0)
        + record(records.GET_VALUES_RESULT, request=0)
        + stdout(b"a" * 65_535, 255)
        + end(),
        b"a" * 65_535,
        b"",
        id="management records",
    ),
    pytest.param(stdout(b"a") * 5000 + end(), b"a" * 5000, b"", id="tiny records"),
]


@pytest.mark.parametrize(("sent", "output", "errors"), ANSWERS)
@pytest.mark.parametrize("feed", ["whole", "byte by byte", "with trailing data"])
def test_an_answer(sent: bytes, output: bytes, errors: bytes, feed: str) -> None:
    decoder = RecordDecoder()
    after = b"\x01after" if feed == "with trailing data" else b""
    if feed == "byte by byte":
        decoded = b"".join(decode(decoder, sent[at : at + 1]) for at in range(len(sent)))
    else:
        decoded = decode(decoder, sent + after)
    assert decoder.finished
    assert (decoded, decoder.stderr, decoder.rest) == (output, errors, after)
    assert decoder.status is ProtocolStatus.REQUEST_COMPLETE


def test_a_long_stream_of_tiny_records_is_decoded_in_turns() -> None:
    decoder = RecordDecoder()
    first = decoder.feed(stdout(b"a") * 5000 + end())
    assert decoder.more
    assert 0 < len(first) < 5000


@pytest.mark.parametrize("status", ProtocolStatus)
def test_how_the_application_ends_the_request(status: ProtocolStatus) -> None:
    decoder = RecordDecoder()
    decoder.feed(end(status))
    assert decoder.finished
    assert decoder.status is status


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"\x02" + stdout(b"a")[1:],
        record(records.STDOUT, b"a", request=2),
        record(records.STDOUT, b"a", request=0),
        record(records.STDIN, b"a"),
        record(records.UNKNOWN_TYPE, bytes(8)),
        record(12),
        record(records.END_REQUEST, bytes(7)),
        record(records.END_REQUEST, bytes(9)),
        end(4),
        stdout(b"") + stdout(b"a"),
        record(records.STDERR) + record(records.STDERR, b"a"),
    ],
    ids=[
        "HTTP",
        "a version",
        "another request",
        "no request",
        "a body",
        "a management record of a request",
        "a type",
        "a short end",
        "a long end",
        "a status",
        "output after its end",
        "errors after their end",
    ],
)
def test_what_is_no_answer(sent: bytes) -> None:
    decoder = RecordDecoder()
    for data in (sent, stdout(b"a"), b""):
        with pytest.raises(Refusal, match="502"):
            decoder.feed(data)
    assert not decoder.finished
