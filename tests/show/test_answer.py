import json

import pytest

from mod_progress.show.answer import NO_IDENTIFIER, NOT_FOR_THIS_PAGE, present, refuse
from mod_progress.show.formats import JSON, JSONP, LEGACY, Format
from mod_progress.show.question import Inquiry
from mod_progress.transfer import UNKNOWN
from tests.show.asking import body_of


@pytest.mark.parametrize("form", [JSON, JSONP, LEGACY])
def test_an_answer_has_the_fields_of_its_format(form: Format) -> None:
    found = present(Inquiry("a", form, None), UNKNOWN)
    assert found.status == 200
    assert found.fields == (
        ("Content-Type", form.content_type),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    )


def test_the_callback_of_an_inquiry_is_called() -> None:
    assert present(Inquiry("a", JSONP, b"f"), UNKNOWN).body == b'f({"state": "unknown"})'


def test_a_refusal_says_why_in_json() -> None:
    refusal = refuse(404, 'no "x"')
    assert refusal.status == 404
    assert dict(refusal.fields)["Content-Type"] == "application/json"
    assert json.loads(body_of(refusal)) == {"error": 'no "x"'}


def test_the_refusals_of_all_fronts() -> None:
    assert NO_IDENTIFIER.status == 400
    assert json.loads(body_of(NO_IDENTIFIER)) == {
        "error": "X-Progress-ID is missing, or not 1 to 128 visible ASCII characters"
    }
    assert NOT_FOR_THIS_PAGE.status == 403
