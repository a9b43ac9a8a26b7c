"""A store that answers later."""

from __future__ import annotations

from concurrent.futures import Future

from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import Snapshot


class FarStore(MemoryStore):
    """Each lookup waits for the test, which finds it in `asked`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Future[Snapshot]] = []

    def lookup(self, identifier: str) -> Future[Snapshot]:  # type: ignore[override]
        self.asked.append(Future())
        return self.asked[-1]
