"""The example of a service of systemd's: systemd's own checks, and the gateway's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
COMMAND = Path(sys.executable).with_name("mod-progress")
INSTALLED = "/opt/mod_progress/bin/mod-progress"


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """Return the units, with the command where it is on this machine."""
    made = []
    for name in ("mod-progress.service", "mod-progress.socket"):
        made.append(tmp_path / name)
        made[-1].write_text((EXAMPLES / name).read_text().replace(INSTALLED, str(COMMAND)))
    return made


def test_systemd_finds_nothing_wrong_with_the_units(units: list[Path]) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_is_not_exposed(units: list[Path]) -> None:
    """By systemd's own measure, in tenths: 0 is a service that can do nothing, 96 a usual one."""
    service = units[0]
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager"]
    done = subprocess.run([*command, service], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for setting in ("NoNewPrivileges=yes", "ProtectSystem=strict", "LimitNOFILE=65536"):
        assert f"\n{setting}\n" in service.read_text()


def test_the_configuration_is_right(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "site.conf", tmp_path)
    done = subprocess.run(
        [COMMAND, "check", "site.conf"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
