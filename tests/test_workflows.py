"""The workflows of the forge, which cannot run here, and the release, whose steps can."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def run(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program of the tests' environment."""
    program = Path(sys.executable).with_name(name)
    return subprocess.run([program, *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    "schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"]
)
def test_workflows_are_what_the_schema_allows(schema: str) -> None:
    assert WORKFLOWS
    done = run("check-jsonschema", "--builtin-schema", schema, *WORKFLOWS)
    assert done.returncode == 0, done.stdout


def test_workflows_have_no_known_weakness() -> None:
    done = run("zizmor", "--offline", "--persona", "pedantic", "--strict-collection", ".github")
    assert done.returncode == 0, done.stdout


def steps(path: Path) -> Iterator[str]:
    """Yield the commands of a workflow."""
    for job in YAML(typ="safe").load(path)["jobs"].values():
        yield from (step["run"] for step in job.get("steps", ()) if "run" in step)


def test_workflows_run_what_is_there() -> None:
    text = "\n".join(command for path in WORKFLOWS for command in steps(path))
    for script in re.findall(r"\bscripts/[\w-]+", text):
        assert (ROOT / script).exists()
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {*re.findall(r"\bmake ([a-z]+)", text)} <= {*targets}


def test_workflows_know_the_supported_pythons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    supported = set(re.findall(r":: (3\.\d+)", "\n".join(project["classifiers"])))
    text = (ROOT / ".github/workflows/tests.yml").read_text()
    assert supported == set(re.findall(r"^ +(3\.\d+)$", text, re.MULTILINE))


def test_a_release_is_cut_by_the_commands_of_its_page(tmp_path: Path) -> None:
    page = (ROOT / "docs/releasing.md").read_text()
    (cut,) = (each for each in re.findall(r"```sh\n(.*?)```", page, re.S) if "VERSION=" in each)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n### Added\n\n- All.\n")
    script = f"""
        git init --quiet
        git config user.name A
        git config user.email a@example.org
        git add .
        git commit --quiet --message Before
        {cut}
        {sys.executable} -m hatchling version"""
    done = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "0.2.0"
    changes = (tmp_path / "CHANGELOG.md").read_text()
    assert re.search(r"## Unreleased\n\n## 0\.2\.0 - \d{4}-\d\d-\d\d\n\n### Added", changes)


def test_the_changelog_has_a_place_for_what_comes() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", each) for each in headings[1:])
