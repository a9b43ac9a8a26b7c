"""What is released: it is built, and installed without extras where nothing else is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from mod_progress.cli import COMMANDS
from tests.doctor.running import app
from tests.web.libraries import pack

ROOT = Path(__file__).parents[1]

PYRIGHT = "pyright@1.1.414"

#: Files that are no Python modules and that the package cannot do without.
DATA = {
    "py.typed",
    *(
        path.relative_to(ROOT / "src/mod_progress").as_posix()
        for path in (ROOT / "src/mod_progress").rglob("*")
        if path.suffix in {".lark", ".html", ".js", ".css", ".svg"}
    ),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build what is uploaded to an index: the source and the wheel, in this order."""
    return build(ROOT, tmp_path_factory.mktemp("dist"))


def build(source: Path, directory: Path) -> tuple[Path, Path]:
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (archive,) = directory.glob("*.tar.gz")
    (wheel,) = directory.glob("*.whl")
    return archive, wheel


@pytest.fixture(scope="module")
def base(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new environment, without extras; return the folder of programs."""
    return install(tmp_path_factory.mktemp("base"), str(built[1]))


@pytest.fixture(scope="module")
def everything(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel with all extras, beside what a user has; return the folder of programs."""
    return install(tmp_path_factory.mktemp("all"), f"{built[1]}[all]", "starlette")


def install(environment: Path, *packages: str) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    constraints = ("--constraint", str(ROOT / "constraints.txt"))
    pip(environment / "bin", "install", "--quiet", *constraints, *packages)
    return environment / "bin"


def pip(programs: Path, *words: str) -> str:
    """Let the pip of the tests work on another environment; return what it says."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--python", programs / "python", *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def run(base: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [base / "mod-progress", *words], cwd="/", capture_output=True, text=True, timeout=60
    )


def tool(
    name: str, *words: str | Path, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of the tests' own environment."""
    program = Path(sys.executable).with_name(name)
    return subprocess.run([program, *words], cwd=cwd, capture_output=True, text=True)


def test_the_wheel_has_the_package_alone(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    modules = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src/mod_progress").rglob("*.py")
    }
    assert files == modules | {f"mod_progress/{name}" for name in DATA}


def test_the_source_has_what_tests_and_builds_it(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as source:
        files = {name.partition("/")[2] for name in source.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "Makefile",
        "tests/test_packaging.py",
    } <= files
    assert {f"src/mod_progress/{name}" for name in DATA} <= files


def test_a_wheel_that_is_built_from_the_source_is_the_same(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    with tarfile.open(built[0]) as source:
        source.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    again = build(folder, tmp_path / "dist")
    assert [path.name for path in again] == [path.name for path in built]
    assert contents(again[1]) == contents(built[1])


def contents(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def test_an_index_takes_them(built: tuple[Path, Path]) -> None:
    done = tool("twine", "check", "--strict", *built)
    assert done.returncode == 0, done.stdout


#: The project has no address yet: docs/releasing.md asks for it before the first release.
WITHOUT_ADDRESS = "AuthorEmail,Url"


def test_they_say_what_people_look_for(built: tuple[Path, Path]) -> None:
    done = tool("pyroma", "--min", "10", "--skip-tests", WITHOUT_ADDRESS, built[0])
    assert done.returncode == 0, done.stdout


def test_it_needs_lmdb_alone(base: Path) -> None:
    listed = pip(base, "list", "--format", "freeze")
    names = {line.partition("==")[0] for line in listed.splitlines()}
    assert names == {"mod-progress", "lmdb"}


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["doctor", "--help"]])
def test_the_base_install_has_a_command(base: Path, words: list[str]) -> None:
    done = run(base, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mod-progress" in done.stdout


def test_the_doctor_needs_no_extra(base: Path, tmp_path: Path) -> None:
    with app("well", tmp_path) as port:
        done = run(base, "doctor", f"http://127.0.0.1:{port}/upload", "--seconds", "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("All is well: ")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.extra])
def test_what_needs_an_extra_says_which(base: Path, command: tuple[str, str, str]) -> None:
    name, _, extra = command
    done = run(base, name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mod-progress {name} needs an extra: pip install 'mod-progress[{extra}]'\n"
    )


#: What an extra is for, beside the commands that name it.
USES = {
    "redis": "from mod_progress.stores import open_store; open_store('redis://localhost').close()",
    "metrics": "import mod_progress.show.metrics",
}

#: Hides modules, and runs the rest.
HIDING = """
import sys
class Hidden:
    def find_spec(self, name, *_):
        if name in {hidden!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Hidden())
sys.argv = {words!r}
{code}
"""
COMMAND = "from mod_progress.cli import main; sys.exit(main())"


def tops(distribution: Distribution) -> set[str]:
    """Return the modules of a distribution."""
    return {file.parts[0].partition(".")[0] for file in distribution.files or ()}


def needed(extra: str, installed: Mapping[NormalizedName, Distribution]) -> set[NormalizedName]:
    """Return the names of all that an extra brings."""
    found: set[NormalizedName] = set()
    waiting = [Requirement(f"mod-progress[{extra}]")]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found and not requirement.extras:
            continue
        found.add(name)
        for text in installed[name].requires or ():
            each = Requirement(text)
            wanted = [{"extra": extra} for extra in ("", *requirement.extras)]
            if each.marker is None or any(map(each.marker.evaluate, wanted)):
                waiting.append(each)
    return found


@pytest.mark.parametrize("extra", ["gateway", "redis", "metrics", "terminal"])
def test_an_extra_is_enough(everything: Path, extra: str) -> None:
    (site,) = everything.parent.glob("lib/python*/site-packages")
    installed = {canonicalize_name(each.name): each for each in distributions(path=[str(site)])}
    kept = set().union(*(tops(installed[name]) for name in needed(extra, installed)))
    hidden = set().union(*map(tops, installed.values())) - kept
    assert hidden
    programs = [(COMMAND, name) for name, _, each in COMMANDS if each == extra]
    if extra in USES:
        programs.append((USES[extra], ""))
    for code, name in programs:
        text = HIDING.format(hidden=hidden, words=["mod-progress", name, "--help"], code=code)
        done = subprocess.run([everything / "python", "-c", text], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


#: What a user writes, and what type checkers have to find nothing wrong with.
RIGHT = """# pyright: strict
from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette

from mod_progress.asgi import ProgressMiddleware
from mod_progress.finished import FinishedTransfer
from mod_progress.options import OptionError
from mod_progress.wsgi import ProgressMiddleware as WsgiMiddleware


def note(transfer: FinishedTransfer) -> None:
    size: int | None = transfer.request_size
    print(transfer.identifier, transfer.state.value, transfer.seconds, size)


async def may_list(scope: Any) -> bool:
    return bool(scope["user"])


app = Starlette()
app.add_middleware(ProgressMiddleware, ttl=60, script="/progress.js", dump=may_list, on_end=note)
around = ProgressMiddleware(app, methods=["POST", "PUT"], track=("/a/", "/b/"), store="memory")


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b""]


try:
    wrapped = WsgiMiddleware(application, track=lambda environ: True, server_timing=True)
except OptionError as error:
    print(error.name, error.value)
"""

#: What a user gets wrong: each line.
WRONG = [
    "ProgressMiddleware(app, ttl='60')",
    "ProgressMiddleware(app, tll=60)",
    "ProgressMiddleware(app, methods=None)",
    "ProgressMiddleware(app, script=True)",
    "ProgressMiddleware(app, store=7)",
    "ProgressMiddleware(app, on_end=lambda: None)",
    "ProgressMiddleware(application)",
    "WsgiMiddleware(app)",
    "WsgiMiddleware(application, dump=True)",
    "note(WsgiMiddleware)",
]


@pytest.fixture(scope="module")
def users_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("user") / "user.py"
    file.write_text(RIGHT + "\n".join(WRONG))
    return file


def wrong_lines() -> list[int]:
    first = RIGHT.count("\n") + 1
    return list(range(first, first + len(WRONG)))


def test_a_users_mypy_knows_the_types(everything: Path, users_file: Path) -> None:
    options = ("--strict", "--no-incremental", "--python-executable", everything / "python")
    done = tool("mypy", *options, users_file.name, cwd=users_file.parent)
    found = {int(line) for line in re.findall(r"^user\.py:(\d+): error", done.stdout, re.M)}
    assert sorted(found) == wrong_lines(), done.stdout + done.stderr


def test_a_users_pyright_knows_the_types(
    everything: Path, users_file: Path, tmp_path: Path
) -> None:
    (package,) = pack(tmp_path, PYRIGHT)
    options = ["--outputjson", "--pythonpath", str(everything / "python"), str(users_file)]
    done = subprocess.run(
        ["node", str(package / "index.js"), *options], capture_output=True, text=True
    )
    told = json.loads(done.stdout)["generalDiagnostics"]
    found = {each["range"]["start"]["line"] + 1 for each in told}
    assert sorted(found) == wrong_lines(), done.stdout
