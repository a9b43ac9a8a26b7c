"""Each room imports only rooms below it, the core does no I/O, and no imports go in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import mod_progress

SOURCE = Path(mod_progress.__file__).parent

#: The floors from the ground up. On each are rooms, which do not know each other, and of each room
#: the patterns of its files (fnmatch: a ``*`` also stands for slashes).
FLOORS: list[dict[str, list[str]]] = [
    {
        "core": [
            "__init__.py",
            "details.py",
            "fault_log.py",
            "framing.py",
            "futures.py",
            "identifier.py",
            "options.py",
            "pacing.py",
            "server_timing.py",
            "table.py",
            "transfer.py",
        ]
    },
    {"fork": ["fork.py"]},
    {"shutdown": ["shutdown.py"], "process end": ["process_end.py"]},
    {"stores": ["stores/*.py"]},
    {"publisher": ["patching.py", "publication.py", "publisher.py", "tally.py"]},
    {"tracker": ["tracker.py"]},
    {"show": ["show/*.py"]},
    {"delivery": ["delivery/*.py"], "middleware": ["finished.py", "middleware.py"]},
    {"asgi": ["asgi/*.py"], "wsgi": ["wsgi/*.py"]},
    {"gateway limits": ["gateway/__init__.py", "gateway/limits.py"]},
    {"gateway address": ["gateway/address.py"]},
    {"gateway http": ["gateway/http/*.py"]},
    {"gateway streams": ["gateway/streams/*.py"]},
    {"gateway state": ["gateway/state.py"]},
    {"gateway client": ["gateway/client.py"]},
    {"gateway exchange": ["gateway/exchange.py"]},
    {
        "gateway actions": ["gateway/actions/*.py"],
        "gateway files": ["gateway/files/*.py"],
        "gateway backends": ["gateway/backends/*.py"],
    },
    {"gateway server": ["gateway/server/*.py"]},
    {"config": ["config/*.py"]},
    {"doctor": ["doctor/*.py"], "terminal": ["terminal/*.py"]},
    {"cli": ["__main__.py", "cli/*.py"]},
]

#: Files that do no I/O.
PURE = [
    *FLOORS[0]["core"],
    "gateway/address.py",
    "gateway/http/*.py",
    "show/dialects.py",
    "show/formats.py",
    "show/question.py",
]

#: The modules of the standard library, and others, that do I/O.
IO = """
    asyncio fcntl http.client http.server io lmdb mmap multiprocessing os pathlib redis select
    selectors shutil signal socket socketserver sqlite3 ssl subprocess tempfile urllib.request
    uvloop
""".split()

#: What others may import of the stores: the contract, what is listed, the totals, what opens one.
STORES_IN_PUBLIC = {
    "mod_progress.stores",
    "mod_progress.stores.cancelling",
    "mod_progress.stores.contract",
    "mod_progress.stores.listing",
    "mod_progress.stores.totals",
}


def name_of(path: Path) -> str:
    """Return the name of the module that a file is."""
    parts = ("mod_progress", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """Yield all names that a file imports, in functions and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module is not None
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in FILES else node.module


IMPORTS = {
    name: sorted({other for other in imports(path) if other in FILES} - {name})
    for name, path in FILES.items()
}


def rooms_of(path: Path) -> list[tuple[int, str]]:
    """Return the floor and the name of each room that a file belongs to."""
    place = path.relative_to(SOURCE).as_posix()
    return [
        (floor, room)
        for floor, rooms in enumerate(FLOORS)
        for room, patterns in rooms.items()
        if any(fnmatch(place, pattern) for pattern in patterns)
    ]


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_each_file_is_in_one_room(path: Path) -> None:
    assert len(rooms_of(path)) == 1


@pytest.mark.parametrize("name", FILES)
def test_a_room_imports_only_rooms_below_it(name: str) -> None:
    ((floor, room),) = rooms_of(FILES[name])
    for other in IMPORTS[name]:
        ((other_floor, other_room),) = rooms_of(FILES[other])
        assert other_room == room or other_floor < floor, f"{name} imports {other}"


def test_no_imports_go_in_a_circle() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


FRONTS = ("asgi", "wsgi", "gateway")


@pytest.mark.parametrize("name", FILES)
def test_a_front_knows_no_other(name: str) -> None:
    front = name.split(".")[1] if "." in name else ""
    if front in FRONTS:
        known = {other.split(".")[1] for other in IMPORTS[name] if "." in other}
        assert known.isdisjoint({*FRONTS} - {front})


@pytest.mark.parametrize("name", FILES)
def test_no_other_room_knows_a_particular_store(name: str) -> None:
    if not name.startswith("mod_progress.stores"):
        known = {other for other in IMPORTS[name] if other.startswith("mod_progress.stores")}
        assert known <= STORES_IN_PUBLIC


@pytest.mark.parametrize("pattern", PURE)
def test_the_pure_rooms_do_no_io(pattern: str) -> None:
    paths = [
        path for path in FILES.values() if fnmatch(path.relative_to(SOURCE).as_posix(), pattern)
    ]
    assert paths
    for path in paths:
        for name in imports(path):
            ways = {name, *(name[:end] for end, sign in enumerate(name) if sign == ".")}
            assert not ways & set(IO), f"{path} imports {name}"
