"""Every directive takes a value, or says where the error is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mod_progress.config import ConfigError, InvalidConfig, load
from mod_progress.config.actions import ACTIONS, OPTIONS
from mod_progress.config.directives import MODULES
from mod_progress.config.setups import SETUPS

#: Values of every type, in every depth that a directive looks at.
VALUES = [
    "",
    *["none", "default", "true", "false", "0", "-1", "1", "200", "9223372036854775807"],
    *['""', '"x"', r'"\x00"', r'"\xff"', r'"\n\x1b[m"', "'\"'", '"' + "x" * 5000 + '"'],
    *['"%"', '"%{req.path}"', '"%{req.header[a]}"', '"%1$1"', '"("', '"(a*)*"', '"[[:x:]]"'],
    *['"/"', '"./x"', '"?x"', '"unix:/x"', '"127.0.0.1:0"', '"127.0.0..1:80"', '"*"', '":"'],
    *['"local:x"', '"redis://["', '"redis://:a@b:c/d"', '"redis://h:99999"', '"memory"'],
    *['"env:"', '"env:NOT_SET"', '"file:"', '"file:/dev/zero"', '"file:/nowhere"'],
    *['"GET"', '"json"', '"combined"', '"mod_progress"', '"10.0.0.0/8"', '"::/0"', '"a/b"'],
    *["[]", "()", "[[]]", "[[], []]", "[[[]]]", "[none]", "[true]", "[0]", "[{ }]", "{ }"],
    *['["x"]', '["x", "y"]', '["x", "y", "z"]', '[1, "x"]', '["x", 1]', '["x", []]', '["x", [[]]]'],
    *['["x" => "y"]', '["x" => 1]', '[1 => "x"]', "[1 => 2]", "[[] => []]", '["x" => ["y" => 1]]'],
    *['["x", ["y" => 1]]', '["x" => "y", "z" => "w"]', '[["x" => "y"], ["z" => "w"]]'],
    *['["listen" => "*:1", "pemfile" => []]', '["listen" => [], "pemfile" => "/dev/zero"]'],
    *['["listen" => "*:2", "pemfile" => ["cert" => "", "key" => ""]]'],
    *['["x", ["form_files" => 0]]', '["x", ["form_files" => []]]', '["x", [[]]]'],
]


MODULE_LOAD = f"setup module_load {', '.join(map(repr, MODULES))};"

CALLS = [
    *(f"setup {name}" for name in (*SETUPS, *OPTIONS)),
    *(name for name in (*OPTIONS, *ACTIONS)),
]


def errors_of(path: Path) -> tuple[ConfigError, ...]:
    try:
        load(path)
    except InvalidConfig as invalid:
        return invalid.errors
    return ()


@pytest.mark.parametrize("call", CALLS)
def test_any_value(call: str, tmp_path: Path) -> None:
    path = tmp_path / "site.conf"
    path.write_text("\n".join([MODULE_LOAD, *(f"{call} {value};" for value in VALUES)]))
    for error in errors_of(path):
        assert error.place is not None
        assert error.place.line > 1
        assert str(error).startswith(f"{path}:{error.place.line}:{error.place.column}: ")
