import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mod_progress.config import check
from mod_progress.config.errors import Source
from mod_progress.config.parser import DEEPEST, MOST_ERRORS, parse
from mod_progress.config.terminals import grammar
from mod_progress.config.tree import Block, Node

GOOD = Path(__file__).parent / "good"

#: Every word and sign of the language, and some that are none.
TOKENS = [
    *(terminal.pattern.value for terminal in grammar().terminals if terminal.pattern.type == "str"),
    *'== != <= < >= > =~ !~ =^ !^ =$ !$ =/ !/ name req.path "text" 1 08 10kb # @ " e"'.split(),
    "module_load",
    "respond",
    "cast(int)",
    "\n",
    "$",
]


def nodes(value: object) -> list[Node]:
    """Return all nodes of a tree, parents first."""
    if isinstance(value, tuple):
        return [node for item in value for node in nodes(item)]
    if not isinstance(value, Node):
        return []
    fields = [getattr(value, name) for cls in type(value).__mro__ for name in _slots(cls)]
    return [value, *(node for field in fields for node in nodes(field))]


def _slots(cls: type) -> tuple[str, ...]:
    return tuple(getattr(cls, "__slots__", ()))


def test_nodes_know_their_places() -> None:
    text = 'x = 1 +\n  "ä" ;\nif !req.is_handled {\n\tproxy ("a", b => -2);\n}\n'
    block, errors = parse(Source("test", text))
    assert not errors
    seen = [(type(node).__name__, str(node.place), node.place.text) for node in nodes(block)]
    assert seen[1:] == [
        ("Assignment", "test:1:1", "x"),
        ("Operation", "test:1:5", '1 +\n  "ä"'),
        ("Literal", "test:1:5", "1"),
        ("Literal", "test:2:3", '"ä"'),
        ("Condition", "test:3:1", text[text.index("if") : -1]),
        ("Negation", "test:3:4", "!req.is_handled"),
        ("Comparison", "test:3:5", "req.is_handled"),
        ("Variable", "test:3:5", "req.is_handled"),
        ("Block", "test:3:20", text[text.index("{") : -1]),
        ("Call", "test:4:2", "proxy"),
        ("List", "test:4:8", '("a", b => -2)'),
        ("List", "test:4:8", '("a", b => -2)'),
        ("Literal", "test:4:9", '"a"'),
        ("Pair", "test:4:14", "b => -2"),
        ("Variable", "test:4:14", "b"),
        ("Prefixed", "test:4:19", "-2"),
        ("Literal", "test:4:20", "2"),
    ]


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.conf")), ids=lambda path: path.name)
def test_every_node_lies_within_its_parent(path: Path) -> None:
    block, errors = parse(Source(path.name, path.read_text()))
    assert not errors
    for statement in block.statements:
        for node in nodes(statement)[1:]:
            assert 0 < node.place.end - node.place.start <= len(node.place.source.text)


@pytest.mark.parametrize(
    "text",
    [
        "# nothing but a comment",
        "",
        "\ufeff",
        "#\r\n\r\nrespond;\r\n",
        "respond;#",
        'if req.path=="/x"{respond;}else{respond;}',
        "x=-1;y=!true;z=[1,2,]+[3];",
        "setup{}",
    ],
)
def test_little_space_or_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "site.conf"
    path.write_bytes(text.encode())
    assert check(path) == []


def test_depth_is_bounded() -> None:
    def nested(depth: int) -> Source:
        return Source("test", "x = " + "[" * depth + "]" * depth + ";")

    assert parse(nested(DEEPEST))[1] == []
    (error,) = parse(nested(DEEPEST + 1))[1]
    assert error.place is not None
    assert error.place.column == len("x = ") + DEEPEST + 1


@pytest.mark.parametrize(
    ("before", "opening", "closing", "after"),
    [
        ("", "if req.is_handled { ", "} ", ""),
        ("", 'if req.is_handled { } else if req.path == "x" { ', "} ", ""),
        ("", "x = { ", "}; ", ""),
        ("x = ", "-(1 + 2 * ", ")", ";"),
        ("if ", "(", ")", "{ }"),
    ],
)
def test_what_is_allowed_to_be_deep_compiles(
    before: str, opening: str, closing: str, after: str, tmp_path: Path
) -> None:
    path = tmp_path / "site.conf"
    inmost = "1" if after == ";" else "req.is_handled" if after else ""
    path.write_text(before + opening * DEEPEST + inmost + closing * DEEPEST + after)
    assert check(path) == []


def test_long_chains_compile(tmp_path: Path) -> None:
    path = tmp_path / "site.conf"
    chain = " else ".join(f'if req.path == "/{number}" {{ static; }}' for number in range(1500))
    sum_of_many = " + ".join(["1"] * 1500)
    tests = " or ".join(["req.is_handled"] * 1500)
    path.write_text(f"{chain} x = {sum_of_many}; if {tests} {{ }}")
    assert check(path) == []


def test_a_file_with_nothing_right_is_given_up() -> None:
    block, errors = parse(Source("test", "= ;\n" * 10 * MOST_ERRORS))
    assert MOST_ERRORS < len(errors) <= MOST_ERRORS + 1
    assert block == Block(block.place, ())


def holds_or_says_why(text: str, directory: Path) -> None:
    path = directory / "site.conf"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for error in check(path):
        assert str(error).encode("utf-8")


@given(text=st.text())
@example(text="\x00")
@example(text="if")
@example(text="x = '\\x")
def test_any_text_holds_or_has_errors(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    holds_or_says_why(text, tmp_path_factory.getbasetemp())


@given(data=st.binary())
def test_any_bytes_hold_or_have_errors(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    holds_or_says_why(data.decode("utf-8", "surrogateescape"), tmp_path_factory.getbasetemp())


@given(tokens=st.lists(st.sampled_from(TOKENS), max_size=40))
@settings(max_examples=300)
def test_any_tokens_hold_or_have_errors(
    tokens: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    holds_or_says_why(" ".join(tokens), tmp_path_factory.getbasetemp())


@given(random=st.randoms(use_true_random=False), path=st.sampled_from(sorted(GOOD.glob("*.conf"))))
@settings(deadline=None)
def test_a_configuration_with_a_few_tokens_lost_holds_or_has_errors(
    random: random.Random, path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tokens = [str(token) for token in grammar().lex(path.read_text())]
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(tokens))
        tokens[place : place + random.randint(0, 2)] = [random.choice(TOKENS)]
    holds_or_says_why(" ".join(tokens), tmp_path_factory.getbasetemp())
