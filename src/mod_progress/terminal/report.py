"""What a show says of a transfer: read from its JSON, and written as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mod_progress.transfer import Snapshot, State

#: No number of bytes is greater: it is the most that the counters of systems hold.
_MOST = (1 << 63) - 1


class ReportError(ValueError):
    """A text is not what a show says."""


def parse_report(text: str | bytes) -> tuple[str | None, Snapshot]:
    """Return the id that an answer or an event names, None where it names none, and the snapshot.

    Raises `ReportError`.
    """
    try:
        members = json.loads(text)
        identifier = members.get("id")
        snapshot = _parse_members(members)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ReportError("this is no progress") from error
    return (identifier if isinstance(identifier, str) else None), snapshot


def _parse_members(members: Mapping[str, Any]) -> Snapshot:
    state = State(members["state"])
    if state is State.UNKNOWN:
        return Snapshot(state)
    if state is State.ERROR:
        return Snapshot(state, status=_number(members["status"]))
    size = members["request_size"]
    return Snapshot(
        state,
        _number(members["received"]),
        _number(members["sent"]),
        None if size is None else _number(size),
        _number(members["response_size"]),
    )


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise ValueError(value)
    return value


def render_report(identifier: str, snapshot: Snapshot) -> str:
    """Return the JSON of a show in one line, with the member ``id`` before the others."""
    members: dict[str, object] = {"id": identifier, "state": snapshot.state.value}
    if snapshot.state is State.ERROR:
        members["status"] = snapshot.status
    elif snapshot.state is not State.UNKNOWN:
        members |= {
            "received": snapshot.received,
            "sent": snapshot.sent,
            "request_size": snapshot.request_size,
            "response_size": snapshot.response_size,
        }
    return json.dumps(members)
