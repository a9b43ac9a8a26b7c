"""Numbers and states as people read them.

Sizes and durations are written as `web/progress.js` writes them in English.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from mod_progress.terminal.meter import Meter, Phase
from mod_progress.transfer import State

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")

#: Seconds of the longest time left whose end is told: nobody plans by a later one.
_FORESEEABLE = 30 * 24 * 3600


def size(amount: float) -> str:
    """Return bytes as ``12.4 MB``."""
    number, unit = _scale(amount)
    return f"{number} {unit}"


def rate(amount: float) -> str:
    """Return bytes a second as ``12.4 MB/s``."""
    return f"{size(amount)}/s"


def size_of(amount: int, total: int | None) -> str:
    """Return ``31.2 of 73.4 MB``, or the amount alone where that is all or the total is unknown."""
    if total is None or amount >= total:
        return size(amount)
    number, unit = _scale(amount)
    all_of_them = size(total)
    return f"{number}{'' if all_of_them.endswith(unit) else f' {unit}'} of {all_of_them}"


def _scale(amount: float) -> tuple[str, str]:
    """Return the number and its unit, by powers of 1000."""
    step = 0
    # From 999.5 on it would be rounded to 1000.
    while amount >= 999.5 and step < len(_UNITS) - 1:
        amount /= 1000
        step += 1
    number = f"{amount:.{0 if step < 2 else 1}f}"
    return number, _UNITS[step] if step or number != "1" else "byte"


def duration(seconds: float) -> str:
    """Return ``4 min 20 sec``; at least one second."""
    whole = _whole(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    parts = [(hours, "hr"), (minutes, "min"), (whole % 60 if whole < 600 else 0, "sec")]
    return " ".join(f"{amount:,} {unit}" for amount, unit in parts if amount)


def _whole(seconds: float) -> int:
    return max(1, math.floor(seconds + 0.5))


def clock(seconds: float, now: datetime) -> str:
    """Return the time of day so many seconds from now; empty if that is too far away to tell.

    Another day is named: ``Thu 02:10``.
    """
    if seconds > _FORESEEABLE:
        return ""
    then = now + timedelta(seconds=max(1.0, seconds))
    if then.date() == now.date():
        return f"{then:%H:%M:%S}"
    return f"{then:%a %H:%M}" if then - now < timedelta(days=6) else f"{then:%d %b}"


def headline(meter: Meter) -> str:
    """Return how far a transfer is: a percentage while it moves, else the word for what it does."""
    share = meter.share
    if share is None or meter.phase not in (Phase.UPLOADING, Phase.DOWNLOADING):
        return meter.phase.value
    # Rounded down, as 100% is for what is all there.
    return f"{int(100 * share)}%"


def reason(meter: Meter) -> str:
    """Return why a transfer failed, in a few words."""
    snapshot = meter.snapshot
    if snapshot.state is State.ERROR:
        return f"status {snapshot.status}" if snapshot.status else "cut off"
    return "no longer known" if meter.seen else "unknown id"


def stopwatch(seconds: float) -> str:
    """Return seconds as ``4:20`` or ``1:04:20``; at least one second."""
    minutes, rest = divmod(_whole(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
