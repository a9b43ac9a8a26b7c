"""PHP's real php-fpm, for a test."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.gateway.running import PATIENCE, eventually

#: Debian's command has the version of PHP in its name.
(COMMAND, *_) = sorted(Path("/usr/sbin").glob("php-fpm[0-9]*"), reverse=True) or [Path("php-fpm")]

#: Seconds in which it listens, on a busy machine too.
START = 60.0

_CONFIGURATION = """
[global]
error_log = {directory}/fpm.log

[www]
user = root
listen = {socket}
pm = static
pm.max_children = 3
php_admin_value[upload_max_filesize] = 4G
php_admin_value[post_max_size] = 4G
php_admin_value[upload_tmp_dir] = {directory}
"""


class PhpFpm:
    """A php-fpm that listens on a Unix socket."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "fpm.sock"
        configuration = directory / "fpm.conf"
        text = _CONFIGURATION.format(directory=directory, socket=self.socket)
        configuration.write_text(text)
        flags = ["--nodaemonize", "--no-php-ini", "--fpm-config", str(configuration)]
        if os.geteuid() == 0:
            flags.append("--allow-to-run-as-root")
        self.process = subprocess.Popen([COMMAND, *flags], stderr=subprocess.DEVNULL)
        eventually(self._listens, START)

    @property
    def address(self) -> str:
        return f"unix:{self.socket}"

    def _listens(self) -> bool:
        assert self.process.poll() is None, "php-fpm did not start"
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.connect(str(self.socket))
            return True
        return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
