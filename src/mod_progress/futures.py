"""A future that is made of another one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Source = TypeVar("Source")
Result = TypeVar("Result")


def map_future(
    source: Future[Source],
    change: Callable[[Source], Result],
    failed: Callable[[Exception], Source] | None = None,
) -> Future[Result]:
    """Return a future of ``change(result)``, where ``result`` is that of ``source``.

    Where ``source`` fails, ``failed`` is called with its exception and returns the result instead.
    Without ``failed``, and where ``change`` fails, the future fails too. Cancelling it cancels
    ``source``.
    """
    mapped: Future[Result] = Future()

    def settle(source: Future[Source]) -> None:
        if not mapped.set_running_or_notify_cancel():
            return
        try:
            mapped.set_result(change(_result(source, failed)))
        except BaseException as error:  # whoever waits has to learn of it
            mapped.set_exception(error)

    def pass_cancellation_on(mapped: Future[Result]) -> None:
        if mapped.cancelled():
            source.cancel()

    mapped.add_done_callback(pass_cancellation_on)
    source.add_done_callback(settle)
    return mapped


def chain_future(
    source: Future[Source],
    change: Callable[[Source], Result | Future[Result]],
    failed: Callable[[Exception], Result],
) -> Future[Result]:
    """Return a future of what ``change(result)`` returns, or of the result of that future.

    Where ``source``, ``change`` or that future fails, ``failed`` is called with the exception and
    returns the result instead.
    """
    chained: Future[Result] = Future()
    chained.set_running_or_notify_cancel()  # so that nobody can cancel it

    def settle(last: Future[Result]) -> None:
        try:
            chained.set_result(last.result())
        except Exception as error:
            chained.set_result(failed(error))

    def go_on(source: Future[Source]) -> None:
        try:
            changed = change(source.result())
        except Exception as error:
            chained.set_result(failed(error))
            return
        if isinstance(changed, Future):
            changed.add_done_callback(settle)
        else:
            chained.set_result(changed)

    source.add_done_callback(go_on)
    return chained


def _result(source: Future[Source], failed: Callable[[Exception], Source] | None) -> Source:
    try:
        return source.result()
    except Exception as error:
        if failed is None:
            raise
        return failed(error)
