"""An id that a request carries in its path, where an expression of the configuration finds it."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.target import split_target
from mod_progress.identifier import name_in_query, obscure


class Carried(NamedTuple):
    """What a request says of its transfer."""

    #: The query, with the id of the path before whatever it has itself.
    query: bytes
    #: The path for listings.
    path: str


def find_carried(exchange: Exchange, expression: re.Pattern[bytes]) -> Carried:
    """Return the query in which the id is looked for, and the path.

    ``expression`` finds the id, its first group, in the path as it came: percent-encoded, so that
    an id may have any character. Where it finds none, the query and the fields may have one.
    """
    request = exchange.request
    raw = request.target.partition(b"?")[0]
    found = expression.search(raw)
    if found is None or not found[1]:
        return Carried(request.query, request.path)
    identifier = unquote_to_bytes(found[1])
    exchange.path_identifier = identifier
    shown = obscure(identifier.decode("latin-1")).encode("latin-1")
    path, _ = split_target(raw[: found.start(1)] + shown + raw[found.end(1) :])
    return Carried(name_in_query(identifier, request.query), path)
