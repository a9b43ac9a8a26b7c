from __future__ import annotations

from collections.abc import Callable

import pytest

from mod_progress.cli.arguments import Parser, seconds, whole_number


def parser() -> Parser:
    parser = Parser("program", "What it does.")
    parser.add_argument("place", metavar="PLACE")
    parser.add_argument("--count", type=whole_number(1))
    parser.add_argument("--time", type=seconds(0.5))
    return parser


def test_options_stand_before_and_after_arguments() -> None:
    arguments = parser().parse(["--count", "2", "here", "--time=1.5"])
    assert vars(arguments) == {"place": "here", "count": 2, "time": 1.5}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "the following arguments are required: PLACE"),
        ("a b", "unexpected argument: b"),
        ("a --tme 1", "no such option: --tme; did you mean --time?"),
        ("a --tme=1", "no such option: --tme; did you mean --time?"),
        ("a --cou 1", "no such option: --cou; did you mean --count?"),
        ("a -x", "no such option: -x"),
        ("a --count", "--count: expected one argument"),
        ("a --count x", "--count: 'x' is not a whole number, 1 or more"),
        ("a --count 0", "--count: '0' is not a whole number, 1 or more"),
        ("a --count -1", "--count: '-1' is not a whole number, 1 or more"),
        ("a --count 1.5", "--count: '1.5' is not a whole number, 1 or more"),
        ("a --time x", "--time: 'x' is not a number of seconds, 0.5 or more"),
        ("a --time .4", "--time: '.4' is not a number of seconds, 0.5 or more"),
        ("a --time nan", "--time: 'nan' is not a number of seconds, 0.5 or more"),
        ("a --time inf", "--time: 'inf' is not a number of seconds, 0.5 or more"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse(words.split())
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"mod-progress: {message}\n")


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [(whole_number(0), "0", 0), (seconds(0), "0", 0.0), (seconds(0.5), "1e3", 1000.0)],
)
def test_numbers(parse: Callable[[str], float], text: str, value: float) -> None:
    assert parse(text) == value
