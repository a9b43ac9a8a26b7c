"""Ask Linux how much of a TCP connection's data its peer has acknowledged.

By sock_diag(7), a connection is asked about by its two addresses alone. No descriptor is held, so
nothing here can keep a connection open that a server means to close. One question is two system
calls, 1.2 microseconds in all. No privilege is needed. Only the connections of this process's
network namespace can be found.
"""

from __future__ import annotations

import atexit
import errno
import itertools
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from mod_progress.fork import renew_after_fork

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
_AF_NETLINK = 16
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_INET_DIAG_INFO = 2
_ANY_STATE = 0xFFFFFFFF
_ANY_COOKIE = b"\0\0\0\0" + b"\xff" * 8  # no interface, INET_DIAG_NOCOOKIE twice
_DEATHS_OF_TCP4 = 1 << 0  # SKNLGRP_INET_TCP_DESTROY
_DEATHS_OF_TCP6 = 1 << 2  # SKNLGRP_INET6_TCP_DESTROY
_TCP_CLOSE_WAIT = 8  # include/net/tcp_states.h
_TCP_LISTEN = 10

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence number, port
_REQUEST = struct.Struct("=BBBBI")  # inet_diag_req_v2 before its addresses
_ADDRESSES = struct.Struct("!HH16s16s")  # inet_diag_sockid before its interface
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
_I32 = struct.Struct("=i")
_U32 = struct.Struct("=I")
_U64 = struct.Struct("=Q")

_ERROR = 16  # the error of an nlmsgerr, behind nlmsghdr
_STATE = 17  # idiag_state, behind nlmsghdr
_KEY = slice(20, 20 + _ADDRESSES.size)  # the addresses in an inet_diag_msg
_WQUEUE = 76  # idiag_wqueue
_ATTRIBUTES = 88  # what follows an inet_diag_msg
_BYTES_ACKED = 120  # tcpi_bytes_acked in tcp_info

#: A connection that both sides closed in order is remembered without its counters. Its state
#: (FIN-WAIT-2 or TIME-WAIT) says that the peer acknowledged everything.
EVERYTHING = 1 << 62

#: How long an answer can be: an inet_diag_msg with its attributes has some 400 bytes.
_ANSWER = 8192

#: How many deaths are read at a time, so that a reader has time for something else. Reading one
#: takes 2 microseconds.
_DEATHS_AT_ONCE = 10_000


class Progress(NamedTuple):
    """How far a connection's outgoing data got.

    ``acknowledged`` are the bytes that the peer acknowledged since the connection began, ``queued``
    those that wait in the system's queue, sent or not. When a connection closes in order, its end
    counts as a byte. ``half_closed`` means that the peer will send nothing more.
    """

    acknowledged: int
    queued: int
    half_closed: bool = False


class Connection:
    """A TCP connection of this network namespace, if it has one between these two addresses.

    Raises ValueError where they are none: a name, a path, one of another family.
    """

    __slots__ = ("_question", "key")

    def __init__(self, own: tuple[str, int], peer: tuple[str, int]) -> None:
        family = socket.AF_INET6 if ":" in own[0] else socket.AF_INET
        try:
            hosts = (socket.inet_pton(family, host) for host, _ in (own, peer))
            addresses = _ADDRESSES.pack(own[1], peer[1], *hosts)
        except (OSError, struct.error, ValueError) as error:
            raise ValueError(f"not the addresses of a connection: {own}, {peer}") from error
        #: The addresses as the system writes them; `Deaths` names a connection by it.
        self.key = addresses
        info = 1 << (_INET_DIAG_INFO - 1)
        request = _REQUEST.pack(family, socket.IPPROTO_TCP, info, 0, _ANY_STATE)
        self._question = request + self.key + _ANY_COOKIE

    def progress(self) -> Progress | None:
        """Return how far it got; None where there is no such connection, or no more.

        Raises OSError where the system cannot be asked.
        """
        first = self._ask()
        if first is None or not first.queued:
            return first
        # Linux reads the queue first, then what is acknowledged (tcp_diag_get_info). Bytes that are
        # acknowledged in between are in both numbers, so that their sum is too large.
        second = self._ask()
        if second is None:
            return None
        most = max(0, first.acknowledged + first.queued - second.acknowledged)
        return second._replace(queued=min(second.queued, most))

    def _ask(self) -> Progress | None:
        answer = _questions.ask(self._question)
        # Where there is no such connection, Linux answers with the socket that would accept one.
        if answer is None or answer[_STATE] == _TCP_LISTEN:
            return None
        return _read_progress(answer)


class Deaths:
    """The TCP connections that end, with what their peers had acknowledged by then.

    A connection that is gone cannot be asked about, and one that its peer closed in good order
    is gone as fast as one that was reset. How far it got, the system says in a message to those who
    listen. The message comes when the last descriptor of the connection is closed, which may be
    long after a reset.

    Raises OSError where the system sends no such messages.
    """

    def __init__(self) -> None:
        #: Whether some were lost before the last reading: more ended than the socket holds.
        self.lost = False
        self._socket = _open_socket()
        try:
            # As much as the system gives (net.core.rmem_max), for the connections of all programs.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self._socket.bind((0, _DEATHS_OF_TCP4 | _DEATHS_OF_TCP6))
        except OSError:
            _close(self._socket)
            raise

    def read(self) -> Iterator[tuple[bytes, Progress]]:
        """Yield connections that ended since the last call, by `Connection.key`.

        Raises OSError where the system sends no more messages.
        """
        self.lost = False
        for _ in range(_DEATHS_AT_ONCE):
            try:
                message = self._socket.recv(_ANSWER)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost = True
                continue
            if len(message) >= _ATTRIBUTES:
                yield message[_KEY], _read_progress(message)

    def close(self) -> None:
        """Stop listening."""
        _close(self._socket)


class _Questions:
    """The one socket for questions, opened with the first."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """A child that shared its parent's socket would take its answers."""
        # Reentrant: a garbage collection inside may close an abandoned response, which asks too.
        self._lock = threading.RLock()
        self._sequence = itertools.count(1)
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Let go of the socket; the next question opens another."""
        with self._lock:
            self._close()

    def ask(self, question: bytes) -> bytes | None:
        """Return the system's answer, None where it knows no such connection.

        Raises OSError where it does not answer. The next question goes through a new socket then.
        """
        with self._lock:
            try:
                return self._exchange(question)
            except OSError:
                self._close()
                raise

    def _close(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            _close(opened)

    def _exchange(self, question: bytes) -> bytes | None:
        if self._socket is None:
            self._socket = _open_socket()
        sequence = next(self._sequence) & 0xFFFFFFFF
        size = _HEADER.size + len(question)
        header = _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, sequence, 0)
        self._socket.send(header + question)
        # The answer is there when send() returns. An older one is there too where a signal's
        # exception came between the two calls.
        while True:
            answer = self._socket.recv(_ANSWER)
            if len(answer) < _ERROR + _I32.size:
                raise OSError(errno.EBADMSG, "the system's answer is too short")
            _, kind, _, answered, _ = _HEADER.unpack_from(answer)
            if answered == sequence:
                return _check_answer(kind, answer)


_questions = _Questions()
atexit.register(_questions.close)


def _open_socket() -> socket.socket:
    """Return a socket to the system. Raises OSError where it does not offer one."""
    opened = socket.socket(_AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG)
    opened.setblocking(False)  # not by SOCK_NONBLOCK, which gevent's sockets ignore
    return opened


def _close(opened: socket.socket) -> None:
    """Close a socket. Does nothing where somebody else closed its descriptor before."""
    with suppress(OSError):
        opened.close()


def _check_answer(kind: int, answer: bytes) -> bytes | None:
    if kind == _SOCK_DIAG_BY_FAMILY and len(answer) >= _ATTRIBUTES:
        return answer
    error = -_I32.unpack_from(answer, _ERROR)[0] if kind == _NLMSG_ERROR else errno.EBADMSG
    if error == errno.ENOENT:
        return None
    raise OSError(error, os.strerror(error))


def _read_progress(message: bytes) -> Progress:
    at = _ATTRIBUTES
    least = _ATTRIBUTE.size + _BYTES_ACKED + _U64.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _INET_DIAG_INFO and least <= length <= len(message) - at:
            (acknowledged,) = _U64.unpack_from(message, at + _ATTRIBUTE.size + _BYTES_ACKED)
            (queued,) = _U32.unpack_from(message, _WQUEUE)
            return Progress(acknowledged, queued, message[_STATE] == _TCP_CLOSE_WAIT)
        at += max(_ATTRIBUTE.size, length + 3 & ~3)
    return Progress(EVERYTHING, 0)
