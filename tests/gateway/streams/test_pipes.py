import os

import pytest

from mod_progress.gateway.streams.pipes import Pipes


def is_open(pipe: tuple[int, int]) -> bool:
    try:
        os.fstat(pipe[0])
    except OSError:
        return False
    return True


def test_an_empty_pipe_is_lent_again() -> None:
    pipes = Pipes()
    pipe = pipes.borrow()
    pipes.give_back(pipe)
    assert pipes.borrow() == pipe
    pipes.give_back(pipe, empty=False)


def test_a_pipe_that_holds_bytes_is_closed() -> None:
    pipes = Pipes()
    pipe = pipes.borrow()
    os.write(pipe[1], b"the rest of a cut body")
    pipes.give_back(pipe, empty=False)
    assert not is_open(pipe)


def test_a_pipe_never_waits() -> None:
    pipes = Pipes()
    pipe = pipes.borrow()
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
    pipes.give_back(pipe, empty=False)


def test_no_more_are_kept_than_are_of_use() -> None:
    pipes = Pipes()
    borrowed = [pipes.borrow() for _ in range(Pipes.KEPT + 3)]
    for pipe in borrowed:
        pipes.give_back(pipe)
    assert sum(map(is_open, borrowed)) == Pipes.KEPT
    for _ in range(Pipes.KEPT):
        pipes.give_back(pipes.borrow(), empty=False)
