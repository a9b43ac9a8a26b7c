"""The core knows no I/O, and the fronts do not know each other."""

import ast
from pathlib import Path

import pytest

import mod_progress

SOURCE = Path(mod_progress.__file__).parent

PURE = [
    "transfer.py",
    "identifier.py",
    "formats.py",
    "options.py",
    "table.py",
    "gateway/message.py",
    "gateway/chunked.py",
    "gateway/conditional.py",
    "gateway/filenames.py",
    "gateway/ranges.py",
]
FORBIDDEN_IN_PURE = {"asyncio", "socket", "ssl", "select", "lmdb", "redis", "uvloop", "os", "io"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def modules_of(room: str) -> list[Path]:
    place = SOURCE / room
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


@pytest.mark.parametrize("module", PURE)
def test_the_core_imports_no_io(module: str) -> None:
    roots = {name.partition(".")[0] for name in imported(SOURCE / module)}
    assert not roots & FORBIDDEN_IN_PURE


@pytest.mark.parametrize(
    ("room", "others"),
    [
        ("asgi.py", ["wsgi", "gateway", "config"]),
        ("wsgi.py", ["asgi", "gateway", "config"]),
        ("gateway", ["asgi", "wsgi", "config"]),
        ("stores", ["asgi", "wsgi", "gateway", "config", "tracker"]),
        ("config", ["asgi", "wsgi", "tracker"]),
    ],
)
def test_rooms_know_only_what_is_below_them(room: str, others: list[str]) -> None:
    forbidden = {f"mod_progress.{other}" for other in others}
    for path in modules_of(room):
        known = {".".join(name.split(".")[:2]) for name in imported(path)}
        assert not known & forbidden, path
