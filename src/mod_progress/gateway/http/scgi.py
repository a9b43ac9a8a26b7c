"""The head of an SCGI request; no I/O."""

from __future__ import annotations

from collections.abc import Iterable


def scgi_head(variables: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Serialise the variables, of which CONTENT_LENGTH must be the first, as a netstring."""
    first, *others = variables
    pairs = b"".join(b"%b\0%b\0" % pair for pair in (first, (b"SCGI", b"1"), *others))
    return b"%d:%b," % (len(pairs), pairs)
