"""Whatever one client, or backend, sends at once: others have their turn meanwhile."""

from __future__ import annotations

import threading

import pytest

from mod_progress.gateway.http.chunked import ChunkedDecoder, encode_chunk
from tests.gateway.backend import Peer
from tests.gateway.fronts import CHUNKED, GET, OWN, Front, Limited
from tests.gateway.wire import Client


def ask_meanwhile(front: Front, busy: threading.Event) -> int:
    """Ask on connections of their own while ``busy`` is not set; return how many were answered."""
    answered = 0
    while not busy.is_set():
        with front.connect() as client:
            client.send(OWN)
            assert client.answer().status == 200
        answered += not busy.is_set()
    return answered


def test_thousands_of_pipelined_requests(front: Front) -> None:
    count = 60_000
    finished = threading.Event()

    def read() -> None:
        for _ in range(count):
            assert flood.answer().body == b"own\n"
        finished.set()

    with front.connect() as flood:
        reader = threading.Thread(target=read)
        writer = threading.Thread(target=flood.send, args=(OWN * count,))
        reader.start()
        writer.start()
        answered = ask_meanwhile(front, finished)
        writer.join()
        reader.join()
    assert answered > 10


def test_a_request_in_the_same_packet_as_thousands_is_answered_before_the_last(
    front: Front,
) -> None:
    with front.connect() as flood, front.connect() as other:
        flood.send(OWN * 1500)
        other.send(OWN)
        assert other.answer().status == 200
        for _ in range(1500):
            assert flood.answer().status == 200


def test_what_is_pipelined_is_answered_before_the_end_closes_it(front: Front) -> None:
    with front.connect() as client:
        client.send(OWN * 500)
        client.end()
        for _ in range(500):
            assert client.answer().status == 200
        assert client.rest() == b""


def test_chunks_of_one_byte(front: Front) -> None:
    body = b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n"
    finished = threading.Event()

    def upload() -> None:
        with front.connect() as client:
            reader = threading.Thread(target=lambda: statuses.append(client.answer().status))
            reader.start()
            client.send(CHUNKED + body)
            reader.join()
        finished.set()

    statuses: list[int] = []
    uploading = threading.Thread(target=upload)
    uploading.start()
    answered = ask_meanwhile(front, finished)
    uploading.join()
    assert statuses == [200]
    assert answered > 10


def test_interim_responses_by_the_thousand(limited: Limited) -> None:
    count = 20_000

    def flood(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * count)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    front = limited(flood)
    finished = threading.Event()

    def read(client: Client) -> None:
        for _ in range(count):
            assert client.answer().status == 103
        assert client.answer().status == 200
        finished.set()

    with front.connect() as client:
        reader = threading.Thread(target=read, args=(client,))
        reader.start()
        client.send(GET)
        answered = ask_meanwhile(front, finished)
        reader.join()
    assert answered > 10


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_decoder_stops_after_so_many_steps_and_goes_on_from_there(size: int) -> None:
    payload = b"x" * size * 5000
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
    decoder = ChunkedDecoder()
    decoded = decoder.feed(b"".join(map(encode_chunk, pieces)) + b"0\r\n\r\nnext")
    turns = 1
    while not decoder.finished:
        assert decoder.more
        decoded += decoder.feed(b"")
        turns += 1
    assert (decoded, decoder.rest) == (payload, b"next")
    assert turns > 4
