from __future__ import annotations

import pytest

from mod_progress.tracker import Tracker
from tests.clock import Clock
from tests.show.driven_ticker import DrivenTicker


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracker() -> Tracker:
    return Tracker()


@pytest.fixture
def ticker(tracker: Tracker, clock: Clock) -> DrivenTicker:
    return DrivenTicker(tracker, clock)
