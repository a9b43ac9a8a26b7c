from __future__ import annotations

import pytest

from mod_progress.publication import RENEWAL, Publication
from mod_progress.publisher import CALM
from mod_progress.transfer import Transfer


@pytest.mark.parametrize(
    ("age", "moved", "calm", "due"),
    [
        (0.0, 0, 0.0, False),
        (0.0, 1, 0.0, True),
        (0.2, 4, CALM, False),
        (0.2, 5, CALM, True),
        (CALM, 0, CALM, False),
        (CALM, 1, CALM, True),
        (RENEWAL, 0, CALM, True),
        (RENEWAL, 0, 0.0, True),
    ],
)
def test_what_is_due(age: float, moved: int, calm: float, due: bool) -> None:
    transfer = Transfer("a", 1000)
    transfer.received = 100
    publication = Publication(transfer, 1)
    publication.published(transfer.snapshot(), 50.0)
    transfer.received += moved
    assert publication.due(50.0 + age, calm) == (transfer.snapshot() if due else None)


def test_of_an_unknown_size_each_change_is_due() -> None:
    transfer = Transfer("a", None)
    publication = Publication(transfer, 1)
    publication.published(transfer.snapshot(), 50.0)
    assert publication.due(50.1, CALM) is None
    transfer.received = 1
    assert publication.due(50.1, CALM) == transfer.snapshot()
