"""The options of tracking. Each front takes them, and they are checked here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = ["KNOWN_METHODS", "OptionError", "Options"]

#: The methods that the option ``methods`` may name: RFC 9110 (section 9), PATCH (RFC 5789), and
#: WebDAV with its extensions, which lighttpd 2's mod_progress knows too.
KNOWN_METHODS = frozenset(
    """
    GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH
    PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK
    ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT LABEL MERGE MKACTIVITY MKCALENDAR MKREDIRECTREF
    MKWORKSPACE ORDERPATCH REBIND REPORT SEARCH UNBIND UNCHECKOUT UPDATE UPDATEREDIRECTREF
    VERSION-CONTROL
    """.split()
)


class OptionError(ValueError):
    """An option has a value that it does not take."""

    def __init__(self, name: str, value: object, takes: str, hint: str = "") -> None:
        self.name = name
        self.value = value
        self.takes = takes
        suggestion = f"; did you mean {hint!r}?" if hint else ""
        super().__init__(f"{name}: {value!r} is not {takes}{suggestion}")


class MissingExtraError(OptionError):
    """An option has a value that needs an extra which is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to track, and for how long the end of a transfer can be read.

    Raises `OptionError` where a value is not what the option takes.
    """

    #: Seconds for which a finished transfer stays readable.
    ttl: float = 30.0
    #: The request methods that are tracked.
    methods: frozenset[str] = frozenset({"POST"})
    #: Whether to log why a request is tracked or not.
    debug: bool = False
    #: Whether responses say in the field Server-Timing how long the body and the app took.
    server_timing: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "ttl", check_ttl(self.ttl))
        object.__setattr__(self, "methods", check_methods(self.methods))
        check_flag("debug", self.debug)
        check_flag("server_timing", self.server_timing)


def check_ttl(value: object) -> float:
    """Return ``value`` as seconds; it must be a finite number, 0 or more."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type,operator]
        raise OptionError("ttl", value, "a number of seconds, 0 or more")
    return float(value)  # type: ignore[arg-type]


def check_methods(value: object) -> frozenset[str]:
    """Return ``value``, one method name or several, as a set. All must be known methods."""
    takes = "a list of HTTP methods such as 'POST'"
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Iterable):
        raise OptionError("methods", value, takes)
    methods = tuple(value)
    for method in methods:
        if not isinstance(method, str) or method not in KNOWN_METHODS:
            raise OptionError("methods", method, "an HTTP method", _nearest_method(method))
    return frozenset(methods)


def _nearest_method(name: object) -> str:
    near = get_close_matches(name.upper(), KNOWN_METHODS, n=1) if isinstance(name, str) else []
    return near[0] if near else ""


def check_flag(name: str, value: object) -> bool:
    """Return ``value``, which must be a boolean. ``name`` is the option's name for the message."""
    if not isinstance(value, bool):
        raise OptionError(name, value, "true or false")
    return value
