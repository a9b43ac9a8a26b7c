"""Whole configurations as files: those that hold, and those that do not, with what is said."""

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from mod_progress.config import InvalidConfig, check, load
from mod_progress.config.actions import ACTIONS, OPTIONS
from mod_progress.config.directives import MODULES
from mod_progress.config.setups import SETUPS
from mod_progress.config.values import integer
from mod_progress.gateway.actions.conditions import PHYSICAL, VARIABLES
from mod_progress.gateway.files.upload_limits import DEFAULT_LIMITS
from mod_progress.gateway.limits import Limits

HERE = Path(__file__).parent
REFERENCE = (HERE.parent.parent / "docs" / "configuration.md").read_text()
GOOD = sorted((HERE / "good").glob("*.conf"))
BAD = sorted((HERE / "bad").glob("*.conf"))

#: What `htpasswd -B` writes.
PASSWORDS = "ann:$2y$05$" + "." * 53 + "\n"

#: The examples of the reference, by the line where they start.
EXAMPLES = [
    pytest.param(match[1], id=f"line {REFERENCE.count(chr(10), 0, match.start()) + 1}")
    for match in re.finditer(r"^```lighttpd\n(.*?)^```$", REFERENCE, re.M | re.S)
]


def errors_of(path: Path) -> list[str]:
    """Return the errors, without warnings: the directories may be missing here."""
    return [str(error) for error in check(path) if not error.is_warning]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_a_good_configuration_holds(path: Path) -> None:
    assert errors_of(path) == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_bad_configuration_gets_all_its_errors(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    errors = check(path.name)
    assert "".join(f"{error}\n" for error in errors) == path.with_suffix(".err").read_text()


def test_every_expectation_has_its_configuration() -> None:
    assert {path.stem for path in (HERE / "bad").glob("*.err")} == {path.stem for path in BAD}


def test_loading_raises_all_errors_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE / "bad")
    with pytest.raises(InvalidConfig) as raised:
        load("values.conf")
    assert f"{raised.value}\n" == Path("values.err").read_text()
    assert len(raised.value.errors) == len(check("values.conf"))


def test_a_file_that_is_not_there_is_an_error_without_a_place(tmp_path: Path) -> None:
    (error,) = check(tmp_path / "none.conf")
    assert str(error) == f"cannot read {tmp_path}/none.conf: No such file or directory"
    assert error.place is None


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 10


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_reference_holds(example: str, tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text(PASSWORDS)
    example = example.replace('"/etc/mod_progress/passwords"', f'"{tmp_path}/passwords"')
    (tmp_path / "site.conf").write_text(example)
    assert errors_of(tmp_path / "site.conf") == []


NAMES = [*SETUPS, *OPTIONS, *ACTIONS]
NAMES += [f"req.{name}" for name in VARIABLES] + [f"phys.{name}" for name in PHYSICAL]


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_has_every_name(name: str) -> None:
    assert f"`{name}`" in REFERENCE


def test_the_reference_has_the_limits_as_they_are() -> None:
    rows = re.findall(r"^\| `limits\.(\w+)` \| ([^|]+) \|", REFERENCE, re.M)
    assert {name: integer(default) for name, default in rows} == asdict(Limits())


def test_the_reference_has_the_limits_of_uploads_as_they_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", REFERENCE, re.M)
    assert {name: int(default) for name, default in rows} == DEFAULT_LIMITS._asdict()


def test_the_reference_has_every_module() -> None:
    assert [module for module in MODULES if f"`{module}`" not in REFERENCE] == []
