"""The programs of ``scripts/`` that have rules of their own."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_coverage_of_killed_processes_is_left_out(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / ".coverage.whole")) as whole:
        whole.execute("CREATE TABLE coverage_schema (version INTEGER)")
        whole.execute("INSERT INTO coverage_schema VALUES (7)")
        whole.commit()
    with closing(sqlite3.connect(tmp_path / ".coverage.began")) as began:
        began.execute("CREATE TABLE coverage_schema (version INTEGER)")
        began.commit()
    (tmp_path / ".coverage.empty").touch()
    (tmp_path / ".coverage.cut").write_bytes(b"SQLite format 3\0" + bytes(100))
    (tmp_path / ".coverage.cut-journal").touch()
    command = [sys.executable, str(SCRIPTS / "drop_unfinished_coverage.py")]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "left out the coverage data of 3 killed processes\n"
    assert [path.name for path in tmp_path.iterdir()] == [".coverage.whole"]
