import re

import pytest

from mod_progress.config.errors import UnplacedError
from mod_progress.config.patterns import compile_expression, find_variable, parse_pattern
from mod_progress.gateway.actions.conditions import PHYSICAL, VARIABLES
from tests.config.config_client import Client

REQUEST = "GET /a%20b?c=d HTTP/1.1\nReferer: e"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("", ""),
        ("plain é", "plain é"),
        (r"\%\$\?\\", "%$?\\"),
        ("%{req.path}", "/a b"),
        ("%{request.path}", "/a b"),
        ("<%{enc:req.path}>", "</a%20b>"),
        ("%{req.header[Referer]}%{req.header[none]}", "e"),
        ("%{enc:req.header[Referer]}", "e"),
        ("$1$0", "y<xyz>"),
        ("$9", ""),
        ("%1%0%2", "dc=d"),
    ],
)
def test_a_pattern(pattern: str, text: str) -> None:
    exchange = Client().exchange(REQUEST)
    search = re.compile(rb"c=(.)").search
    parsed = parse_pattern(pattern, [lambda exchange: search(exchange.request.query)])
    match = re.search("<x(.)z>", "<xyz>")
    assert parsed.fill(exchange, match).decode() == text


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("%", "expected one of"),
        ("a$", "expected one of"),
        (r"\d", "expected one of"),
        ("%{req.path", "expected one of"),
        ("%{}", "a request has no variable ''"),
        ("%{path}", "a request has no variable 'path'"),
        ("%{req.header}", "needs the name of a header field"),
        ("%{req.path[a]}", "takes nothing in brackets"),
    ],
)
def test_what_is_no_pattern(pattern: str, message: str) -> None:
    with pytest.raises(UnplacedError, match=message):
        parse_pattern(pattern, [])


@pytest.mark.parametrize("name", VARIABLES)
def test_each_variable_has_two_names(name: str) -> None:
    assert find_variable(f"req.{name}", None) is find_variable(f"request.{name}", None)


@pytest.mark.parametrize("name", PHYSICAL)
def test_each_variable_of_the_file_has_two_names(name: str) -> None:
    assert find_variable(f"phys.{name}", None) is find_variable(f"physical.{name}", None)


@pytest.mark.parametrize(
    "expression",
    ["(", "[[:alpha:]]", "a{99999999999999999999}", "(" * 5000 + ")" * 5000, "(?P<a>)(?P<a>)", "*"],
)
def test_what_is_no_regular_expression(expression: str) -> None:
    with pytest.raises(UnplacedError, match="bad regular expression: "):
        compile_expression(expression)
    with pytest.raises(UnplacedError, match="bad regular expression: "):
        compile_expression(expression.encode())
