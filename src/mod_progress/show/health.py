"""The answer to a load balancer: whether this process works, and if not, why."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mod_progress.show.answer import Answer
from mod_progress.show.formats import JSON
from mod_progress.tracker import Tracker

__all__ = ["answer_health"]


def answer_health(tracker: Tracker, reasons: Sequence[str] = ()) -> Answer:
    """Answer at once: 200, or 503 with the ``reasons`` of the front and those of the tracker.

    A reason is in plain words, and names neither a transfer nor the store.
    """
    found = [*reasons, *tracker.troubles()]
    said = {"status": "failing" if found else "ok", "reasons": found}
    return Answer(503 if found else 200, JSON.fields, json.dumps(said).encode() + b"\n")
