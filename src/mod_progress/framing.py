"""What the head of an HTTP message says of its body (RFC 9112, section 6.3)."""

from __future__ import annotations

#: The statuses of responses that never have a body, whatever their fields say (RFC 9110,
#: sections 15.3.5 and 15.4.5).
BODILESS = frozenset({204, 304})

_LEAST_STATUS, _MOST_STATUS = 100, 999

# Made once: in the call itself, `str | bytes` takes as long as the rest of it.
_TEXT = (str, bytes)

#: The greatest size, in bytes: the stores keep a size in 8 bytes with a sign.
MOST_SIZE = 2**63 - 1

#: More digits than any number needs that is believed, leading zeros included.
_MOST_DIGITS = 100


def parse_number(text: object, most: int) -> int | None:
    """Return the number that a peer sent as ``1*DIGIT`` (RFC 9110, section 5.6.1).

    None where it is anything else, or more than ``most``. It never raises: `str.isdigit` alone also
    takes superscripts, at which `int` raises, and `int` raises at thousands of digits.
    """
    if not isinstance(text, _TEXT) or not text or len(text) > _MOST_DIGITS:
        return None
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= most else None


def parse_size(length: object) -> int | None:
    """Return the size that a Content-Length tells; None where it tells none that is possible."""
    return parse_number(length, MOST_SIZE)


def parse_status(status: object) -> int:
    """Return the status of a response, which an app gives as a number or in front of its reason.

    Where it is none, clients take the response as a 500 (RFC 9110, section 15).
    """
    number = status if isinstance(status, int) else None
    if isinstance(status, _TEXT):
        number = parse_number(status[:3], _MOST_STATUS)
    return int(number) if number and _LEAST_STATUS <= number <= _MOST_STATUS else 500
