from concurrent.futures import CancelledError, Future

import pytest

from mod_progress.futures import chain_future, map_future


@pytest.fixture
def source() -> Future[int]:
    return Future()


def test_the_result_is_changed(source: Future[int]) -> None:
    mapped = map_future(source, lambda number: number + 1)
    assert not mapped.done()
    source.set_result(1)
    assert mapped.result(0) == 2


def test_a_result_that_is_there_is_changed_at_once(source: Future[int]) -> None:
    source.set_result(1)
    assert map_future(source, str).result(0) == "1"


def test_what_the_source_raises_is_raised(source: Future[int]) -> None:
    mapped = map_future(source, str)
    source.set_exception(LookupError("gone"))
    with pytest.raises(LookupError, match="gone"):
        mapped.result(0)


def test_what_the_source_raises_can_be_replaced(source: Future[int]) -> None:
    mapped = map_future(source, lambda number: number + 1, lambda error: len(str(error)))
    source.set_exception(LookupError("gone"))
    assert mapped.result(0) == len("gone") + 1


def test_what_the_change_raises_is_raised(source: Future[int]) -> None:
    mapped = map_future(source, lambda number: number // 0)
    source.set_result(1)
    with pytest.raises(ZeroDivisionError):
        mapped.result(0)


def test_to_cancel_it_cancels_the_source(source: Future[int]) -> None:
    mapped = map_future(map_future(source, str), str)
    assert mapped.cancel()
    assert source.cancelled()
    with pytest.raises(CancelledError):
        mapped.result(0)


def test_a_source_that_cannot_be_cancelled_goes_on(source: Future[int]) -> None:
    mapped = map_future(source, str)
    source.set_running_or_notify_cancel()
    mapped.cancel()
    source.set_result(1)
    assert mapped.cancelled()


def test_a_cancelled_source_fails_it(source: Future[int]) -> None:
    mapped = map_future(source, str)
    source.cancel()
    with pytest.raises(CancelledError):
        mapped.result(0)


def fail(error: Exception) -> str:
    return f"failed: {error}"


@pytest.mark.parametrize("later", [False, True])
def test_a_change_may_take_its_time(source: Future[int], later: bool) -> None:
    changed: Future[str] = Future()
    chained = chain_future(source, lambda number: changed if later else str(number), fail)
    assert not chained.cancel()
    source.set_result(1)
    assert chained.done() is not later
    changed.set_result("1")
    assert chained.result(0) == "1"


def test_whatever_fails_in_a_chain_is_replaced() -> None:
    broken: Future[int] = Future()
    broken.set_exception(LookupError("gone"))
    assert chain_future(broken, str, fail).result(0) == "failed: gone"
    fine: Future[int] = Future()
    fine.set_result(0)
    assert chain_future(fine, lambda number: str(1 // number), fail).result(0)[:7] == "failed:"
    late: Future[str] = Future()
    chained = chain_future(fine, lambda number: late, fail)
    late.set_exception(LookupError("late"))
    assert chained.result(0) == "failed: late"
