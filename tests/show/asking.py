"""Ask the show room as a front does."""

from __future__ import annotations

from concurrent.futures import Future

from mod_progress.show.answer import Answer
from mod_progress.show.question import Question

QUERY = b"X-Progress-ID=a"


def question(query: bytes = QUERY, **fields: bytes) -> Question:
    """Return a question; ``x_progress_id=b"a"`` is a request header."""
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Question("GET", query, headers.get)


def at_once(answer: Answer | Future[Answer]) -> Answer:
    """Return an answer that has to be there already."""
    if isinstance(answer, Future):
        assert answer.done()
        return answer.result()
    return answer


def body_of(answer: Answer | Future[Answer]) -> bytes:
    """Return the body of an answer that is there already, which is no stream."""
    body = at_once(answer).body
    assert isinstance(body, bytes)
    return body
