"""Clients of the servers under test."""

from __future__ import annotations

import contextlib
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tests.servers.running import DEADLINE, Server

Answer = dict[str, Any]

STATES = ["unknown", "running", "done"]


class Poller:
    """Asks for one transfer, on a new connection each time, and keeps what it was answered."""

    def __init__(self, server: Server, framework: str = "plain", http2: bool = False) -> None:
        self.server = server
        self.identifier = uuid.uuid4().hex
        self.url = f"{server.origin}/{framework}/progress?X-Progress-ID={self.identifier}"
        self.http2 = http2
        self.answers: list[Answer] = []

    def ask(self) -> tuple[str, Answer]:
        with open_client(self.http2) as client:
            response = client.get(self.url)
        answer = response.json()
        self.answers.append(answer)
        return response.headers["X-Worker"], answer

    def cancel(self) -> int:
        """Cancel the transfer; return the status of the answer.

        It is repeated while the other worker does not know the transfer yet, or cannot write.
        """
        deadline = time.monotonic() + DEADLINE
        with open_client(self.http2) as client:
            while (status := client.delete(self.url).status_code) in (404, 503):
                assert time.monotonic() < deadline, status
        return status

    def ask_until(self, condition: Callable[[Answer], bool]) -> Answer:
        """Ask until an answer meets the condition; return that."""
        deadline = time.monotonic() + DEADLINE
        while not condition(answer := self.ask()[1]):
            assert time.monotonic() < deadline, answer
        return answer

    def await_answer(self, expected: Answer) -> None:
        """Ask until that is the answer."""
        self.ask_until(lambda answer: answer == expected)

    def ask_until_workers_agree(self, state: str) -> None:
        """Ask until two workers have answered the same state."""
        workers: set[str] = set()
        deadline = time.monotonic() + DEADLINE
        while len(workers) < 2:
            assert time.monotonic() < deadline, (workers, self.answers[-1])
            worker, answer = self.ask()
            if answer["state"] == state:
                workers.add(worker)

    def check(self) -> None:
        """Once known, a transfer stays so, and no counter of it steps back."""
        known = [answer for answer in self.answers if answer["state"] != "unknown"]
        assert self.answers[len(self.answers) - len(known) :] == known
        assert "error" not in {answer["state"] for answer in known}
        for member in ("received", "sent", "response_size"):
            values = [answer[member] for answer in known]
            assert values == sorted(values), member
        assert known == sorted(known, key=lambda answer: STATES.index(answer["state"]))


def open_client(http2: bool = False) -> httpx.Client:
    """Return a client for HTTP without TLS: to read all authorities would take 25 ms."""
    return httpx.Client(http1=not http2, http2=http2, timeout=DEADLINE, verify=False)


@contextlib.contextmanager
def send_request(
    poller: Poller, path: str, body: bytes = b"", length: int = 0
) -> Iterator[socket.socket]:
    """Send a request by hand, or only a part of it, and read nothing."""
    url = httpx.URL(poller.server.origin)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.connect((url.host, url.port))
        client.settimeout(DEADLINE)
        head = f"POST {path}?X-Progress-ID={poller.identifier} HTTP/1.1\r\nHost: {url.host}\r\n"
        client.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + body)
        yield client
