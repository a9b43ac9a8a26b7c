"""PHP behind the gateway and behind nginx: a form's upload, and small pages.

Both have one worker and the same php-fpm behind them, on a Unix socket; they take turns.

    python bench/php.py --rounds 5

It needs Debian's nginx-light, php-fpm, curl and apache2-utils. The processor time is that of the
gateway or of nginx alone.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template

import processes

from servers import end, free_port, wait_until_it_listens

#: Where PHP writes what it gets, so that no disk is measured.
MEMORY = Path("/dev/shm")

SCRIPTS = {
    "upload.php": "<?php echo $_FILES['file']['size'];",
    "small.php": "<?php echo 'hello';",
}

PHP = """
[global]
error_log = $directory/fpm.log
[www]
user = root
listen = $directory/fpm.sock
pm = static
pm.max_children = 3
php_admin_value[upload_max_filesize] = 16G
php_admin_value[post_max_size] = 16G
php_admin_value[upload_tmp_dir] = $directory
"""

GATEWAY = """
setup {
	module_load ["mod_fastcgi", "mod_progress"];
	listen "127.0.0.1:$port";
	workers 1;
}
docroot "$directory";
progress.track;
if phys.path =$$ ".php" and phys.is_file { fastcgi "unix:$directory/fpm.sock"; }
"""

NGINX = """
daemon off;
user root;
worker_processes 1;
pid $directory/nginx.pid;
error_log $directory/nginx.log;
events { worker_connections 1024; }
http {
    access_log off;
    client_max_body_size 0;
    client_body_temp_path $directory;
    proxy_temp_path $directory;
    fastcgi_temp_path $directory;
    uwsgi_temp_path $directory;
    scgi_temp_path $directory;
    server {
        listen 127.0.0.1:$port;
        root $directory;
        location ~ \\.php$$ {
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $$document_root$$fastcgi_script_name;
            fastcgi_pass unix:$directory/fpm.sock;
            fastcgi_request_buffering off;
        }
    }
}
"""

COMMANDS = {
    "gateway": ([str(Path(sys.executable).with_name("mod-progress")), "serve"], GATEWAY),
    "nginx": (["nginx", "-c"], NGINX),
}


@contextmanager
def running(name: str, directory: Path) -> Iterator[tuple[int, int]]:
    """Start a server; yield its port and its process id."""
    command, text = COMMANDS[name]
    port = free_port()
    configuration = directory / f"{name}.conf"
    configuration.write_text(Template(text).substitute(port=port, directory=directory))
    silent = subprocess.DEVNULL
    process = subprocess.Popen([*command, configuration], stdout=silent, stderr=silent)
    try:
        wait_until_it_listens(process, port)
        yield port, process.pid
    finally:
        end(process)


@contextmanager
def php(directory: Path) -> Iterator[None]:
    configuration = directory / "fpm.conf"
    configuration.write_text(Template(PHP).substitute(directory=directory))
    command = sorted(Path("/usr/sbin").glob("php-fpm[0-9]*"))[-1]
    flags = ["--nodaemonize", "--no-php-ini", "--allow-to-run-as-root", "--fpm-config"]
    process = subprocess.Popen([command, *flags, configuration], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        end(process)


def upload(port: int, file: Path) -> float:
    """Return the megabytes a second of one form's upload."""
    started = time.monotonic()
    url = f"http://127.0.0.1:{port}/upload.php?X-Progress-ID=bench"
    command = ["curl", "--silent", "--show-error", "--form", f"file=@{file}", url]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert answer == str(file.stat().st_size), answer
    return file.stat().st_size / 1e6 / (time.monotonic() - started)


def small(port: int, file: Path) -> float:
    """Return the requests a second of three clients."""
    command = ["ab", "-q", "-k", "-n", "3000", "-c", "3", f"http://127.0.0.1:{port}/small.php"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests per second: +([\d.]+)", said)
    assert found is not None, said
    assert "Failed requests:        0" in said, said
    return float(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="of the file, in MiB")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))
        for name, text in SCRIPTS.items():
            (directory / name).write_text(text)
        file = directory / "file"
        with file.open("wb") as zeros:
            zeros.truncate(options.size * 1024**2)
        stack.enter_context(php(directory))
        started = {name: stack.enter_context(running(name, directory)) for name in COMMANDS}
        for measure in (upload, small):
            rates: dict[str, list[float]] = {name: [] for name in COMMANDS}
            seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
            for _ in range(options.rounds):
                for name, (port, pid) in started.items():
                    before = processes.cpu_seconds(pid)
                    rates[name].append(measure(port, file))
                    seconds[name].append(processes.cpu_seconds(pid) - before)
            for name in COMMANDS:
                rate, used = statistics.median(rates[name]), statistics.median(seconds[name])
                print(f"{measure.__name__:<7} {name:<8} {rate:>8.0f}/s  {used:.2f} s of processor")


if __name__ == "__main__":
    main()
