"""Repeats each property until its time is over: FUZZ_SECONDS for each, or once where it is not set.

So the suite tries them shortly, and `make fuzz` at depth.
"""

from __future__ import annotations

import inspect
import os
import time

import pytest
from hypothesis import settings

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))

settings.register_profile("fuzz", max_examples=1000, deadline=None)
if SECONDS:
    settings.load_profile("fuzz")


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    end = time.monotonic() + SECONDS
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    while True:
        pyfuncitem.obj(**arguments)
        if time.monotonic() >= end:
            return True
