"""The HTTP clients, and the header fields that a person adds, as curl takes them."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import httpx

from mod_progress import __version__

_DEFAULTS = {
    "Accept": "*/*",
    # A show is small, and a stream that is compressed may be held back.
    "Accept-Encoding": "identity",
    "User-Agent": f"mod-progress/{__version__}",
}

#: A field's name, the sign behind it, and the value (RFC 9110, section 5).
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)([:;])[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)


class HeaderError(ValueError):
    """A text is no header field; the message says what is needed."""


class Field(NamedTuple):
    """A header field; without a value, the field is left out that would be there by itself."""

    name: str
    value: str | None


def parse_header(text: str) -> list[Field]:
    """Return the fields that ``-H`` names: ``Name: value``, or ``@FILE`` with one in each line.

    ``Name:`` leaves a field out, ``Name;`` sends it empty. Raises `HeaderError`.
    """
    if not text.startswith("@"):
        return [_parse_field(text)]
    try:
        lines = Path(text[1:]).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HeaderError(f"cannot read {text[1:]}: {_why(error)}") from None
    return [_parse_field(line) for line in lines if line.strip()]


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is no text"


def _parse_field(text: str) -> Field:
    found = _FIELD.fullmatch(text)
    if found is None or (found[2] == ";" and found[3]):
        # The value may be a secret.
        name = re.split("[:;]", text)[0]
        raise HeaderError(f"{name!r} does not begin a header field, NAME: VALUE")
    value = found[3].rstrip()
    return Field(found[1], value if value or found[2] == ";" else None)


def add_fields(headers: httpx.Headers, fields: Sequence[Field]) -> httpx.Headers:
    """Return headers with the fields of a person, which replace those of the same name."""
    replaced = {field.name.lower() for field in fields}
    kept = [(name, value) for name, value in headers.raw if name.decode().lower() not in replaced]
    added = [
        (field.name.encode(), field.value.encode(errors="surrogateescape"))
        for field in fields
        if field.value is not None
    ]
    return httpx.Headers([*kept, *added])


def open_client(kind: type[Client], fields: Sequence[Field], timeout: httpx.Timeout) -> Client:
    """Return a client whose requests carry the fields of a person."""
    headers = add_fields(httpx.Headers(_DEFAULTS), fields)
    client = kind(verify=_trust(), headers=headers, timeout=timeout)
    for field in fields:
        if field.value is None:
            # The client has defaults of its own.
            client.headers.pop(field.name, None)
    return client


async def read_beginning(response: httpx.Response, most: int) -> bytes:
    """Return the body of an answer, of a longer one little more than ``most`` bytes."""
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) > most:
            break
    return body


def _trust() -> ssl.SSLContext:
    """Trust the authorities of httpx, or of SSL_CERT_FILE, and those of the system."""
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context
