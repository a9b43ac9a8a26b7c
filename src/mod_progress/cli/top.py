"""``mod-progress top``: all transfers of a server, live."""

from __future__ import annotations

import sys
from argparse import Namespace

from rich.console import Console

from mod_progress.cli.arguments import Parser
from mod_progress.cli.terminal import complain, tell
from mod_progress.cli.watch import add_headers
from mod_progress.terminal.address import AddressError, parse_show
from mod_progress.terminal.display import JsonLines
from mod_progress.terminal.dump import DumpError
from mod_progress.terminal.list_screen import ListScreen
from mod_progress.terminal.loop import run_display
from mod_progress.terminal.top import print_list, watch_list
from mod_progress.terminal.view import KEYS, View


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.epilog = (
        f"Keys: {KEYS}.\n"
        "The server has to show the format dump to whoever asks here: dump= of the middlewares,\n"
        'progress.show "dump" of a configuration.\n'
        "The exit code is 0, or 2 when the server cannot be reached or does not permit it."
    )
    add = parser.add_argument
    add("url", metavar="URL", help="where it lists them, as http://localhost:8080/progress")
    add("--json", action="store_true", help="print all once, a line of JSON for each")
    add_headers(parser)


def run(arguments: Namespace) -> int:
    """Show the transfers; return the exit code."""
    console = Console()
    try:
        url = parse_show(arguments.url)
        if arguments.json or not sys.stdout.isatty() or console.is_dumb_terminal:
            return run_display(print_list(url, tell, arguments.headers), JsonLines())
        view = View()
        screen = ListScreen(console, view)
        return run_display(watch_list(url, view, screen, arguments.headers), screen)
    except (AddressError, DumpError) as error:
        complain(str(error))
        return 2
