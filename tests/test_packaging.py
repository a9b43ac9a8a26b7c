"""What is released: it is built, and installed without extras where nothing else is."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from mod_progress.cli import COMMANDS
from tests.doctor.running import app

ROOT = Path(__file__).parents[1]

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
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (source,) = directory.glob("*.tar.gz")
    (wheel,) = directory.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def base(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new environment, without extras; return the folder of programs."""
    environment = tmp_path_factory.mktemp("base")
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = str(environment / "bin/python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, *constraints, str(built[1])], check=True)
    return environment / "bin"


def run(base: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [base / "mod-progress", *words], cwd="/", capture_output=True, text=True, timeout=60
    )


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


def test_it_needs_lmdb_alone(base: Path) -> None:
    listed = subprocess.run(
        [base / "python", "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check"],
        check=True,
        capture_output=True,
        text=True,
    )
    names = {line.partition("==")[0] for line in listed.stdout.splitlines()}
    assert names - {"pip", "setuptools"} == {"mod-progress", "lmdb"}


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
