"""Removes the coverage data files that a process did not finish, as it was killed.

Some tests kill servers. A server that is killed while it writes its data leaves a file that is no
database, or one without tables: ``coverage combine`` would warn of each. What such a process ran
is counted for other processes that ran the same.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def is_whole(path: Path) -> bool:
    """Whether the file is a database with the tables of coverage."""
    try:
        with closing(sqlite3.connect(path)) as database:
            return bool(database.execute("SELECT version FROM coverage_schema").fetchone())
    except sqlite3.Error:
        return False


def main() -> None:
    """Remove the unfinished files of the working directory; say how many they were."""
    data = [path for path in Path().glob(".coverage.*") if not path.name.endswith("-journal")]
    unfinished = [path for path in data if not is_whole(path)]
    for path in unfinished:
        path.unlink()
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    if unfinished:
        print(f"left out the coverage data of {len(unfinished)} killed processes")


if __name__ == "__main__":
    main()
