"""Which pages of other origins may read the answers: the option ``allow_origins``.

A browser gives the answer to a page of another origin only where the answer's fields allow it
(CORS, in the Fetch standard). An answer that is a script is different: any page can load it, and so
read it. So where the option names origins, such an answer is given only where the request shows
that the page is of the same origin as the answer, or of one that is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from mod_progress.futures import map_future
from mod_progress.identifier import PARAMETER
from mod_progress.options import OptionError
from mod_progress.show.answer import Answer
from mod_progress.show.formats import Fields

#: Seconds for which a browser may remember the answer to a preflight: the most that Chromium does.
_PREFLIGHT_SECONDS = "7200"

_VARY: Fields = (("Vary", "Origin"),)

_PREFLIGHT: Fields = (
    ("Access-Control-Allow-Headers", f"{PARAMETER}, If-None-Match, Last-Event-ID, Prefer"),
    ("Access-Control-Max-Age", _PREFLIGHT_SECONDS),
)


#: The origin of the page at the beginning of a Referer.
_ORIGIN = re.compile(rb"([a-z][a-z0-9+.-]*://([^/?#]+))", re.IGNORECASE).match

#: Values of Sec-Fetch-Site (Fetch Metadata) that a page of another origin cannot cause.
OWN_SITES = (b"same-origin", b"none")


class Origins:
    """The value of the option ``allow_origins``: ``*``, one origin, or several.

    Raises `options.OptionError` where it is none of those.
    """

    def __init__(self, allowed: str | Iterable[str]) -> None:
        self._allowed = _check_origins(allowed)

    def __bool__(self) -> bool:
        """Whether the page of any other origin may read the answers."""
        return bool(self._allowed)

    def fields(self, origin: bytes | None) -> Fields:
        """Return the fields that let a page of ``origin`` read the answer, if it may."""
        if not self._allowed:
            return ()
        if "*" in self._allowed:
            return (("Access-Control-Allow-Origin", "*"),)
        name = None if origin is None else origin.decode("latin-1")
        if name is None or name not in self._allowed:
            return _VARY
        return (("Access-Control-Allow-Origin", name), *_VARY)

    def let_read(
        self, answer: Answer | Future[Answer], origin: bytes | None
    ) -> Answer | Future[Answer]:
        """Return the answer with the fields that let a page of ``origin`` read it, if it may."""
        allowed = self.fields(origin)
        if not allowed:
            return answer
        if isinstance(answer, Answer):
            return _with_fields(answer, allowed)
        return map_future(answer, lambda found: _with_fields(found, allowed))

    def let_run(self, field: Callable[[bytes], bytes | None]) -> bool:
        """Whether an answer that is a script may be given to the page that asks for it.

        ``field`` returns the value of a request header, by its name in lower case. A page can keep
        its browser from sending a Referer, but cannot have it send another origin's.
        """
        if not self._allowed or "*" in self._allowed or field(b"sec-fetch-site") in OWN_SITES:
            return True
        page = _ORIGIN(field(b"origin") or field(b"referer") or b"")
        if page is None:
            return False
        return page[1].decode("latin-1") in self._allowed or page[2] == field(b"host")

    def preflight(self, origin: bytes | None, methods: Iterable[str]) -> Answer:
        """Return the answer to a preflight from a page of ``origin``.

        ``methods`` are those that the page may use.
        """
        fields = self.fields(origin)
        if fields != _VARY:
            allowed = ("Access-Control-Allow-Methods", ", ".join(methods))
            fields = (*fields, allowed, *_PREFLIGHT)
        return Answer(204, fields, b"")


def _with_fields(answer: Answer, fields: Fields) -> Answer:
    """Return the answer with the fields that let a page of another origin read it."""
    if "ETag" in dict(answer.fields):
        fields = (*fields, ("Access-Control-Expose-Headers", "ETag, Preference-Applied"))
    return answer._replace(fields=(*answer.fields, *fields))


def _check_origins(value: object) -> frozenset[str]:
    takes = "'*' or origins such as 'https://example.com'"
    if not isinstance(value, str | Iterable):
        raise OptionError("allow_origins", value, takes)
    origins = (value,) if isinstance(value, str) else tuple(value)
    for origin in origins:
        if not isinstance(origin, str) or not _is_origin(origin):
            raise OptionError("allow_origins", origin, takes)
    return frozenset(origins)


def _is_origin(text: str) -> bool:
    """Whether it is an origin, which has no path (RFC 6454, section 7) and may be ``null``."""
    scheme, separator, host = text.partition("://")
    return text in ("*", "null") or bool(scheme and separator and host and "/" not in host)
