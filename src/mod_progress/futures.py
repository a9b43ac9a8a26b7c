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


def _result(source: Future[Source], failed: Callable[[Exception], Source] | None) -> Source:
    try:
        return source.result()
    except Exception as error:
        if failed is None:
            raise
        return failed(error)
