"""``mod-progress watch``: bars of transfers, until they are over."""

from __future__ import annotations

import argparse
from argparse import Namespace

from mod_progress.cli.arguments import Parser, seconds
from mod_progress.cli.terminal import complain
from mod_progress.terminal.address import AddressError, parse_targets
from mod_progress.terminal.client import Field, HeaderError, parse_header
from mod_progress.terminal.display import JsonLines
from mod_progress.terminal.loop import open_display, run_display
from mod_progress.terminal.watch import watch


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.epilog = (
        "The exit code is 0 when all transfers are done, 1 when one failed, 2 when one is not\n"
        "known or its server does not answer."
    )
    add = parser.add_argument
    add("ids", metavar="ID", nargs="+", help="an id, or the whole address of a show with ids")
    add("--at", metavar="URL", help="where it is shown, as http://localhost:8080/progress")
    add(
        "--wait",
        metavar="SECONDS",
        type=seconds(0),
        default=30.0,
        help="how long to wait for an id that is not there yet, and for a server that is gone, "
        "default %(default)g",
    )
    add("--json", action="store_true", help="print one line of JSON for each change")
    add_headers(parser)


def add_headers(parser: Parser) -> None:
    """Declare the option for header fields."""
    parser.add_argument(
        "-H",
        "--header",
        metavar="FIELD",
        dest="headers",
        type=_headers,
        action="extend",
        default=[],
        help="a header field of every request, such as 'Cookie: session=…', or @FILE with one in "
        "each line; may be repeated",
    )


def run(arguments: Namespace) -> int:
    """Watch the transfers; return the exit code."""
    try:
        targets = parse_targets(arguments.ids, arguments.at)
    except AddressError as error:
        complain(str(error))
        return 2
    display = JsonLines() if arguments.json else open_display()
    return run_display(watch(targets, display, arguments.wait, arguments.headers), display)


def _headers(text: str) -> list[Field]:
    try:
        return parse_header(text)
    except HeaderError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
