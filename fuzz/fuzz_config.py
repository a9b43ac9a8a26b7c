"""Whatever a configuration holds, it is loaded, or it has errors that say where they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mod_progress.config import ConfigError, InvalidConfig, load
from mod_progress.config.actions import ACTIONS, OPTIONS
from mod_progress.config.setups import SETUPS
from mod_progress.config.terminals import grammar
from mod_progress.gateway.actions.conditions import VARIABLES

GOOD = sorted((Path(__file__).parent.parent / "tests" / "config" / "good").glob("*.conf"))

#: Every word and sign of the language, and some that are none.
TOKENS = [
    *(terminal.pattern.value for terminal in grammar().terminals if terminal.pattern.type == "str"),
    *'== != <= < >= > =~ !~ =^ !^ =$ !$ =/ !/ name req.path "text" 1 08 10kb # @ " e"'.split(),
    *["module_load", "respond", "cast(int)", "\n", "$"],
]

#: What may be put into a configuration: bytes that mean something somewhere, or nothing anywhere.
PIECES = [*b"\0\xff\xc3\xed\x1b\r\n\t\\\"'%$#=;,(){}[]-!*09exk", *map(str.encode, TOKENS)]

loaded = settings(deadline=None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "site.conf"


def load_or_say_why(place: Path, data: bytes) -> None:
    place.write_bytes(data)
    errors: tuple[ConfigError, ...] = ()
    try:
        load(place)
    except InvalidConfig as invalid:
        errors = invalid.errors or pytest.fail("there are no errors")
    for error in errors:
        assert error.place is not None
        where = f"{error.place.source.path}:{error.place.line}:{error.place.column}: "
        assert str(error).startswith(where)
        assert str(error).encode()


@given(data=st.binary() | st.text().map(str.encode))
@example(data=b"\x00")
@example(data=b"if")
@example(data=b"x = '\\x")
@loaded
def test_any_bytes(place: Path, data: bytes) -> None:
    load_or_say_why(place, data)


@given(tokens=st.lists(st.sampled_from(TOKENS), max_size=40))
@loaded
def test_any_tokens(place: Path, tokens: list[str]) -> None:
    load_or_say_why(place, " ".join(tokens).encode())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good configuration with a few pieces put in, taken out or changed."""
    data = draw(st.sampled_from(GOOD)).read_bytes()
    pieces = st.sampled_from([bytes([each]) if isinstance(each, int) else each for each in PIECES])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(pieces | st.just(b"")) + data[at + draw(st.integers(0, 9)) :]
    return data


@given(data=damaged())
@loaded
def test_a_damaged_configuration(place: Path, data: bytes) -> None:
    load_or_say_why(place, data)


#: Many limits take the same values: two of them stand for all.
LIMITS = [name for name in SETUPS if name.startswith("limits.")]
SETUP_NAMES = st.sampled_from(sorted({*SETUPS, *OPTIONS} - {*LIMITS[2:]}))
ACTION_NAMES = st.sampled_from(sorted({*ACTIONS, *OPTIONS, "include", "x", "y"}))

INTEGERS = st.integers(-5, 500) | st.sampled_from([2**63 - 1, 2**63, 65535, 65536])
TEXTS = st.text(max_size=5) | st.sampled_from(
    "127.0.0.1:80 127.0.0..1:80 [::1]:80 *:0 unix: unix:/a localhost:99999 mod_progress local:x"
    " redis://:a@b:c/d redis://[ memory env:X file:/dev/zero file: /dev/zero /nowhere 10.0.0.0/8"
    " GET json %{req.path} %1 $1 %{req.header[a]} (a|b)* ((a) [[:x:]] {} {1,2} utf-8 0x7f listen"
    " pemfile privkey cert key form_files".split()
)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def listed(items: list[str]) -> str:
    return f"[{', '.join(items)}]"


SCALARS = (
    INTEGERS.map(str)
    | TEXTS.map(quoted)
    | st.sampled_from(["true", "none", "[]", "{ }", "x", "y", "sys.pid", '"\\xff\\x00"'])
)
VALUES = st.recursive(
    SCALARS,
    lambda values: (
        st.lists(values, max_size=3).map(listed)
        | st.lists(st.tuples(values, values).map(" => ".join), max_size=3).map(listed)
        | st.tuples(SCALARS, st.sampled_from("+-*/"), values).map(" ".join)
        | st.tuples(st.sampled_from(["-", "!", "cast(int) ", "cast(string) "]), values).map("".join)
    ),
    max_leaves=4,
)
CONDITIONS = st.tuples(
    st.sampled_from([f"req.{name}" for name in (*VARIABLES, 'header["a"]')]),
    st.sampled_from("== != <= < >= > =~ !~ =^ !^ =$ !$ =/ !/".split()),
    VALUES,
).map(" ".join)
ACTIONS_OF_A_FILE = st.tuples(ACTION_NAMES, VALUES).map(" ".join).map("{};".format)
STATEMENTS = (
    st.tuples(SETUP_NAMES, VALUES).map(" ".join).map("setup {};".format)
    | ACTIONS_OF_A_FILE
    | VALUES.map("x = {};".format)
    | st.tuples(CONDITIONS, ACTIONS_OF_A_FILE).map(lambda parts: "if {} {{ {} }}".format(*parts))
    | ACTIONS_OF_A_FILE.map("x = {{ {} }};".format)
)


MODULES = (
    'setup module_load "mod_access", "mod_accesslog", "mod_openssl", "mod_progress", "mod_proxy",'
    ' "mod_redirect";\ny = "a";\n'
)


@given(statements=st.lists(STATEMENTS, min_size=1, max_size=8))
@loaded
def test_any_values(place: Path, statements: list[str]) -> None:
    load_or_say_why(place, (MODULES + "\n".join(statements)).encode("utf-8", "surrogateescape"))
