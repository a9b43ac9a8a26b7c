"""A backend that speaks the uwsgi protocol, such as uWSGI with a WSGI app."""

from __future__ import annotations

from collections.abc import Iterable

from mod_progress.gateway.backends.cgi import CgiBackend
from mod_progress.gateway.backends.cgi_exchange import CgiConnection
from mod_progress.gateway.backends.cgi_variables import Variable
from mod_progress.gateway.http.uwsgi import uwsgi_head


class UwsgiConnection(CgiConnection):
    """One connection to a uwsgi server, for one request."""

    __slots__ = ()

    at_root = True

    def head(self, variables: Iterable[Variable]) -> bytes:
        """Serialise the variables; raises `Refusal` (431) where they do not fit."""
        return uwsgi_head(variables)


class UwsgiBackend(CgiBackend[UwsgiConnection]):
    """Serves exchanges by the uwsgi server at an address."""

    def __init__(self, address: str) -> None:
        """Take an address as `CgiBackend` does."""
        super().__init__(address, UwsgiConnection)
