"""The parser of a command's words. What is wrong with them is said in one line."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import NoReturn

from mod_progress.cli.terminal import complain


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line on the standard error, with exit code 2."""

    def __init__(
        self, prog: str, description: str, *, usage: str | None = None, epilog: str | None = None
    ) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return what the words say. Exits where they are wrong or ask for help."""
        arguments, unknown = self.parse_known_intermixed_args(words)
        if unknown:
            self.error(self._describe_unknown(unknown[0]))
        return arguments

    def error(self, message: str) -> NoReturn:
        """Print the message and exit."""
        complain(message.removeprefix("argument "))
        sys.exit(2)

    def _describe_unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"unexpected argument: {word}"
        name = word.partition("=")[0]
        options = [option for action in self._actions for option in action.option_strings]
        return f"no such option: {name}{suggestion(name, options)}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` with the known word that is near, or an empty string."""
    near = get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def whole_number(minimum: int) -> Callable[[str], int]:
    """Return a parser of whole numbers that are not less than the minimum."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if number < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {minimum} or more")
        return number

    return parse


def seconds(minimum: float) -> Callable[[str], float]:
    """Return a parser of seconds that are not less than the minimum."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not minimum <= number < math.inf:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a number of seconds, {minimum:g} or more"
            )
        return number

    return parse
