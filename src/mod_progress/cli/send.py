"""``mod-progress send``: uploads, with bars of what was sent and what the server has."""

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Sequence

from mod_progress.cli.arguments import Parser
from mod_progress.cli.terminal import complain
from mod_progress.cli.watch import add_headers
from mod_progress.identifier import SHARED_PREFIX, lets_only_look
from mod_progress.terminal.address import (
    AddressError,
    check,
    parse_url,
    resolve_show,
    split_identifiers,
)
from mod_progress.terminal.body import STDIN, File, FileError, find_file
from mod_progress.terminal.loop import open_display, run_display
from mod_progress.terminal.send import Plan, send


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.epilog = (
        "An upload that was cut cannot be resumed yet: send it again from its beginning.\n"
        "The exit code is 0 when all is sent, 1 when the server refused something or it was cut,\n"
        "2 when the server cannot be reached."
    )
    add = parser.add_argument
    add("files", metavar="FILE", nargs="+", help="a file to send, - for the standard input")
    add("url", metavar="URL", help="where the server takes uploads")
    add("--form", metavar="NAME", help="send all files in one form, in the field of that name")
    add("--method", metavar="METHOD", type=_method, default="POST", help="default %(default)s")
    add("--id", metavar="ID", help="the id of the upload, default a fresh one that can be shared")
    add(
        "--show",
        metavar="URL",
        default="/progress",
        help="where the server shows the progress: an address or a path, default %(default)s",
    )
    add_headers(parser)


def run(arguments: Namespace) -> int:
    """Send the files; return the exit code."""
    try:
        plan = _plan(arguments)
    except (AddressError, FileError) as error:
        complain(str(error))
        return 2
    display = open_display()
    return run_display(send(plan, display), display)


def _plan(arguments: Namespace) -> Plan:
    """Return what to send. Raises `AddressError`, `FileError`."""
    url, identifiers = split_identifiers(parse_url(arguments.url))
    return Plan(
        files=_find_files(arguments.files),
        url=url,
        show=resolve_show(arguments.show, url),
        method=arguments.method,
        form=arguments.form,
        identifier=_find_identifier(arguments, identifiers),
        fields=arguments.headers,
    )


def _find_files(paths: Sequence[str]) -> list[File]:
    if paths.count(STDIN) > 1:
        raise FileError(f"{STDIN}: the standard input can be sent once")
    return [find_file(path) for path in paths]


def _find_identifier(arguments: Namespace, in_url: Sequence[str]) -> str | None:
    """Return the id that the option or the address names; None where none does."""
    named: list[str] = [*in_url, *([] if arguments.id is None else [arguments.id])]
    if not named:
        return None
    if len(named) > 1:
        raise AddressError(f"there are several ids: {', '.join(named)}")
    if len(arguments.files) > 1 and arguments.form is None:
        raise AddressError("an id is for one request: several files need --form, or no id")
    if lets_only_look(check(named[0])):
        raise AddressError(
            f"{named[0]}: an id that begins with {SHARED_PREFIX} can only be watched"
        )
    return named[0]


def _method(text: str) -> str:
    if not re.fullmatch("[A-Za-z]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an HTTP method")
    return text.upper()
