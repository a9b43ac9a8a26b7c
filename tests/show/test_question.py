import hashlib

import pytest

from mod_progress.show.formats import EVENTS, JSON, JSONP, Format
from mod_progress.show.question import Inquiry, Question, choose_format, inquire
from tests.show.asking import question


@pytest.mark.parametrize(
    "asked",
    [
        question(b"X-Progress-ID=a"),
        question(b"", x_progress_id=b"a"),
        question(b"x-progress-id=a", x_progress_id=b"b"),
    ],
)
def test_the_query_or_the_header_has_the_id(asked: Question) -> None:
    assert inquire(asked, JSON) == Inquiry("a", JSON, None)


SHARED = "see~" + hashlib.sha256(b"secret").hexdigest()


@pytest.mark.parametrize("identifier", ["own~secret", SHARED])
def test_either_form_of_an_id_asks_for_the_shared_one(identifier: str) -> None:
    inquiry = inquire(question(b"X-Progress-ID=" + identifier.encode()), JSON)
    assert isinstance(inquiry, Inquiry)
    assert inquiry.identifier == SHARED


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (b"text/event-stream", EVENTS),
        (b"Text/Event-Stream", EVENTS),
        (b"text/html, text/event-stream;q=0.9", EVENTS),
        (b"*/*", JSON),
        (b"application/json", JSON),
    ],
)
def test_an_event_source_gets_events(accept: bytes, form: Format) -> None:
    assert choose_format(question(accept=accept), JSON) is form
    assert choose_format(question(), JSON) is JSON


def test_an_inquiry_has_the_callback_as_it_is_sent() -> None:
    asked = question(b"X-Progress-ID=a&x-progress-callback=f%28")
    assert inquire(asked, JSONP) == Inquiry("a", JSONP, b"f(")


@pytest.mark.parametrize("query", [b"", b"a=1", b"X-Progress-ID=", b"X-Progress-ID=%20"])
def test_without_a_valid_id_nothing_is_asked(query: bytes) -> None:
    assert inquire(question(query), JSON) is None
