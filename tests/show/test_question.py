import pytest

from mod_progress.show.formats import JSON, JSONP
from mod_progress.show.question import Inquiry, inquire
from tests.show.asking import question


@pytest.mark.parametrize(
    ("query", "fields", "identifier"),
    [
        (b"X-Progress-ID=a", {}, "a"),
        (b"", {"x_progress_id": b"a"}, "a"),
        (b"x-progress-id=a", {"x_progress_id": b"b"}, "a"),
    ],
)
def test_an_inquiry_is_found_in_the_query_or_the_header(
    query: bytes, fields: dict[str, bytes], identifier: str
) -> None:
    assert inquire(question(query, **fields), JSON) == Inquiry(identifier, JSON, None)


def test_an_inquiry_has_the_callback_as_it_is_sent() -> None:
    asked = question(b"X-Progress-ID=a&x-progress-callback=f%28")
    assert inquire(asked, JSONP) == Inquiry("a", JSONP, b"f(")


@pytest.mark.parametrize("query", [b"", b"a=1", b"X-Progress-ID=", b"X-Progress-ID=%20"])
def test_without_a_valid_id_nothing_is_asked(query: bytes) -> None:
    assert inquire(question(query), JSON) is None
