"""Addresses as a person types them: of a show, with ids in it or beside it, and of an upload."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import httpx

from mod_progress.identifier import PARAMETER, RULE, check_identifier, find_parameter

#: The path that shows progress where none is named: the default of both middlewares.
DEFAULT_SHOW = "/progress"

_WEB = ("http://", "https://")

#: The parameter that names the format of an answer.
_FORMAT = "format"

#: One parameter of a query, up to the next.
_PARAMETERS = re.compile(rb"[^&]+")


class AddressError(ValueError):
    """What was given is no address or no id; the message says what is needed."""


def parse_url(text: str) -> httpx.URL:
    """Return an address that one can connect to. Raises `AddressError`."""
    try:
        url = httpx.URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and url.port != 0
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise AddressError(
            f"{text}: an address such as http://localhost:8080{DEFAULT_SHOW} is needed"
        )
    return url.copy_with(fragment=None)


def check(identifier: str) -> str:
    """Return an id as it is. Raises `AddressError` where it is not valid."""
    if check_identifier(identifier.encode(errors="surrogatepass")) is None:
        raise AddressError(f"{identifier!r} is no id: an id is {RULE}")
    return identifier


def parse_targets(words: Iterable[str], at: str | None) -> dict[httpx.URL, list[str]]:
    """Return the ids to watch, by the show that knows them.

    A word is an id that is shown at ``at``, or the whole address of a show with ids in its query.
    An address without a path is that of a server whose show is `DEFAULT_SHOW`. Raises
    `AddressError`.
    """
    targets: dict[httpx.URL, list[str]] = {}
    for word in words:
        if word.startswith(_WEB):
            show, identifiers = split_identifiers(parse_url(word))
            if not identifiers:
                raise AddressError(f"{word}: the address has no {PARAMETER}; an id is needed too")
        elif at is None:
            raise AddressError(f"{word}: --at URL is needed, the address that shows it")
        else:
            show, identifiers = parse_show(at), [word]
        known = targets.setdefault(show, [])
        known += (each for each in map(check, identifiers) if each not in known)
    return targets


def parse_show(text: str) -> httpx.URL:
    """Return the address of a show, without ids. Raises `AddressError`."""
    show, _ = split_identifiers(parse_url(text))
    return show.copy_with(path=DEFAULT_SHOW) if show.path == "/" else show


def resolve_show(text: str, upload: httpx.URL) -> httpx.URL:
    """Return the address of a show: as it is, or a path at the server of an upload.

    Raises `AddressError`.
    """
    if text.startswith(_WEB):
        return parse_show(text)
    if not text.startswith("/"):
        raise AddressError(f"{text}: an address of a show, or a path that starts with /, is needed")
    return upload.copy_with(query=None).join(text)


def split_identifiers(url: httpx.URL) -> tuple[httpx.URL, list[str]]:
    """Return an address without the ids in its query, and these ids."""
    kept, identifiers = [], []
    for parameter in _PARAMETERS.findall(url.query):
        value = find_parameter(parameter, PARAMETER)
        if value is None:
            kept.append(parameter)
        else:
            identifiers.append(value.decode(errors="replace"))
    return _with_query(url, kept), identifiers


def ask_for(show: httpx.URL, identifiers: Sequence[str], form: str) -> httpx.URL:
    """Return the address that asks for some ids in a format."""
    asked = [f"{PARAMETER}={quote(each, safe='')}".encode() for each in identifiers]
    parameters = _PARAMETERS.findall(show.query)
    kept = [each for each in parameters if find_parameter(each, _FORMAT) is None]
    return _with_query(show, [*kept, *asked, f"{_FORMAT}={form}".encode()])


def ask_for_list(show: httpx.URL, parameters: Mapping[str, str]) -> httpx.URL:
    """Return the address that asks for all transfers, with these parameters.

    One that is empty is left out.
    """
    asked = {_FORMAT: "dump", **parameters}
    kept = [
        each
        for each in _PARAMETERS.findall(show.query)
        if not any(find_parameter(each, name) is not None for name in asked)
    ]
    added = [f"{name}={quote(value, safe='')}".encode() for name, value in asked.items() if value]
    return _with_query(show, [*kept, *added])


def _with_query(url: httpx.URL, parameters: Sequence[bytes]) -> httpx.URL:
    return url.copy_with(query=b"&".join(parameters) or None)


def below(directory: httpx.URL, name: str) -> httpx.URL:
    """Return the address of a file in a directory, whose path ends in a slash."""
    path, mark, query = directory.raw_path.partition(b"?")
    path += quote(name, safe="", errors="surrogateescape").encode()
    return directory.copy_with(raw_path=path + mark + query)


def displayed(url: httpx.URL) -> str:
    """Return an address as others may see it: without a password."""
    return str(url.copy_with(userinfo=b""))
