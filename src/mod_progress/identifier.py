"""Find the id of a transfer in a query string or in a header, and check it.

The id is a capability: whoever knows it may look. So an id is never guessed, trimmed or repaired,
and never stands whole in a log.

Whoever knows a plain id may also track a request under it, and so take it over. An id of the
owner's form ``own~SECRET`` prevents that: everything that is kept or shared has its shared form
``see~HASH``, which lets one look and nothing else. HASH is the SHA-256 (FIPS 180-4) of the ASCII
bytes of SECRET, as 64 lower-case hexadecimal digits.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

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


#: What the owner's form of an id begins with, and what its shared form does.
OWNER_PREFIX = "own~"
SHARED_PREFIX = "see~"

#: Bytes of the longest query and header whose id is remembered: enough for the longest id.
_MOST_REMEMBERED = 512

#: Characters of an id that a log shows: enough to tell the transfers of a minute apart.
_SHOWN = 8


@lru_cache
def _expression(name: str) -> re.Pattern[bytes]:
    """Return the expression that finds the value of one query parameter.

    The name is found in any case, as the documentation of lighttpd 2's mod_progress writes both
    ``X-Progress-Id`` and ``X-Progress-ID``, and with its dashes percent-encoded.
    """
    return re.compile(rb"(?:^|&)" + _spelling(name) + rb"=([^&]*)", re.IGNORECASE)


def _spelling(name: str) -> bytes:
    return re.escape(name.encode()).replace(rb"\-", rb"(?:-|%2d)")


#: Finds each id in a URL: what stands before it, and the id.
_IN_URL = re.compile(rb"((?:^|[?&])" + _spelling(PARAMETER) + rb"=)([^&]*)", re.IGNORECASE)

#: The same for an id in the path, as the pages of Drupal for nginx's module have it: the segment
#: ``x-progress-id:ID``.
_IN_SEGMENT = re.compile(rb"(/" + _spelling(PARAMETER) + rb"(?::|%3a))([^/?]*)", re.IGNORECASE)


#: Finds each id of the owner's and of the shared form in a path.
_FORM_IN_PATH = re.compile(rb"(?:own|see)~[^/?&]*")


def find_parameter(query: bytes, name: str) -> bytes | None:
    """Return the percent-decoded value of the first query parameter of that name, or None.

    A ``+`` stands for itself: ids are base64 more often than they hold a space.
    """
    found = _expression(name).search(query)
    if found is None:
        return None
    value = found[1]
    return unquote_to_bytes(value) if b"%" in value else value


def find_parameters(query: bytes, name: str) -> list[bytes]:
    """Return the percent-decoded values of all query parameters of that name."""
    return [unquote_to_bytes(value) for value in _expression(name).findall(query)]


def name_in_query(identifier: bytes, query: bytes) -> bytes:
    """Return a query that names an id from elsewhere, before whatever the query has itself."""
    named = b"%b=%b" % (PARAMETER.encode(), quote_from_bytes(identifier, safe="").encode())
    return b"%b&%b" % (named, query) if query else named


def find_identifier(query: bytes, header: bytes | None) -> bytes | None:
    """Return the id that a request carries, unchecked. The query counts before the header."""
    candidate = find_parameter(query, PARAMETER) if query else None
    return header if candidate is None else candidate


def identify(query: bytes, header: bytes | None) -> str | None:
    """Return the id to look up for a request, or None where it carries no valid one.

    The answer is remembered, as a client that polls asks the same again and again. That of a long
    question is not, as strangers send those too and they would fill the memory.
    """
    if len(query) + len(header or b"") > _MOST_REMEMBERED:
        return _identify.__wrapped__(query, header)
    return _identify(query, header)


@lru_cache(1024)
def _identify(query: bytes, header: bytes | None) -> str | None:
    identifier = check_identifier(find_identifier(query, header))
    return None if identifier is None else shared_form(identifier)


def check_identifier(candidate: bytes | None) -> str | None:
    """Return the id as text, or None where it is missing or not valid."""
    if candidate is None or _VALID(candidate) is None:
        return None
    return candidate.decode("ascii")


def shared_form(identifier: str) -> str:
    """Return the form of a valid id under which its transfer is kept and looked up.

    That of ``own~SECRET`` is ``see~HASH``. Any other id is returned as it is.
    """
    if not identifier.startswith(OWNER_PREFIX):
        return identifier
    secret = identifier.removeprefix(OWNER_PREFIX)
    return SHARED_PREFIX + hashlib.sha256(secret.encode()).hexdigest()


def lets_only_look(identifier: str) -> bool:
    """Whether an id is of the shared form: it may not track, nor cancel."""
    return identifier.startswith(SHARED_PREFIX)


def shorten(identifier: str) -> str:
    """Return an id, or what stands for one, as a log may show it: cut short."""
    shown = _SHOWN
    if identifier.startswith((OWNER_PREFIX, SHARED_PREFIX)):
        shown += len(OWNER_PREFIX)
    return identifier if len(identifier) <= shown else f"{identifier[:shown]}..."


def obscure(identifier: str) -> str:
    """Return an id as somebody may see it who must not use it: at most half of it, and ``...``."""
    form = len(OWNER_PREFIX) if identifier.startswith((OWNER_PREFIX, SHARED_PREFIX)) else 0
    return f"{identifier[: form + min(_SHOWN, (len(identifier) - form) // 2)]}..."


def shorten_in_url(url: bytes, identifiers: Iterable[bytes] = ()) -> bytes:
    """Return a URL, or a part of one, as a log may show it: with each id in it cut short.

    ``identifiers`` are cut short wherever they stand, also percent-encoded, and so are ids of the
    owner's and of the shared form.
    """
    for expression in (_IN_URL, _IN_SEGMENT):
        url = expression.sub(lambda found: found[1] + _shortened(found[2]), url)
    url = _FORM_IN_PATH.sub(lambda found: _shortened(found[0]), url)
    for each in identifiers:
        if _shortened(each) != each:
            url = _encoded_or_not(each, url).sub(lambda found: _shortened(found[0]), url)
    return url


def _shortened(identifier: bytes) -> bytes:
    return shorten(identifier.decode("latin-1")).encode("latin-1")


def _encoded_or_not(identifier: bytes, url: bytes) -> re.Pattern[bytes]:
    """Return the expression that finds an id in ``url``, in which its bytes may be encoded."""
    if b"%" not in url:
        return re.compile(re.escape(identifier))
    bytes_of = (identifier[at : at + 1] for at in range(len(identifier)))
    return re.compile(
        b"".join(b"(?:%b|(?i:%%%02x))" % (re.escape(each), ord(each)) for each in bytes_of)
    )


def obscure_in_path(path: bytes, identifier: str) -> bytes:
    """Return the path of a transfer's request as somebody may see it who must not use its id.

    `obscure` is applied to ``identifier``, which is the transfer's own id, to each id that
    `shorten_in_url` finds, and to each id of the owner's and of the shared form. A short id is only
    looked for as a whole word, as it may be a part of any other.
    """
    for expression in (_IN_URL, _IN_SEGMENT):
        path = expression.sub(lambda found: found[1] + _obscured(found[2]), path)
    path = _FORM_IN_PATH.sub(lambda found: _obscured(found[0]), path)
    own = identifier.encode("latin-1", "replace")
    if not own or own not in path:
        return path  # to compile an expression for each id takes a third of a small request's time
    word = re.escape(own)
    if len(identifier) <= _SHOWN:
        word = rb"(?<![0-9A-Za-z])" + word + rb"(?![0-9A-Za-z])"
    return re.sub(word, lambda found: _obscured(found[0]), path)


def _obscured(identifier: bytes) -> bytes:
    return obscure(identifier.decode("latin-1")).encode("latin-1")
