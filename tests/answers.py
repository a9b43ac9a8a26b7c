"""What a show answers, as the tests expect it."""

from __future__ import annotations

from typing import Any

Answer = dict[str, Any]


def progress(
    state: str,
    received: int = 0,
    sent: int = 0,
    request_size: int | None = 0,
    response_size: int | None = None,
) -> Answer:
    response_size = sent if response_size is None else response_size
    return {
        "state": state,
        "received": received,
        "sent": sent,
        "request_size": request_size,
        "response_size": response_size,
    }


def error(status: int) -> Answer:
    return {"state": "error", "status": status}
