"""The action `progress.script`: the script for browsers."""

from __future__ import annotations

from mod_progress.gateway.actions.poll import send_answer
from mod_progress.gateway.exchange import Answering, Exchange, MethodNotAllowed
from mod_progress.show.script import serve_script

_METHODS = ("GET", "HEAD")
_OTHER_METHOD = MethodNotAllowed(_METHODS)


class Script(Answering):
    """Answers with the module of the script that the last segment of the path names."""

    __slots__ = ()

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        request = exchange.request
        if request.method in _METHODS:
            send_answer(exchange, serve_script(request.path, request.named.get))
        else:
            _OTHER_METHOD.handle(exchange)
