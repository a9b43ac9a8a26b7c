"""``mod-progress wait-idle``: waits until a server has no running transfer, for deployments."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from mod_progress.cli.arguments import Parser, seconds
from mod_progress.cli.terminal import complain, tell
from mod_progress.cli.watch import add_headers
from mod_progress.terminal.address import AddressError, parse_show
from mod_progress.terminal.dump import DumpError
from mod_progress.terminal.wait_idle import BUSY, UNKNOWN, wait_until_idle


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.epilog = (
        "The server has to show the format dump to whoever asks here: dump= of the middlewares,\n"
        'progress.show "dump" of a configuration.\n'
        "The exit code is 0 when no transfer is running, 1 when one still is after that time, 2\n"
        "when the server cannot be reached or does not permit it."
    )
    add = parser.add_argument
    add("url", metavar="URL", help="where it lists them, as http://localhost:8080/progress")
    add(
        "--timeout",
        metavar="SECONDS",
        type=seconds(0),
        default=60.0,
        help="how long to wait, default %(default)g",
    )
    add_headers(parser)


def run(arguments: Namespace) -> int:
    """Wait; return the exit code."""
    timeout = arguments.timeout
    try:
        url = parse_show(arguments.url)
        code = asyncio.run(wait_until_idle(url, timeout, tell, arguments.headers))
    except (AddressError, DumpError) as error:
        complain(str(error))
        return UNKNOWN
    if code == BUSY:
        complain(f"transfers are still running after {timeout:g} seconds")
    return code
