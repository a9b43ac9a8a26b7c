"""What holds for every file of the repository, and between files that say the same."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Hosts of package registries. Which one is used is the business of each machine's own settings.
REGISTRIES = [
    ".".join(name)
    for name in [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("debian", "org")]
]

#: Folders that only one machine has.
PATH_OF_A_MACHINE = re.compile(r"(?<![\w.~/-])/(?:work|root|home|Users)/\w")


def tracked() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in names.stdout.split("\0") if name]


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    found = []
    for path in tracked():
        text = path.read_text(errors="replace")
        hits = [*PATH_OF_A_MACHINE.findall(text), *(host for host in REGISTRIES if host in text)]
        found += [f"{path.relative_to(ROOT)}: {hit}" for hit in hits]
    assert found == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_the_commands_of_a_document_are_there(document: str) -> None:
    text = (ROOT / document).read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", text))
    assert named
    assert named <= targets


def test_continuous_integration_runs_the_one_test_command() -> None:
    assert (ROOT / ".ci/run").read_text() == "make test\n"
    assert "\nmake test " in (ROOT / "README.md").read_text()


def requirements() -> list[str]:
    """Return what a user installs with all extras on Linux: each as ``name>=version``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = [
        *project["dependencies"],
        *extras["gateway"],
        *extras["redis"],
        *extras["terminal"],
        *extras["metrics"],
    ]
    return [re.sub(r"\[.*\]|;.*", "", each) for each in named]


def test_each_dependency_has_a_least_version_that_is_tested() -> None:
    lowest = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    for requirement in requirements():
        name, version = requirement.split(">=")
        assert f"{name}=={version}" in lowest


def test_the_newest_versions_are_pinned() -> None:
    pinned = {
        line.partition("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert {requirement.partition(">=")[0] for requirement in requirements()} <= pinned


def test_the_supported_pythons_are_those_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python = "Programming Language :: Python :: 3."
    named = {each.removeprefix(python) for each in project["classifiers"] if python in each}
    script = (ROOT / "scripts/pythons").read_text()
    assert named == set(re.findall(r"\b3\.(\d+)\b", script))
    assert project["requires-python"] == f">=3.{min(named)}"
