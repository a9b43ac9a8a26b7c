"""Finds out why the progress of an upload cannot be seen, and says it in plain words.

The doctor sends a slow upload to a running app, asks for its progress meanwhile as a page would,
and judges what it was told. It needs the base install alone.
"""

from __future__ import annotations

from mod_progress.doctor.examination import Finding, examine
from mod_progress.doctor.faults import Fault
from mod_progress.doctor.target import AddressError, Target, parse_target

__all__ = ["AddressError", "Fault", "Finding", "Target", "examine", "parse_target"]
