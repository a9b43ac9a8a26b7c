"""``mod-progress check``: whether a configuration is right."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from mod_progress.cli.arguments import Parser
from mod_progress.cli.terminal import tell, warn
from mod_progress.config import check


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a configuration file")


def run(arguments: Namespace) -> int:
    """Print all that is wrong with a configuration, or ``ok``; return the exit code."""
    errors = check(arguments.config)
    for error in errors:
        warn(str(error))
    if not all(error.is_warning for error in errors):
        return 1
    tell("ok")
    return 0
