from __future__ import annotations

import pytest

from mod_progress.gateway.actions.dashboard import Dashboard
from mod_progress.gateway.actions.dump import Dump
from mod_progress.gateway.actions.health import Health
from mod_progress.gateway.actions.metrics import Metrics
from mod_progress.gateway.actions.reading import Reading
from mod_progress.gateway.actions.script import Script
from mod_progress.show.dump import Permission
from tests.config.config_client import Client


@pytest.mark.parametrize(
    "action", [Dashboard(), Dump(Permission.CUT_IDS), Health(), Metrics(), Script()]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_method_that_writes_is_refused(action: Reading, method: str) -> None:
    answer = Client().ask(action, f"{method} /x HTTP/1.1\nHost: a\nContent-Length: 0")
    assert answer is not None
    assert answer.status == 405
    assert answer.fields["Allow"] == "GET, HEAD"
