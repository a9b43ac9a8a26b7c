"""The version is that of the tag, wherever the package is built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import mod_progress

ROOT = Path(__file__).parents[1]
FILES = ("pyproject.toml", "README.md", "LICENSE", ".gitattributes", ".git_archival.txt")

#: How a clone is made, and the version that is built of it.
CLONES = [
    ("commit", r"0\.1\.dev1\+g\w+"),
    ("commit tag", r"1\.2\.3"),
    ("commit tag commit", r"1\.2\.4\.dev1\+g\w+"),
    ("commit tag commit archive", r"1\.2\.4\.dev1\+g\w+"),
    ("commit tag archive", r"1\.2\.3"),
    ("commit archive", r"0\.0"),
    ("", r"0\.0"),
]

IDENTITY = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]


def git(folder: Path, *words: str) -> None:
    command = ["git", *IDENTITY, *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def make(folder: Path, steps: str) -> Path:
    """Make a copy of the project as the steps say; return the folder to build."""
    source = folder / "source"
    source.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, source)
    for step in steps.split():
        if step == "tag":
            git(source, "tag", "v1.2.3")
        elif step == "archive":
            git(source, "archive", "--output", str(folder / "source.zip"), "HEAD")
            source = folder / "unpacked"
            shutil.unpack_archive(folder / "source.zip", source)
        else:
            git(source, "init")
            git(source, "add", ".")
            git(source, "commit", "--allow-empty", "--message", "A change")
    return source


def built_version(folder: Path, path: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "version"],
        cwd=folder,
        env=os.environ | {"PATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(("steps", "expected"), CLONES)
def test_a_build_has_the_version_of_the_tag(steps: str, expected: str, tmp_path: Path) -> None:
    assert re.fullmatch(expected, built_version(make(tmp_path, steps), os.environ["PATH"]))


def test_a_build_needs_no_git(tmp_path: Path) -> None:
    assert built_version(make(tmp_path, "commit tag"), path="") == "0.0"


def test_the_package_tells_the_version_that_is_installed() -> None:
    assert mod_progress.__version__ == version("mod-progress")
    with pytest.raises(AttributeError, match="has no attribute 'version'"):
        mod_progress.version  # type: ignore[attr-defined]  # noqa: B018


def test_a_copy_that_was_not_installed_has_no_version() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import mod_progress; print(mod_progress.__version__)"],
        env={"PYTHONPATH": str(ROOT / "src")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "unknown\n"
