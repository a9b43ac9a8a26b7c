import json
from typing import Any

import pytest

from mod_progress.options import OptionError
from mod_progress.show.answer import NO_IDENTIFIER, Answer
from mod_progress.show.question import Question
from mod_progress.show.responder import Responder
from mod_progress.tracker import Tracker
from mod_progress.transfer import UNKNOWN
from tests.show.asking import QUERY, at_once, body_of, question
from tests.show.far_store import FarStore

PAGE = "https://page.example"

NAMES = "json, jsonp, legacy, events, nginx, nginx.json, nginx.java, nginx.jsonp, apache, lighttpd1"


def answer_to(asked: Question, **parameters: Any) -> Answer:
    return at_once(Responder(Tracker(), **parameters).answer(asked))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("jsn", f"format: 'jsn' is not one of {NAMES}; did you mean 'json'?"),
        (None, f"format: None is not one of {NAMES}"),
    ],
)
def test_a_wrong_format_is_named(form: Any, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        Responder(Tracker(), form)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("method", "origins", "taken"),
    [
        ("GET", (), True),
        ("HEAD", (), True),
        ("POST", "*", False),
        ("DELETE", (), True),
        ("OPTIONS", (), False),
        ("OPTIONS", "*", True),
    ],
)
def test_which_methods_ask(method: str, origins: Any, taken: bool) -> None:
    assert Responder(Tracker(), allow_origins=origins).takes(method) is taken


@pytest.mark.parametrize(
    ("query", "media_type", "body"),
    [
        (QUERY, "application/json", b'{"state": "unknown"}'),
        (QUERY + b"&format=jsonp", "application/javascript", b'progress({"state": "unknown"})'),
        (b"format=legacy&" + QUERY, "application/javascript", b'new Object({"state": "unknown"})'),
    ],
)
def test_the_query_chooses_the_format(query: bytes, media_type: str, body: bytes) -> None:
    found = answer_to(question(query))
    assert (found.status, found.body) == (200, body)
    assert found.fields == (
        ("Content-Type", media_type),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    )


def test_an_event_source_is_answered_with_events_unless_the_query_names_a_format() -> None:
    accept = b"text/event-stream"
    assert answer_to(question(accept=accept)).status == 406
    assert answer_to(question(QUERY + b"&format=json", accept=accept)).status == 200
    assert answer_to(question(QUERY + b"&format=events")).status == 406


def test_the_format_is_a_parameter_too() -> None:
    found = answer_to(question(b"", x_progress_id=b"a"), form="legacy")
    assert found.body == b'new Object({"state": "unknown"})'


def test_a_question_without_an_id_is_refused() -> None:
    assert answer_to(question(b"")) == NO_IDENTIFIER


def test_a_question_for_an_unknown_format_is_refused() -> None:
    found = answer_to(question(QUERY + b"&format=xml"))
    assert found.status == 400
    reason = f"format: 'xml' is not one of {NAMES}"
    assert json.loads(body_of(found))["error"].startswith(reason)


@pytest.mark.parametrize("name", ["jsonp", "legacy"])
@pytest.mark.parametrize(
    ("origins", "status"), [((), 200), ("*", 200), (PAGE, 403), (["null"], 403)]
)
def test_a_script_is_kept_from_pages_that_may_not_read(
    name: str, origins: Any, status: int
) -> None:
    asked = question(QUERY + b"&format=" + name.encode(), referer=b"https://evil.example/")
    found = answer_to(asked, allow_origins=origins)
    assert found.status == status
    if status == 403:
        assert "allow_origins" in json.loads(body_of(found))["error"]
        assert dict(found.fields)["Content-Type"] == "application/json"


def test_a_script_of_the_default_format_is_kept_from_them_too() -> None:
    found = answer_to(question(referer=b"https://evil.example/"), form="jsonp", allow_origins=PAGE)
    assert found.status == 403


def test_json_is_kept_from_them_by_their_browser() -> None:
    found = answer_to(question(referer=b"https://evil.example/"), allow_origins=PAGE)
    assert found.status == 200
    assert "Access-Control-Allow-Origin" not in dict(found.fields)


@pytest.mark.parametrize("query", [QUERY, b"", QUERY + b"&format=xml"])
def test_every_answer_says_which_pages_may_read_it(query: bytes) -> None:
    fields = dict(answer_to(question(query, origin=PAGE.encode()), allow_origins=PAGE).fields)
    assert fields["Access-Control-Allow-Origin"] == PAGE
    assert fields["Content-Type"] == "application/json"


@pytest.mark.parametrize("origins", [(), PAGE])
def test_an_answer_from_far_away_is_a_future(origins: Any) -> None:
    store = FarStore()
    found = Responder(Tracker(store=store), allow_origins=origins).answer(
        question(origin=PAGE.encode())
    )
    assert not isinstance(found, Answer)
    store.asked[0].set_result(UNKNOWN)
    answer = found.result(1)
    assert answer.body == b'{"state": "unknown"}'
    assert ("Access-Control-Allow-Origin" in dict(answer.fields)) is bool(origins)


def test_a_preflight_is_answered() -> None:
    found = answer_to(
        question(b"", origin=PAGE.encode())._replace(method="OPTIONS"), allow_origins=PAGE
    )
    assert (found.status, found.body) == (204, b"")
    assert dict(found.fields)["Access-Control-Allow-Origin"] == PAGE
