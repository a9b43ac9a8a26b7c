import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from mod_progress.options import OptionError, Options


def test_the_defaults_are_the_originals() -> None:
    options = Options()
    assert (options.ttl, options.methods, options.debug) == (30.0, frozenset({"POST"}), False)
    assert options.server_timing is False


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"ttl": 0}, {"ttl": 0.0}),
        ({"ttl": 0.5}, {"ttl": 0.5}),
        ({"methods": ["PUT", "POST"]}, {"methods": frozenset({"PUT", "POST"})}),
        ({"methods": "GET"}, {"methods": frozenset({"GET"})}),
        ({"methods": ()}, {"methods": frozenset()}),
        ({"methods": ["PROPFIND"]}, {"methods": frozenset({"PROPFIND"})}),
        ({"debug": True}, {"debug": True}),
        ({"server_timing": True}, {"server_timing": True}),
    ],
)
def test_what_is_taken(given: dict[str, Any], taken: dict[str, Any]) -> None:
    options = Options(**given)
    assert {name: getattr(options, name) for name in taken} == taken


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ttl": -1}, "ttl: -1 is not a number of seconds, 0 or more"),
        ({"ttl": "30"}, "ttl: '30' is not a number of seconds, 0 or more"),
        ({"ttl": True}, "ttl: True is not a number of seconds, 0 or more"),
        ({"ttl": math.nan}, "ttl: nan is not a number of seconds, 0 or more"),
        ({"ttl": math.inf}, "ttl: inf is not a number of seconds, 0 or more"),
        ({"ttl": None}, "ttl: None is not a number of seconds, 0 or more"),
        ({"methods": 7}, "methods: 7 is not a list of HTTP methods such as 'POST'"),
        ({"methods": ["post"]}, "methods: 'post' is not an HTTP method; did you mean 'POST'?"),
        ({"methods": ["PSOT"]}, "methods: 'PSOT' is not an HTTP method; did you mean 'POST'?"),
        ({"methods": ["XYZZY"]}, "methods: 'XYZZY' is not an HTTP method"),
        ({"methods": [1]}, "methods: 1 is not an HTTP method"),
        ({"methods": [["POST"]]}, "methods: ['POST'] is not an HTTP method"),
        ({"debug": 1}, "debug: 1 is not true or false"),
        ({"debug": "yes"}, "debug: 'yes' is not true or false"),
        ({"server_timing": 1}, "server_timing: 1 is not true or false"),
    ],
)
def test_what_is_refused_and_how(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Options(**given)
    assert str(caught.value) == message


def test_options_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Options().ttl = 1  # type: ignore[misc]
