from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mod_progress.shutdown import BELIEVED, SIGNALS, Shutdown
from tests.clock import Clock
from tests.gateway.running import eventually


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Have the handlers of this process as they were, after each test."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shutdown(clock: Clock) -> Shutdown:
    return Shutdown(clock)


class Server:
    """Handles a signal as servers do."""

    def __init__(self, number: signal.Signals) -> None:
        self.told: list[int] = []
        signal.signal(number, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        self.told.append(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_goes_on_to_the_server(
    shutdown: Shutdown, number: signal.Signals
) -> None:
    server = Server(number)
    for _ in range(3):
        shutdown.listen()
    assert not shutdown.is_near()
    signal.raise_signal(number)
    assert shutdown.is_near()
    assert server.told == [number]


def test_a_process_that_goes_on_is_not_believed_to_end_for_ever(
    shutdown: Shutdown, clock: Clock
) -> None:
    Server(signal.SIGTERM)
    shutdown.listen()
    signal.raise_signal(signal.SIGTERM)
    clock.now += BELIEVED - 1
    assert shutdown.is_near()
    clock.now += 1
    assert not shutdown.is_near()


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_what_python_does_not_handle_is_left_alone(
    shutdown: Shutdown, handler: signal.Handlers
) -> None:
    signal.signal(signal.SIGTERM, handler)
    shutdown.listen()
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_handler_that_is_set_later_is_listened_to_as_well(shutdown: Shutdown) -> None:
    Server(signal.SIGTERM)
    shutdown.listen()
    second = Server(signal.SIGTERM)
    shutdown.listen()
    signal.raise_signal(signal.SIGTERM)
    assert shutdown.is_near()
    assert second.told == [signal.SIGTERM]


def test_others_find_the_server_by_its_handler(shutdown: Shutdown) -> None:
    server = Server(signal.SIGTERM)
    shutdown.listen()
    handler: Any = signal.getsignal(signal.SIGTERM)
    assert handler != server.handle
    assert handler.__self__ is server


def test_system_calls_of_libraries_are_not_interrupted(shutdown: Shutdown) -> None:
    """They may not know that they have to try again."""
    Server(signal.SIGTERM)
    shutdown.listen()
    reading, writing = os.pipe()
    main = threading.get_native_id()

    def disturb() -> None:
        eventually(lambda: " S " in Path(f"/proc/self/task/{main}/stat").read_text())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        os.write(writing, b"x")

    thread = threading.Thread(target=disturb)
    thread.start()
    read = ctypes.CDLL(None).read(reading, ctypes.create_string_buffer(1), 1)
    thread.join()
    for descriptor in (reading, writing):
        os.close(descriptor)
    assert read == 1
    assert shutdown.is_near()


def test_in_another_thread_nothing_happens(shutdown: Shutdown) -> None:
    server = Server(signal.SIGTERM)
    thread = threading.Thread(target=shutdown.listen)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == server.handle


def test_what_the_server_raises_is_raised(shutdown: Shutdown) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    shutdown.listen()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert shutdown.is_near()


def test_a_child_was_not_told(shutdown: Shutdown) -> None:
    shutdown.note()
    child = os.fork()
    if not child:
        os._exit(shutdown.is_near())
    assert os.waitpid(child, 0)[1] == 0
    assert shutdown.is_near()
