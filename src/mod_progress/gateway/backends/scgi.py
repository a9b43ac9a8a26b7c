"""A backend that speaks SCGI."""

from __future__ import annotations

from collections.abc import Iterable

from mod_progress.gateway.backends.cgi import CgiBackend
from mod_progress.gateway.backends.cgi_exchange import CgiConnection
from mod_progress.gateway.backends.cgi_variables import Variable
from mod_progress.gateway.http.scgi import scgi_head


class ScgiConnection(CgiConnection):
    """One connection to an SCGI server, for one request."""

    __slots__ = ()

    always_sized = True

    def head(self, variables: Iterable[Variable]) -> bytes:
        """Serialise the variables."""
        return scgi_head(variables)


class ScgiBackend(CgiBackend[ScgiConnection]):
    """Serves exchanges by the SCGI server at an address."""

    def __init__(self, address: str) -> None:
        """Take an address as `CgiBackend` does."""
        super().__init__(address, ScgiConnection)
