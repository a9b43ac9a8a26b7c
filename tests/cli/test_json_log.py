from __future__ import annotations

import json
import logging
import os
import sys
from datetime import datetime
from pathlib import Path

from mod_progress.cli.json_log import JsonFormatter
from tests.cli.running import run


def test_a_record_is_one_line_of_ascii() -> None:
    try:
        raise ValueError("é")
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "", 0, "not %s\n\x1b", ("ü\udcff",), error)
    record.created = 1_700_000_000.1239
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    noted = json.loads(line)
    assert datetime.fromisoformat(noted["time"]).timestamp() == 1_700_000_000.123
    assert (noted["level"], noted["pid"]) == ("error", os.getpid())
    assert noted["message"] == "not ü\udcff\n\x1b"
    assert noted["traceback"].endswith("ValueError: é")
    assert list(noted) == ["time", "level", "message", "pid", "traceback"]


def test_what_ends_the_command_is_json_too(tmp_path: Path) -> None:
    done = run("serve", "--log-format", "json", "--track", "x", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    noted = json.loads(line)
    assert (noted["level"], noted["message"]) == ("critical", "--track x: a path starts with /")
