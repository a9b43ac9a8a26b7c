"""How long a loop rests between two looks at what it waits for. No I/O."""

from __future__ import annotations

#: Seconds of rest for each second that was spent in vain: so polling uses at most 5% of a core,
#: however much is waited for.
REST = 20


def rest_after_poll(shortest: float, spent: float, polled: int, waiting: int) -> float:
    """Return the seconds to rest before the next poll, ``shortest`` at least.

    A poll took ``spent`` seconds of this thread's processor time (`time.thread_time`): on a busy
    machine the time that passes meanwhile is much longer. It asked about ``polled`` things, of
    which ``waiting`` have to be asked about again. Only their part of the time was in vain: a poll
    that finds much done is repeated soon, however long it took.
    """
    return max(shortest, REST * spent * waiting / max(1, polled))
