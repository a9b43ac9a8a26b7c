"""The command line: ``mod-progress COMMAND``.

Each command is a module of this folder, named like the command, with two functions:
``add_arguments(parser)`` declares what the command takes, ``run(arguments)`` does its work and
returns the exit code. A new command is such a module and a line in `COMMANDS`. The module is
imported only when its command is used: so each command needs only the packages that it uses.

Exit codes: 0 is success; 1: what was asked failed, or something is wrong with what was looked at;
2: the command line is wrong, or an extra is not installed.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile
from typing import NamedTuple, Protocol, cast

from mod_progress import __version__
from mod_progress.cli.arguments import Parser, suggestion
from mod_progress.cli.terminal import prepare, tell, warn


class Command(NamedTuple):
    """One command, as the help lists it."""

    name: str
    summary: str
    #: The extra that installs what the command imports; empty where the base install is enough.
    extra: str = ""


COMMANDS = (
    Command("serve", "Serve a configuration, a backend, or a page to upload files.", "gateway"),
    Command("check", "Say whether a configuration is right, or all that is wrong.", "gateway"),
    Command("watch", "Show bars of transfers until they are over.", "terminal"),
    Command("send", "Upload files, and show what was sent and what the server has.", "terminal"),
    Command("top", "Show all transfers of a server, live.", "terminal"),
    Command("wait-idle", "Wait until a server has no running transfer.", "terminal"),
    Command("doctor", "Upload to a running app, watch it, and say what is wrong."),
)

#: How to install an extra. A shell needs the quotes.
INSTALL = "pip install 'mod-progress[{}]'"

#: The exit code of a program that Ctrl-C ended: 128 and the number of SIGINT.
INTERRUPTED = 130


class Module(Protocol):
    """What the module of a command has."""

    def add_arguments(self, parser: Parser) -> None:
        """Declare what the command takes."""

    def run(self, arguments: Namespace) -> int:
        """Do the work; return the exit code."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line, that of the process unless ``words`` is given; return the exit code.

    Raises SystemExit where the parser ends the program: after help, a version or an error.
    """
    prepare()
    words = sys.argv[1:] if words is None else words
    general = list(takewhile(lambda word: word.startswith("-"), words))
    parser = _general_parser()
    parser.parse(general)
    if len(general) == len(words):
        tell(parser.format_help().rstrip())
        return 2
    name, *rest = words[len(general) :]
    command = next((each for each in COMMANDS if each.name == name), None)
    if command is None:
        parser.error(f"no such command: {name}{suggestion(name, (c.name for c in COMMANDS))}")
    return _run(command, rest)


def _general_parser() -> Parser:
    width = max(len(command.name) for command in COMMANDS)
    commands = (f"  {command.name:{width}}  {command.summary}\n" for command in COMMANDS)
    parser = Parser(
        "mod-progress",
        "Track how far uploads and downloads are, and show their progress.",
        usage="mod-progress [--help] [--version] COMMAND ...",
        epilog=f"commands:\n{''.join(commands)}\nmod-progress COMMAND --help has its options.",
    )
    version = f"mod-progress {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    return parser


def _run(command: Command, words: Sequence[str]) -> int:
    if sys.platform == "win32" and command.extra == "gateway":  # it forks, and uvloop is not there
        warn(f"mod-progress {command.name} needs Linux or macOS; on Windows use a middleware")
        return 2
    try:
        module = cast("Module", import_module(f"{__name__}.{command.name.replace('-', '_')}"))
    except ModuleNotFoundError as error:
        return _ask_for_extra(command, error)
    parser = Parser(f"mod-progress {command.name}", command.summary)
    module.add_arguments(parser)
    try:
        return module.run(parser.parse(words))
    except KeyboardInterrupt:
        return INTERRUPTED


def _ask_for_extra(command: Command, error: ModuleNotFoundError) -> int:
    """Say how to install what the command imports, unless it is our own module that is missing."""
    if not command.extra or (error.name or "").startswith("mod_progress"):
        raise error
    warn(f"mod-progress {command.name} needs an extra: {INSTALL.format(command.extra)}")
    return 2
