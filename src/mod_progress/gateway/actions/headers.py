"""The actions `header.…` and `req_header.…`: fields of the response, and of the request."""

from __future__ import annotations

from dataclasses import dataclass

from mod_progress.gateway.actions.templates import Pattern
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.edits import Edit, Operation, edit_fields, field_value


@dataclass(frozen=True, slots=True)
class EditHeader:
    """Changes one field. The value is filled in when the request runs through the action."""

    operation: Operation
    name: bytes
    value: Pattern

    def edit(self, exchange: Exchange) -> Edit:
        """Return the change for this request."""
        return Edit(self.operation, self.name, field_value(self.value.fill(exchange)))


class EditResponse(EditHeader):
    """Changes a field of the response, whoever will answer."""

    __slots__ = ()

    def __call__(self, exchange: Exchange) -> None:
        """Note the change: it is made when the response begins."""
        exchange.edits = (*exchange.edits, self.edit(exchange))


class EditRequest(EditHeader):
    """Changes a field of the request, for the actions that follow and for the backend."""

    __slots__ = ()

    def __call__(self, exchange: Exchange) -> None:
        """Change it; raises `Refusal` where a Host is none."""
        request = exchange.request
        fields = edit_fields(request.fields, (self.edit(exchange),))
        exchange.request = request.with_fields(fields, self.name)
