"""What all commands have in common."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest

from mod_progress import __version__, cli
from mod_progress.cli import COMMANDS, INTERRUPTED, Command, main
from tests.cli.running import assert_one_line, run

NAMES = [command.name for command in COMMANDS]


def test_it_tells_its_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"mod-progress {__version__}\n")


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--help"], 0)])
def test_help_lists_all_commands(words: list[str], code: int) -> None:
    done = run(*words)
    assert (done.returncode, done.stderr) == (code, "")
    width = max(map(len, NAMES))
    for command in COMMANDS:
        assert f"{command.name:{width}}  {command.summary}" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_help(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: mod-progress {name} ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("bogus", "no such command: bogus"),
        ("srve", "no such command: srve; did you mean serve?"),
        ("--bogus", "no such option: --bogus"),
        ("--versin", "no such option: --versin; did you mean --version?"),
    ],
)
def test_what_is_wrong_is_one_clear_line(words: str, said: str) -> None:
    assert_one_line(run(*words.split()), 2, said)


class WithoutPackages:
    """Hides packages, as if they were not installed."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


@pytest.fixture
def without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = ("uvloop", "lark", "python_multipart", "rich", "httpx")
    rooms = ("cli.", "config", "gateway", "terminal")
    for name in list(sys.modules):
        if name.partition(".")[0] in packages or name.startswith(
            tuple(f"mod_progress.{room}" for room in rooms)
        ):
            # What is imported meanwhile becomes an attribute of its package, too.
            package, _, module = name.rpartition(".")
            if package in sys.modules:
                monkeypatch.delattr(sys.modules[package], module, raising=False)
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [WithoutPackages(*packages), *sys.meta_path])


@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize("command", [command for command in COMMANDS if command.extra])
def test_a_command_without_its_extra_names_it(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command.name, "--help"]) == 2
    install = f"pip install 'mod-progress[{command.extra}]'"
    assert capsys.readouterr() == ("", f"mod-progress {command.name} needs an extra: {install}\n")


def use(monkeypatch: pytest.MonkeyPatch, run: Any, extra: str = "") -> None:
    """Let there be a command ``made-up``."""
    module: Any = ModuleType("mod_progress.cli.made_up")
    module.add_arguments = lambda parser: parser.add_argument("--times", type=int)
    module.run = run
    monkeypatch.setitem(sys.modules, "mod_progress.cli.made_up", module)
    monkeypatch.setattr(cli, "COMMANDS", (*COMMANDS, Command("made-up", "Nothing.", extra)))


def test_a_new_command_is_a_module_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, lambda arguments: arguments.times)
    assert main(["made-up", "--times", "7"]) == 7


def test_a_command_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: object) -> int:
        raise KeyboardInterrupt

    use(monkeypatch, run)
    assert main(["made-up"]) == INTERRUPTED


@pytest.mark.parametrize(("missing", "extra"), [("mod_progress.gone", "gateway"), ("gone", "")])
def test_a_module_that_no_extra_brings_is_a_defect(
    monkeypatch: pytest.MonkeyPatch, missing: str, extra: str
) -> None:
    def import_module(_: str) -> ModuleType:
        return importlib.import_module(missing)

    use(monkeypatch, None, extra)
    monkeypatch.setattr(cli, "import_module", import_module)
    with pytest.raises(ModuleNotFoundError, match="gone"):
        main(["made-up"])
