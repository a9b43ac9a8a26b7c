"""The blocks of code in the documentation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]

#: All that people read, but for what has happened.
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]

_TITLE = re.compile(r' title="([^"]+)"')
_ASSIGNMENT = re.compile(r"\w+=").match


class Block(NamedTuple):
    """A block of code, as it is written."""

    #: The page, from the root of the repository, and the line where the block begins.
    page: str
    line: int
    #: The nearest heading above it.
    heading: str
    #: In lower case; empty for text that is no code.
    language: str
    #: The name of the file that it is, on pages that make one; else empty.
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The command lines of a block for a shell; those of a console have a ``$`` in front."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip()]


def blocks_of(page: Path, *languages: str) -> Iterator[Block]:
    """Yield the blocks of a page in their order: those in these languages, or all."""
    heading, tokens = "", MarkdownIt().parse(page.read_text())
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = tokens[number + 1].content
        elif token.type == "fence":
            assert token.map is not None
            title = _TITLE.search(token.info)
            language = token.info.partition(" ")[0]
            if languages and language not in languages:
                continue
            name = page.relative_to(ROOT).as_posix()
            yield Block(
                name, token.map[0] + 1, heading, language, title[1] if title else "", token.content
            )


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks_in(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def words_of(command: str) -> Iterator[list[str]]:
    """Yield the words of each program that a line starts, without variables that are set before."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|;&")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|;&"):
            yield list(dropwhile(_ASSIGNMENT, words))
            words = []
        else:
            words.append(word)
