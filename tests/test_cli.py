"""The command line, as a person meets it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from mod_progress import __version__

COMMAND = str(Path(sys.executable).with_name("mod-progress"))


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, timeout=30, check=False
    )


def test_it_tells_its_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"mod-progress {__version__}\n")


def test_without_a_command_it_tells_what_there_is() -> None:
    done = run()
    assert "serve" in done.stdout
    assert "check" in done.stdout
    assert "doctor" in done.stdout


def test_a_right_configuration_is_ok(tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text('setup { module_load "mod_progress"; }\nprogress.track;\n')
    done = run("check", "site.conf", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_all_errors_of_a_configuration_are_told(tmp_path: Path) -> None:
    text = 'setup { module_load "mod_progress"; }\nprogress.trak;\nprogress.show "xml";\n'
    (tmp_path / "site.conf").write_text(text)
    done = run("check", "site.conf", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "site.conf:2:1: " in done.stderr
    assert "progress.track" in done.stderr
    assert "site.conf:3:15: " in done.stderr
    assert "    ^" in done.stderr
    served = run("serve", "site.conf", cwd=tmp_path)
    assert served.returncode == 1
    assert "site.conf:3:15: " in served.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("bogus", 2, "No such command 'bogus'."),
        ("serve --bogus", 2, "No such option: --bogus"),
        ("serve --workers x", 2, "Invalid value for '--workers'"),
        ("serve --workers 0", 2, "Invalid value for '--workers'"),
        ("serve --proxy nonsense", 2, "--proxy 'nonsense' is neither host:port nor unix:/path"),
        ("serve --proxy a:1 --store b", 2, "--proxy and --store exclude each other"),
        ("serve --track x", 2, "--track x: a path starts with /"),
        ("serve --show x", 2, "--show x: a path starts with /"),
        ("serve a.conf --proxy a:1", 2, "are said by the configuration file"),
        ("serve --ttl -1", 2, "--ttl: -1.0 is not a number of seconds, 0 or more"),
        ("serve --methods post", 2, "--methods: 'post' is not an HTTP method; did you mean 'POST'"),
        ("serve --tls-key x", 2, "--tls-key needs --tls-cert"),
        ("serve --tls-cert /nowhere", 1, "cannot use the certificate /nowhere"),
        ("serve --listen nonsense", 1, "cannot listen on nonsense"),
        ("serve --listen 192.0.2.1:80", 1, "cannot listen on 192.0.2.1:80"),
        ("serve --listen unix:/nowhere/s", 1, "cannot listen on unix:/nowhere/s"),
        ("serve --store-url ftp://x", 1, "store: 'ftp://x' is not memory, local"),
        ("serve /nowhere/site.conf", 1, "cannot read /nowhere/site.conf"),
        ("check", 2, "Missing argument"),
        ("check /nowhere/site.conf", 1, "cannot read /nowhere/site.conf"),
        ("doctor nonsense", 2, "an address such as http://localhost:8000/upload is needed"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    arguments: str, code: int, said: str, tmp_path: Path
) -> None:
    done = run(*arguments.split(), cwd=tmp_path)
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert said in line
    assert done.stdout == ""


def test_options_of_the_command_line_are_laid_over_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text(
        'setup { module_load "mod_progress"; progress.ttl 5; progress.methods ("PUT"); }'
        "progress.track; respond 200;"
    )
    command = [COMMAND, "serve", "site.conf", "--listen", "127.0.0.1:0"]
    options = ["--methods", "GET", "--methods", "POST", "--ttl", "60", "--debug"]
    with subprocess.Popen(
        [*command, *options],
        cwd=tmp_path,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urlopen(Request(url, method="DELETE", headers={"X-Progress-ID": "a"})) as answer:
            assert answer.status == 200
        process.terminate()
        said = process.communicate(timeout=30)[1]
    assert "not tracked: the method is DELETE, tracked: GET, POST" in said


def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        done = run("serve", "--listen", address, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"mod-progress: cannot listen on {address}: Address already in use\n"
