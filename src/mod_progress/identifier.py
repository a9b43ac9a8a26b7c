"""Find the id of a transfer in a query string or in a header, and check it.

The id is a capability: whoever knows it may look. So an id is never guessed, trimmed or repaired.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

#: The name of the query parameter and of the request header.
PARAMETER = "X-Progress-ID"

#: The name of the request header as servers give it to an app: bytes in lower case.
FIELD = PARAMETER.lower().encode()

#: The query parameter that names the function of a jsonp answer.
CALLBACK_PARAMETER = "X-Progress-Callback"

#: What an id is, in words: for messages.
RULE = "1 to 128 visible ASCII characters"

#: The rule as an expression. The greatest length is that of lighttpd 2's mod_progress.
_VALID = re.compile(rb"[\x21-\x7e]{1,128}").fullmatch


@lru_cache
def _expression(name: str) -> re.Pattern[bytes]:
    """Return the expression that finds the value of one query parameter.

    The name is found in any case, as the documentation of lighttpd 2's mod_progress writes both
    ``X-Progress-Id`` and ``X-Progress-ID``, and with its dashes percent-encoded.
    """
    spelling = re.escape(name.encode()).replace(rb"\-", rb"(?:-|%2d)")
    return re.compile(rb"(?:^|&)" + spelling + rb"=([^&]*)", re.IGNORECASE)


def find_parameter(query: bytes, name: str) -> bytes | None:
    """Return the percent-decoded value of the first query parameter of that name, or None.

    A ``+`` stands for itself: ids are base64 more often than they hold a space.
    """
    found = _expression(name).search(query)
    if found is None:
        return None
    value = found[1]
    return unquote_to_bytes(value) if b"%" in value else value


def find_identifier(query: bytes, header: bytes | None) -> bytes | None:
    """Return the id that a request carries, unchecked. The query counts before the header."""
    candidate = find_parameter(query, PARAMETER) if query else None
    return header if candidate is None else candidate


@lru_cache(1024)
def identify(query: bytes, header: bytes | None) -> str | None:
    """Return the valid id that a request carries, or None.

    The answer is remembered, as a client that polls asks the same again and again.
    """
    return check_identifier(find_identifier(query, header))


def check_identifier(candidate: bytes | None) -> str | None:
    """Return the id as text, or None where it is missing or not valid."""
    if candidate is None or _VALID(candidate) is None:
        return None
    return candidate.decode("ascii")
