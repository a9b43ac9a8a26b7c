"""How long the body of an HTTP message is, as its head says (RFC 9112, section 6.3)."""

from __future__ import annotations

#: The statuses of responses that never have a body, whatever their fields say (RFC 9110,
#: sections 15.3.5 and 15.4.5).
BODILESS = frozenset({204, 304})


def parse_size(length: str | bytes | None) -> int | None:
    """Return the size that a Content-Length tells; None where it tells none."""
    return int(length) if length and length.isdigit() else None
