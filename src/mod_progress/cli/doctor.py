"""``mod-progress doctor``: what is wrong with the progress of an app's uploads."""

from __future__ import annotations

import argparse
from argparse import Namespace

from mod_progress.cli.arguments import Parser, seconds
from mod_progress.cli.terminal import complain, tell
from mod_progress.doctor import AddressError, Target, examine, parse_target


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("url", metavar="URL", help="where the app takes uploads, as http://localhost:8000/upload")
    add(
        "--show",
        metavar="PATH",
        default="/progress",
        help="the path that shows the progress, default %(default)s",
    )
    add("--origin", help="the origin of a page that is to read it, if that is another one")
    add(
        "--header",
        metavar="FIELD",
        type=_header,
        action="append",
        default=[],
        help="a header field of every request, such as 'Cookie: session=…'; may be repeated",
    )
    add(
        "--seconds",
        metavar="N",
        type=seconds(0.5),
        default=4.0,
        help="for how long to upload, default %(default)s",
    )


def run(arguments: Namespace) -> int:
    """Examine the app; print what is wrong with it; return the exit code."""
    try:
        target = parse_target(
            arguments.url, arguments.show, arguments.origin, dict(arguments.header)
        )
    except AddressError as error:
        complain(str(error))
        return 2
    try:
        return _examine(target, arguments.seconds)
    except OSError as error:
        complain(f"{arguments.url}: {error.strerror or error}")
        return 1


def _examine(target: Target, seconds: float) -> int:
    serious = False
    for fault, detail, advice in examine(target, seconds):
        serious |= fault.serious
        tell(f"{fault.name}: {fault.what.format(show=target.show, detail=detail)}")
        for line in (fault.cure.format(show=target.show), *advice):
            tell(f"    {line}")
    if not serious:
        tell("All is well: the upload is tracked, and every answer was right.")
    return 1 if serious else 0


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (colon and name.strip() and text.isascii() and text.isprintable()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a header field, NAME: VALUE")
    return name.strip(), value.strip()
