"""Ask the show room as a front does."""

from __future__ import annotations

from mod_progress.show.question import Question

QUERY = b"X-Progress-ID=a"


def question(query: bytes = QUERY, *, method: str = "GET", **fields: bytes) -> Question:
    """Return a question; ``x_progress_id=b"a"`` is a request header."""
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Question(method, query, headers.get)
