from pathlib import Path

import pytest

from mod_progress.config import check, parser
from mod_progress.config.errors import Source
from mod_progress.config.parser import DEEPEST, MOST_ERRORS, parse
from mod_progress.config.tree import Block, Node

GOOD = Path(__file__).parent / "good"


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
        ("Conditional", "test:3:1", text[text.index("if") : -1]),
        ("Negation", "test:3:4", "!req.is_handled"),
        ("Comparison", "test:3:5", "req.is_handled"),
        ("Reference", "test:3:5", "req.is_handled"),
        ("Block", "test:3:20", text[text.index("{") : -1]),
        ("Call", "test:4:2", "proxy"),
        ("List", "test:4:8", '("a", b => -2)'),
        ("List", "test:4:8", '("a", b => -2)'),
        ("Literal", "test:4:9", '"a"'),
        ("Pair", "test:4:14", "b => -2"),
        ("Reference", "test:4:14", "b"),
        ("Prefixed", "test:4:19", "-2"),
        ("Prefix", "test:4:19", "-"),
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


def test_signs_may_be_many(tmp_path: Path) -> None:
    path = tmp_path / "site.conf"
    path.write_text("x = " + "-" * 5000 + "1; y = " + "!" * 5000 + "true;")
    assert check(path) == []


def test_a_file_of_quotes_is_given_up() -> None:
    errors = parse(Source("test", "\\'\n" * 10_000))[1]
    assert len(errors) == MOST_ERRORS + 1


def test_a_large_file_is_given_up_after_fewer_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x = ;\n" + "y = 1;\n" * 100 + "z = ;\n" * MOST_ERRORS
    assert len(parse(Source("test", text))[1]) == MOST_ERRORS + 1
    monkeypatch.setattr(parser, "MOST_TOKENS", len(text))
    assert 0 < len(parse(Source("test", text))[1]) < MOST_ERRORS
