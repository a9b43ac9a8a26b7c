from __future__ import annotations

import pytest

from mod_progress.fault_log import FaultLog


def test_each_kind_of_exception_is_logged_once_with_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = FaultLog()
    for error in ValueError("first"), ValueError("second"), KeyError("third"):
        faults.report("nothing is published", error)
    faults.report("nothing is read", ValueError("fourth"))
    raised = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(each) for each in raised] == ["first", "'third'", "fourth"]
    assert caplog.records[0].getMessage() == "nothing is published; this is logged once"


@pytest.mark.usefixtures("broken_log")
def test_a_broken_log_handler_breaks_nothing_else() -> None:
    FaultLog().report("nothing is published", ValueError())
