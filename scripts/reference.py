"""Writes the pages that follow from other files: ``python scripts/reference.py``.

docs/commands.md is the command line, as its parsers have it. docs/http.md is the contract of
docs/openapi.yaml. A test fails while they are not up to date.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from mod_progress.cli import COMMANDS, INSTALL, Command
from mod_progress.cli.arguments import Parser

DOCS = Path(__file__).parents[1] / "docs"

WRITTEN = "<!-- Written by scripts/reference.py. -->\n\n"

COMMAND_LINE = """# Command line

`mod-progress COMMAND` with one of the commands below; `mod-progress --help` lists them and
`mod-progress COMMAND --help` says what each takes. `mod-progress --version` prints the version.

An exit code of 0 is success. 1: what was asked failed, or something is wrong with what was looked
at. 2: the command line is wrong, or an extra is not installed. [In a terminal](terminal.md) shows
`watch`, `send`, `top` and `wait-idle` at work, [Run the gateway](running.md) `serve`.
"""

HTTP = """# HTTP

What clients send and get: the same from the gateway and from both middlewares. The paths are the
defaults of the middlewares, and yours to choose. The same as an OpenAPI 3.1 file, for tools:
[openapi.yaml](openapi.yaml).
"""


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text)


def pages() -> dict[str, str]:
    """Return the text of each page, by its name."""
    contract = YAML(typ="safe").load(DOCS / "openapi.yaml")
    commands = (part for command in COMMANDS for part in describe_command(command))
    return {
        "commands.md": "\n".join([WRITTEN + COMMAND_LINE, *commands]),
        "http.md": "\n".join([WRITTEN + HTTP, *describe_contract(contract)]),
    }


def table(head: str, rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table with this head, whose cells are one line each."""
    width = len(rows[0])
    lines = [f"| {head} |{' |' * (width - 1)}", "|" + " --- |" * width]
    for row in rows:
        cells = (" ".join(cell.split()).replace("|", r"\|") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def describe_command(command: Command) -> Iterator[str]:
    """Yield the paragraphs about a command."""
    parser = Parser(command.name, command.summary)
    module = f"mod_progress.cli.{command.name.replace('-', '_')}"
    import_module(module).add_arguments(parser)
    actions = [action for action in parser._actions if action.dest != "help"]
    places = [action for action in actions if not action.option_strings]
    words = " ".join(["mod-progress", command.name, *map(show_place, places), "[OPTION …]"])
    yield f"## `{command.name}`\n"
    yield f"`{words}`\n"
    yield f"{command.summary} {needs(command)}\n"
    if parser.epilog:
        yield f"{' '.join(parser.epilog.split())}\n"
    rows = [(f"`{show_option(action)}`", expand(parser, action)) for action in actions]
    yield table("argument", rows)


def needs(command: Command) -> str:
    """Return which extra a command needs."""
    return f"Needs `{INSTALL.format(command.extra)}`." if command.extra else "Needs no extra."


def show_place(action: argparse.Action) -> str:
    """Return an argument without a name, as the usage has it."""
    name = str(action.metavar or action.dest)
    many = {"+": f"{name} …", "?": f"[{name}]", "*": f"[{name} …]"}
    return many.get(str(action.nargs), name)


def show_option(action: argparse.Action) -> str:
    """Return an argument with its names and what it takes."""
    if not action.option_strings:
        return str(action.metavar or action.dest)
    names = ", ".join(action.option_strings)
    if action.nargs == 0:
        return names
    value = action.metavar or "{" + ",".join(map(str, action.choices or ())) + "}"
    return f"{names} {value}"


def expand(parser: Parser, action: argparse.Action) -> str:
    """Return the help of an argument, with its default where it says one."""
    return (action.help or "") % {"default": action.default, "prog": parser.prog}


def describe_contract(contract: dict[str, Any]) -> Iterator[str]:
    """Yield the paragraphs about each request, and about what the answers are made of."""
    for path, item in contract["paths"].items():
        for method, operation in item.items():
            yield f"## {operation['summary']}\n"
            yield f"`{method.upper()} {path}`\n"
            yield operation["description"]
            parameters = [resolve(contract, each) for each in operation.get("parameters", [])]
            if parameters:
                yield table("parameter", [describe_parameter(each) for each in parameters])
            yield table("answer", list(describe_answers(contract, operation["responses"])))
    yield "## What the answers are made of\n"
    for name, schema in contract["components"]["schemas"].items():
        yield f"### {name}\n"
        yield schema["description"]
        if "properties" in schema:
            yield table("member", [describe_member(*each) for each in schema["properties"].items()])


def resolve(contract: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the contract, or what it refers to."""
    reference = part.get("$ref")
    if reference is None:
        return part
    found = contract
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def describe_parameter(parameter: dict[str, Any]) -> tuple[str, str]:
    """Return a parameter and what it means."""
    place = "header field" if parameter["in"] == "header" else "query"
    return f"`{parameter['name']}` ({place})", parameter["description"]


def describe_answers(
    contract: dict[str, Any], responses: dict[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """Yield each status, the types of its body, and what it says."""
    for status, each in responses.items():
        response = resolve(contract, each)
        types = ", ".join(f"`{media}`" for media in response.get("content", {}))
        yield str(status), types, response["description"]


def describe_member(name: str, schema: dict[str, Any]) -> tuple[str, str, str]:
    """Return a member, its type and what it means."""
    kind = schema.get("type", "")
    kinds = kind if isinstance(kind, str) else " or ".join(kind)
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if values:
        kinds = ", ".join(f"`{each}`" for each in values)
    return f"`{name}`", kinds, schema.get("description", "")


if __name__ == "__main__":
    main()
