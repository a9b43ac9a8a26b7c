"""Where every process finds the transfers of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Protocol

from mod_progress.transfer import Snapshot


class Store(Protocol):
    """Snapshots by id, for every process to read."""

    def publish(self, batch: Sequence[tuple[str, Snapshot]]) -> None:
        """Write a batch at once. Raises nothing that a transfer could notice."""

    def lookup(self, identifier: str) -> Snapshot | Future[Snapshot]:
        """Return what is known of the id: at once, or a future that is always fulfilled."""

    def forget(self, identifiers: Iterable[str]) -> None:
        """Drop entries before their time is over."""

    def close(self) -> None:
        """Let go of every handle."""
