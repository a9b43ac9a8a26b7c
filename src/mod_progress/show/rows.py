"""How a transfer is described in a list: the members of its JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from mod_progress.identifier import obscure
from mod_progress.stores.listing import Entry, Page
from mod_progress.transfer import State

__all__ = ["LISTED_STATES", "count_states", "describe", "describe_changes", "describe_moment"]

#: The states that a listed transfer may have.
LISTED_STATES = (State.RUNNING, State.DONE, State.ERROR)

#: The members that change while a transfer is the same.
_MOVING = (
    "direction",
    "state",
    "received",
    "sent",
    "request_size",
    "response_size",
    "status",
)


def describe(entry: Entry, whole: bool) -> dict[str, object]:
    """Return all members. With ``whole`` the id is not cut."""
    identifier, snapshot, details, _ = entry
    return {
        "id": identifier if whole else obscure(identifier),
        "method": details.method,
        "path": details.path,
        "peer": details.peer,
        "direction": snapshot.direction,
        "started": describe_moment(snapshot.started / 1e9),
        "state": snapshot.state,
        "received": snapshot.received,
        "sent": snapshot.sent,
        "request_size": snapshot.request_size,
        "response_size": snapshot.response_size,
        "status": snapshot.status,
        "rate": _rate(entry),
    }


def describe_changes(entry: Entry, before: Entry, whole: bool) -> dict[str, object]:
    """Return the members by which an entry differs from an earlier one of the same id.

    The rate alone is no change: it is an average, which also sinks while nothing moves.
    """
    now, then = entry.snapshot, before.snapshot
    if entry.details != before.details or now.started != then.started:
        return describe(entry, whole)
    if now == then:
        return {}
    changes: dict[str, object] = {
        name: value for name in _MOVING if (value := getattr(now, name)) != getattr(then, name)
    }
    changes["rate"] = _rate(entry)
    return changes


def describe_moment(seconds: float) -> str | None:
    """Return a time in UTC as RFC 3339 has it; None where it is none."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def count_states(page: Page) -> Mapping[State, int]:
    """Return how many transfers there are of each state, also where there are none."""
    return {state: page.states.get(state, 0) for state in LISTED_STATES}


def _rate(entry: Entry) -> int | None:
    return None if entry.rate is None else round(entry.rate)
